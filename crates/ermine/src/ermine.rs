mod appends;
mod diagnostics;
mod operations;
mod reads;
mod waits;

use std::{sync::Arc, time::Duration};

use ermine_core::{Error, IdSource, Result, ports::Store};
use ermine_daemon::{Daemon, Handle, Inline, RegisteredProjection};
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{ErmineBuilder, builder::DaemonPlan};

/// An open store with what is registered for it, and the daemon where this process runs one.
///
/// Dropping it ends the daemon at once; [`stop`](Ermine::stop) lets it finish what it has begun.
#[derive(Debug)]
pub struct Ermine {
    store: Arc<dyn Store>,
    projections: Vec<RegisteredProjection>,
    inline: Inline,
    /// What is known of all that is registered, whoever runs it.
    handle: Handle,
    daemon: Option<Running>,
    plan: DaemonPlan,
    wait_timeout: Duration,
    ids: Arc<dyn IdSource>,
}

#[derive(Debug)]
struct Running {
    handle: Handle,
    stop: DropGuard,
    tasks: JoinSet<Result<()>>,
}

impl Ermine {
    /// Starts to put a host together over the store that `url` names: `sqlite:<file>`, `postgres://user@host/database`, or
    /// `memory:`.
    pub fn open(url: impl Into<String>) -> ErmineBuilder {
        ErmineBuilder::url(url.into())
    }

    /// The same over a store that is open already, of any adapter.
    pub fn with_store(store: Arc<dyn Store>) -> ErmineBuilder {
        ErmineBuilder::store(store)
    }

    pub(crate) fn new(store: Arc<dyn Store>, daemon: Daemon, runs: bool, builder: ErmineBuilder) -> Self {
        let (projections, inline) = (daemon.projections().to_vec(), daemon.inline());
        let handle = daemon.handle();
        let daemon = runs.then(|| {
            let (handle, stop, mut tasks) = (handle.clone(), CancellationToken::new(), JoinSet::new());
            tasks.spawn(daemon.run(stop.clone()));
            Running { handle, stop: stop.drop_guard(), tasks }
        });
        Self {
            store,
            projections,
            inline,
            handle,
            daemon,
            plan: builder.plan,
            wait_timeout: builder.wait_timeout,
            ids: builder.ids,
        }
    }

    /// The daemon of this process, where there is one.
    #[must_use]
    pub fn daemon(&self) -> Option<&Handle> {
        self.daemon.as_ref().map(|d| &d.handle)
    }

    /// The store itself, with all its ports.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Ends the daemon after it has committed what is in flight, within the drain deadline of its settings.
    ///
    /// # Errors
    ///
    /// Those of the daemon's run.
    pub async fn stop(self) -> Result<()> {
        let Some(Running { stop, mut tasks, .. }) = self.daemon else { return Ok(()) };
        drop(stop);
        match tasks.join_next().await {
            Some(Ok(result)) => result,
            Some(Err(panic)) => Err(Error::fatal("running the daemon").with_source(panic)),
            None => Ok(()),
        }
    }
}

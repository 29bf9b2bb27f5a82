use std::{sync::Arc, time::Duration};

use ermine_core::{
    Result,
    ports::{Registration, Store},
};
use tokio_util::sync::CancellationToken;

use crate::{
    DaemonBuilder, Handle, Inline, Mode, RegisteredProjection,
    courier::Courier,
    highwater::HighWater,
    overseer::Overseer,
    shard::Worker,
    tree::{Role, Tree},
};

/// Follows the log of one store and keeps projections in step with it.
///
/// It owns every task it starts: when [`run`](Daemon::run) returns or is dropped, nothing of it is left but folds of
/// user code that are running on threads of their own, whose results nobody takes.
#[derive(Debug)]
pub struct Daemon {
    pub(crate) highwater: HighWater,
    pub(crate) workers: Vec<Worker>,
    pub(crate) courier: Option<Arc<Courier>>,
    pub(crate) overseer: Arc<Overseer>,
    pub(crate) inline: Inline,
    pub(crate) projections: Vec<RegisteredProjection>,
    pub(crate) handle: Handle,
    pub(crate) mode: Mode,
}

impl Daemon {
    /// Starts to put a daemon together.
    pub fn builder(store: Arc<dyn Store>) -> DaemonBuilder {
        DaemonBuilder::new(store)
    }

    /// What the store has to make room for.
    #[must_use]
    pub fn registration(&self) -> &Registration {
        &self.highwater.registration
    }

    /// What is registered, in the order of registration, members of composites one by one.
    #[must_use]
    pub fn projections(&self) -> &[RegisteredProjection] {
        &self.projections
    }

    /// What runs with appends; it works without the daemon running.
    #[must_use]
    pub fn inline(&self) -> Inline {
        self.inline.clone()
    }

    /// Looks at this daemon while it runs.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Runs until `stop` is cancelled and everything in flight is committed, or the drain deadline is over; a rebuild
    /// ends when every shard has reached its ceiling.
    ///
    /// # Errors
    ///
    /// Only a rebuild fails, with its first failure that does not pass. A continuous run outlives every failure.
    ///
    /// # Cancellation
    ///
    /// Dropping the future aborts everything; a commit in flight may or may not have been made.
    pub async fn run(self, stop: CancellationToken) -> Result<()> {
        let is_continuous = self.mode == Mode::Continuous;
        let left = self.workers.len();
        let mut tree = Tree::new(&self.highwater.settings, is_continuous, stop.child_token());
        let courier = self.courier.clone();
        if is_continuous {
            tree.start(Role::Overseer(self.overseer), Duration::ZERO);
            if let Some(courier) = self.courier {
                tree.start(Role::Courier(courier), Duration::ZERO);
            }
        }
        tree.start(Role::HighWater(Arc::new(self.highwater)), Duration::ZERO);
        for worker in self.workers {
            tree.start(Role::Shard(Box::new(worker)), Duration::ZERO);
        }
        if left == 0 && is_continuous {
            stop.cancelled().await;
        }
        tree.run(left).await?;
        match courier {
            Some(courier) if matches!(self.mode, Mode::CatchUp { .. }) => courier.deliver_all().await,
            _ => Ok(()),
        }
    }

    /// Runs until `signal` is done, as in `daemon.run_until(async { ctrl_c().await.ok(); })`.
    ///
    /// # Errors
    ///
    /// Those of [`run`](Daemon::run).
    ///
    /// # Cancellation
    ///
    /// As [`run`](Daemon::run).
    pub async fn run_until(self, signal: impl Future<Output = ()>) -> Result<()> {
        let stop = CancellationToken::new();
        let mut running = std::pin::pin!(self.run(stop.clone()));
        tokio::select! {
            ended = &mut running => return ended,
            () = signal => stop.cancel(),
        }
        running.await
    }
}

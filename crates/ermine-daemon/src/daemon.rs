use std::{collections::HashMap, sync::Arc};

use ermine_core::{
    Error, Result,
    ports::{Registration, Store},
};
use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    DaemonBuilder, Handle, Inline, Mode, RegisteredProjection, backoff::Backoff, courier::Courier,
    highwater::HighWater, shard::Worker,
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
    pub(crate) inline: Inline,
    pub(crate) projections: Vec<RegisteredProjection>,
    pub(crate) handle: Handle,
    pub(crate) mode: Mode,
}

/// What a task is for.
enum Role {
    HighWater,
    Shard(Box<Worker>),
    Courier(Arc<Courier>),
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
        let workers_stop = stop.child_token();
        // The mark moves until the last worker has ended.
        let highwater_stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let mut roles: HashMap<Id, Role> = HashMap::new();
        let mut restarts =
            Backoff::new(self.highwater.settings.retry_first, self.highwater.settings.retry_max);
        let highwater = Arc::new(self.highwater);
        let start_highwater = |tasks: &mut JoinSet<Result<()>>, after| {
            let (highwater, stop) = (highwater.clone(), highwater_stop.clone());
            tasks.spawn(async move {
                tokio::time::sleep(after).await;
                highwater.run(stop).await;
                Ok(())
            })
        };
        let start_worker = |tasks: &mut JoinSet<Result<()>>, worker: Worker, after| {
            let stop = workers_stop.clone();
            tasks.spawn(async move {
                tokio::time::sleep(after).await;
                worker.run(stop).await
            })
        };
        let start_courier = |tasks: &mut JoinSet<Result<()>>, courier: Arc<Courier>, after| {
            let stop = highwater_stop.clone();
            tasks.spawn(async move {
                tokio::time::sleep(after).await;
                courier.run(stop).await;
                Ok(())
            })
        };
        let mut left = self.workers.len();
        if let Some(courier) = self.courier.as_ref().filter(|_| self.mode == Mode::Continuous) {
            let id = start_courier(&mut tasks, courier.clone(), std::time::Duration::ZERO).id();
            roles.insert(id, Role::Courier(courier.clone()));
        }
        roles.insert(start_highwater(&mut tasks, std::time::Duration::ZERO).id(), Role::HighWater);
        for worker in self.workers {
            let id = start_worker(&mut tasks, worker.clone(), std::time::Duration::ZERO).id();
            roles.insert(id, Role::Shard(Box::new(worker)));
        }
        if left == 0 {
            if self.mode == Mode::Continuous {
                stop.cancelled().await;
            }
            highwater_stop.cancel();
        }
        let mut first_failure: Option<Error> = None;
        while let Some(joined) = tasks.join_next_with_id().await {
            let (id, panic) = match joined {
                Ok((id, result)) => {
                    if let Err(error) = result {
                        workers_stop.cancel();
                        first_failure.get_or_insert(error);
                    }
                    (id, None)
                }
                Err(panic) => (panic.id(), Some(panic)),
            };
            match (roles.remove(&id), panic) {
                (Some(Role::Shard(_)), None) => {
                    left -= 1;
                    if left == 0 {
                        highwater_stop.cancel();
                    }
                }
                (Some(Role::HighWater | Role::Courier(_)) | None, None) => {}
                (Some(role), Some(panic)) => {
                    let delay = restarts.next_delay();
                    match role {
                        Role::HighWater => {
                            tracing::error!(%panic, ?delay, "the high-water driver panicked and is started again");
                            roles.insert(start_highwater(&mut tasks, delay).id(), Role::HighWater);
                        }
                        Role::Courier(courier) => {
                            tracing::error!(%panic, ?delay, "the delivery of messages panicked and is started again");
                            let id = start_courier(&mut tasks, courier.clone(), delay).id();
                            roles.insert(id, Role::Courier(courier));
                        }
                        Role::Shard(worker) => {
                            tracing::error!(shard = %worker.shard.name, %panic, ?delay, "a worker panicked and is started again");
                            worker.restarts_after(delay);
                            let id = start_worker(&mut tasks, (*worker).clone(), delay).id();
                            roles.insert(id, Role::Shard(worker));
                        }
                    }
                }
                (None, Some(_)) => {}
            }
        }
        match (first_failure, self.courier) {
            (Some(failure), _) => Err(failure),
            (None, Some(courier)) if matches!(self.mode, Mode::CatchUp { .. }) => courier.deliver_all().await,
            (None, _) => Ok(()),
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

//! The tasks of a daemon, and what happens when one of them ends.

use std::{collections::HashMap, sync::Arc, time::Duration};

use ermine_core::{Error, Result};
use tokio::{
    task::{AbortHandle, Id, JoinError, JoinSet},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    Settings, backoff::Backoff, courier::Courier, highwater::HighWater, metrics, overseer::Overseer,
    pulse::Pulse, shard::Worker,
};

/// How often it is looked whether a loop still turns.
const WATCH_EVERY: Duration = Duration::from_secs(1);
/// After how long without a restart the delays begin at the shortest again.
const PEACE: Duration = Duration::from_secs(60);

/// What a task is for.
#[derive(Clone, Debug)]
pub(crate) enum Role {
    HighWater(Arc<HighWater>),
    Courier(Arc<Courier>),
    Overseer(Arc<Overseer>),
    Shard(Box<Worker>),
}

impl Role {
    const fn name(&self) -> &'static str {
        match self {
            Self::HighWater(_) => "high-water driver",
            Self::Courier(_) => "courier",
            Self::Overseer(_) => "overseer",
            Self::Shard(_) => "worker",
        }
    }

    /// That of its loop; the loops of a worker only wait with a deadline, for each other, or for user code.
    fn pulse(&self) -> Option<&Pulse> {
        match self {
            Self::HighWater(highwater) => Some(&highwater.pulse),
            Self::Overseer(overseer) => Some(&overseer.pulse),
            Self::Courier(_) | Self::Shard(_) => None,
        }
    }

    async fn run(self, stop: CancellationToken) -> Result<()> {
        match self {
            Self::HighWater(highwater) => highwater.run(stop).await,
            Self::Courier(courier) => courier.run(stop).await,
            Self::Overseer(overseer) => overseer.run(stop).await,
            Self::Shard(worker) => return worker.run(stop).await,
        }
        Ok(())
    }
}

/// Every task belongs to it. One that ends before it was told to is started again.
pub(crate) struct Tree {
    tasks: JoinSet<Result<()>>,
    roles: HashMap<Id, (Role, AbortHandle)>,
    /// Workers of a run that ends do so by themselves.
    is_continuous: bool,
    workers_stop: CancellationToken,
    /// The mark moves until the last worker has ended.
    services_stop: CancellationToken,
    stuck_after: Duration,
    restarts: Backoff,
    restarted: Option<Instant>,
}

impl Tree {
    pub(crate) fn new(settings: &Settings, is_continuous: bool, workers_stop: CancellationToken) -> Self {
        Self {
            tasks: JoinSet::new(),
            roles: HashMap::new(),
            is_continuous,
            workers_stop,
            services_stop: CancellationToken::new(),
            stuck_after: settings.stuck_after,
            restarts: Backoff::new(settings.retry_first, settings.retry_max),
            restarted: None,
        }
    }

    pub(crate) fn start(&mut self, role: Role, after: Duration) {
        let stop = self.stop_of(&role).clone();
        let task = role.clone();
        let handle = self.tasks.spawn(async move {
            tokio::time::sleep(after).await;
            if let Some(pulse) = task.pulse() {
                pulse.beat();
            }
            task.run(stop).await
        });
        self.roles.insert(handle.id(), (role, handle));
    }

    const fn stop_of(&self, role: &Role) -> &CancellationToken {
        match role {
            Role::Shard(_) => &self.workers_stop,
            _ => &self.services_stop,
        }
    }

    /// Runs until the last of `left` workers has ended, and then everything else.
    ///
    /// # Errors
    ///
    /// The first failure of a worker, which ends the others.
    pub(crate) async fn run(mut self, mut left: usize) -> Result<()> {
        let mut failure: Option<Error> = None;
        loop {
            if left == 0 {
                self.services_stop.cancel();
            }
            let joined = tokio::select! {
                joined = self.tasks.join_next_with_id() => joined,
                () = tokio::time::sleep(WATCH_EVERY) => {
                    self.replace_stuck();
                    continue;
                }
            };
            let Some(joined) = joined else { return failure.map_or(Ok(()), Err) };
            let (id, ended) = match joined {
                Ok((id, result)) => (id, Ok(result)),
                Err(error) => (error.id(), Err(error)),
            };
            let Some((role, _)) = self.roles.remove(&id) else { continue };
            let is_over = match &ended {
                Ok(Err(_)) => true,
                Ok(Ok(())) => self.may_end(&role),
                Err(_) => false,
            };
            if !is_over {
                self.restart(role, ended.err());
                continue;
            }
            if matches!(role, Role::Shard(_)) {
                left -= 1;
            }
            if let Ok(Err(error)) = ended {
                self.workers_stop.cancel();
                failure.get_or_insert(error);
            }
        }
    }

    fn may_end(&self, role: &Role) -> bool {
        self.stop_of(role).is_cancelled() || (matches!(role, Role::Shard(_)) && !self.is_continuous)
    }

    fn restart(&mut self, role: Role, cause: Option<JoinError>) {
        if self.restarted.is_some_and(|at| at.elapsed() >= PEACE) {
            self.restarts.succeeded();
        }
        self.restarted = Some(Instant::now());
        let delay = self.restarts.next_delay();
        let name = role.name();
        let cause = match cause {
            Some(error) if error.is_panic() => {
                format!("it panicked, which is a mistake in the program: {error}")
            }
            Some(_) => "it did not turn any more".to_owned(),
            None => "it ended without being told to".to_owned(),
        };
        metrics::restarted(name);
        match &role {
            Role::Shard(worker) => {
                tracing::error!(shard = %worker.shard.name, ?delay, "the {name} is started again: {cause}");
                worker.restarts_after(delay, &cause);
            }
            _ => tracing::error!(?delay, "the {name} is started again: {cause}"),
        }
        self.start(role, delay);
    }

    /// Ends loops that do not turn any more; they are started again when they have ended.
    fn replace_stuck(&self) {
        for (role, task) in self.roles.values() {
            if let Some(age) = role.pulse().map(Pulse::age).filter(|age| *age >= self.stuck_after) {
                tracing::error!(?age, "the {} does not turn any more", role.name());
                task.abort();
            }
        }
    }
}

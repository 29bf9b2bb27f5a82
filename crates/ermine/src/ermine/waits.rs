//! Waiting for views, and bringing them up to date on the spot.

use std::{num::NonZeroUsize, time::Duration};

use ermine_core::{Error, Position, Result, ShardName, Start};
use ermine_daemon::{Mode, highest, wait_for_stored};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Ermine;

/// How often the outbox is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

impl Ermine {
    /// Waits until every registered projection shows `position`: how to read one's own writes.
    ///
    /// Where the daemon runs in this process, waiting is a notification; elsewhere stored progress is looked at.
    ///
    /// # Errors
    ///
    /// [`TimedOut`](ermine_core::ErrorKind::TimedOut) after the builder's `wait_timeout`, naming each projection that lags and
    /// why; [`Stopped`](ermine_core::ErrorKind::Stopped) when one has stopped.
    ///
    /// # Cancellation
    ///
    /// Safe: it only waits.
    pub async fn wait_for(&self, position: Position) -> Result<()> {
        self.wait_for_within(position, self.wait_timeout).await
    }

    /// The same with a time-out of its own.
    ///
    /// # Errors
    ///
    /// Those of [`wait_for`](Ermine::wait_for).
    ///
    /// # Cancellation
    ///
    /// Safe: it only waits.
    pub async fn wait_for_within(&self, position: Position, timeout: Duration) -> Result<()> {
        self.wait_for_shards(&self.shards(), position, timeout).await
    }

    /// Waits until every registered projection shows everything that is committed at the time of the call, wherever the
    /// daemon runs. The target is an event, so that numbers without one never delay it.
    ///
    /// # Errors
    ///
    /// Those of [`wait_for`](Ermine::wait_for).
    ///
    /// # Cancellation
    ///
    /// Safe: it only waits.
    pub async fn wait_for_non_stale(&self, timeout: Duration) -> Result<()> {
        self.wait_for_non_stale_shards(&self.shards(), timeout).await
    }

    /// The same for one projection or subscription, in every version that is registered.
    ///
    /// # Errors
    ///
    /// Those of [`wait_for`](Ermine::wait_for), and [`NotFound`](ermine_core::ErrorKind::NotFound) with the names that exist.
    ///
    /// # Cancellation
    ///
    /// Safe: it only waits.
    pub async fn wait_for_non_stale_of(&self, name: &str, timeout: Duration) -> Result<()> {
        let named = self.projections.iter().filter(|p| p.definition.name.as_str() == name);
        if named.clone().next().is_none() {
            let names: Vec<&str> = self.projections.iter().map(|p| p.definition.name.as_str()).collect();
            return Err(Error::new(
                ermine_core::ErrorKind::NotFound,
                format!("no projection \"{name}\" is registered; registered are: {}", names.join(", ")),
            ));
        }
        let shards: Vec<ShardName> = named.filter_map(|p| p.shard.clone()).collect();
        self.wait_for_non_stale_shards(&shards, timeout).await
    }

    pub(crate) async fn wait_for_non_stale_shards(
        &self,
        shards: &[ShardName],
        timeout: Duration,
    ) -> Result<()> {
        if shards.is_empty() {
            return Ok(());
        }
        let began = Instant::now();
        let position = highest(&*self.store, timeout).await?;
        self.wait_for_shards(shards, position, timeout.saturating_sub(began.elapsed())).await
    }

    async fn wait_for_shards(
        &self,
        shards: &[ShardName],
        position: Position,
        timeout: Duration,
    ) -> Result<()> {
        match &self.daemon {
            Some(running) => running.handle.wait_for_shards(shards, position, timeout).await,
            None => wait_for_stored(&*self.store, shards, position, timeout).await,
        }
    }

    /// Waits until the outbox is empty: everything that has been published by now is delivered, by whichever process.
    ///
    /// # Errors
    ///
    /// [`TimedOut`](ermine_core::ErrorKind::TimedOut) with the first message that is left, and those of the connection.
    ///
    /// # Cancellation
    ///
    /// Safe: it only waits.
    pub async fn wait_for_delivery(&self, timeout: Duration) -> Result<()> {
        let Some(outbox) = self.store.outbox() else { return Ok(()) };
        let began = Instant::now();
        loop {
            let pending = outbox.pending_messages(NonZeroUsize::MIN).await?;
            let Some(first) = pending.first() else { return Ok(()) };
            if began.elapsed() >= timeout {
                return Err(Error::new(
                    ermine_core::ErrorKind::TimedOut,
                    format!(
                        "waited {timeout:?} for the outbox: a message for \"{}\" of {} at event {} is not delivered; is there \
                         a daemon with a sink?",
                        first.topic, first.projection, first.seq
                    ),
                ));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Brings every projection up to date with what is committed, and delivers the messages that come of it, on the caller's
    /// task: for tests, which need no daemon and no waiting.
    ///
    /// # Errors
    ///
    /// [`Configuration`](ermine_core::ErrorKind::Configuration) when a daemon runs in this process: it would be in the way; the
    /// first failure that does not pass, such as an event that a projection refuses.
    ///
    /// # Cancellation
    ///
    /// Dropping the future stops it; what is committed stays.
    pub async fn catch_up(&self) -> Result<Position> {
        if self.daemon.is_some() {
            return Err(Error::configuration(
                "a daemon runs in this process, and catching up would take its shards from it: wait for it with \
                 wait_for_non_stale, or start without a daemon",
            ));
        }
        let mut done = None;
        loop {
            let target = highest(&*self.store, self.wait_timeout).await?;
            if done == Some(target) {
                return Ok(target);
            }
            // What projections append on the way is caught up with in the next round.
            let daemon = self.plan.build(&self.store, Mode::CatchUp { ceiling: target.seq() })?;
            daemon.run(CancellationToken::new()).await?;
            done = Some(target);
        }
    }

    /// Has a subscription go on from another place, while it runs, wherever it runs.
    ///
    /// # Errors
    ///
    /// Those of [`Handle::rewind`](ermine_daemon::Handle::rewind).
    pub async fn rewind(&self, subscription: &str, start: Start) -> Result<()> {
        let shard =
            ShardName::all(ermine_core::ProjectionName::new(subscription)?, self.version_of(subscription));
        match &self.daemon {
            Some(running) => running.handle.rewind(&shard, start).await,
            // Whoever runs it sees that it was moved, and goes on from there.
            None => {
                self.plan.build(&self.store, Mode::Continuous)?.handle().rewind_stored(&shard, start).await
            }
        }
    }

    fn version_of(&self, name: &str) -> u32 {
        let named = self.projections.iter().filter(|p| p.definition.name.as_str() == name);
        named.map(|p| p.definition.version).max().unwrap_or(1)
    }

    /// The shards of everything registered that a daemon runs, each once.
    pub(super) fn shards(&self) -> Vec<ShardName> {
        let mut shards: Vec<ShardName> = self.projections.iter().filter_map(|p| p.shard.clone()).collect();
        shards.dedup(); // members of a composite stand together
        shards
    }
}

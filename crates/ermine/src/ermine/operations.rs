//! What an operator does: pausing, resuming, dead letters, health.

use std::time::Duration;

use ermine_core::{Result, Seq, ShardName};
use ermine_daemon::{ErrorTable, Health, Letters, Thresholds};

use super::Ermine;

impl Ermine {
    /// Has shards stand still, whichever process runs them, until they are resumed or `duration` is over. It is stored, and
    /// survives restarts. `name` is that of a shard, as in `Trip:All`, or of a projection, for all its shards; `by` says who
    /// wants it.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ermine_core::ErrorKind::NotFound) with the names that exist, and those of the connection.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves open whether the wish is stored; pause again.
    pub async fn pause(&self, name: &str, by: &str, reason: &str, duration: Option<Duration>) -> Result<()> {
        self.handle.pause(name, by, reason, duration).await
    }

    /// Has shards go on that stand still, whoever wanted that and whichever process runs them.
    ///
    /// # Errors
    ///
    /// Those of [`pause`](Self::pause).
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves open whether the wish is undone; resume again.
    pub async fn resume(&self, name: &str) -> Result<()> {
        self.handle.resume(name).await
    }

    /// The same for every shard.
    ///
    /// # Errors
    ///
    /// Those of the connection.
    ///
    /// # Cancellation
    ///
    /// As [`resume`](Self::resume).
    pub async fn resume_all(&self) -> Result<()> {
        self.handle.resume_all().await
    }

    /// Marks an event, so that no shard that has not passed it yet will ever apply it; each leaves a letter when it passes it.
    ///
    /// # Errors
    ///
    /// Those of [`Handle::skip_event`](ermine_daemon::Handle::skip_event).
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves open whether the event is marked; mark it again.
    pub async fn skip_event(&self, seq: Seq, reason: &str) -> Result<()> {
        self.handle.skip_event(seq, reason).await
    }

    /// The events that shards have refused: to be listed, retried, given up.
    ///
    /// # Errors
    ///
    /// [`Configuration`](ermine_core::ErrorKind::Configuration) when the store keeps none.
    pub fn dead_letters(&self) -> Result<Letters> {
        self.handle.dead_letters()
    }

    /// The rules about failures of a shard, each with where it comes from; `Display` shows them.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ermine_core::ErrorKind::NotFound) with the names that exist.
    pub fn errors_of(&self, shard: &ShardName) -> Result<ErrorTable> {
        self.handle.errors_of(shard)
    }

    /// How the daemon of this process is; `None` where there is none.
    ///
    /// # Cancellation
    ///
    /// Safe: it only reads.
    pub async fn health(&self, thresholds: &Thresholds) -> Option<Health> {
        match &self.daemon {
            Some(running) => Some(running.handle.health(thresholds).await),
            None => None,
        }
    }
}

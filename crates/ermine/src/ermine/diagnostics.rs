//! Looking at the store and the daemon.

use ermine_core::{LogEntry, LogPoint, Position, Progress, Result, Seq, ShardName, Statistics, Timestamp};
use ermine_daemon::{RegisteredProjection, ShardLag, ShardStatus, high_water_mark, lag};

use super::Ermine;

impl Ermine {
    /// What is registered, in the order of registration, members of composites one by one.
    #[must_use]
    pub fn describe(&self) -> &[RegisteredProjection] {
        &self.projections
    }

    /// What each shard is doing, where the daemon runs in this process.
    #[must_use]
    pub fn status(&self) -> Vec<ShardStatus> {
        self.daemon.as_ref().map_or_else(Vec::new, |d| d.handle.status())
    }

    /// How far every shard has committed, wherever it runs.
    ///
    /// # Errors
    ///
    /// Those of the connection.
    pub async fn progress(&self) -> Result<Vec<Progress>> {
        self.store.read_progress().await
    }

    /// How far one shard has committed, wherever it runs; 0 when it has never run.
    ///
    /// # Errors
    ///
    /// Those of the connection.
    pub async fn progress_of(&self, shard: &ShardName) -> Result<Seq> {
        let stored = self.store.read_progress().await?;
        Ok(stored.iter().find(|p| p.shard == *shard).map(|p| p.seq).unwrap_or_default())
    }

    /// The high-water mark: every number at or below it is settled. It is looked up afresh.
    ///
    /// # Errors
    ///
    /// Those of the connection; [`Configuration`](ermine_core::ErrorKind::Configuration) when the store cannot prove it.
    pub async fn high_water_mark(&self) -> Result<Position> {
        high_water_mark(&*self.store).await
    }

    /// How far each registered shard is behind the log, in numbers and in time, wherever it runs.
    ///
    /// # Errors
    ///
    /// Those of the connection.
    pub async fn lag(&self) -> Result<Vec<ShardLag>> {
        lag(&*self.store, &self.shards()).await
    }

    /// The first event that was recorded at `moment` or later; `None` when there is none yet.
    ///
    /// # Errors
    ///
    /// Those of the connection.
    pub async fn first_event_since(&self, moment: Timestamp) -> Result<Option<LogEntry>> {
        self.store.locate(LogPoint::Since(moment)).await
    }

    /// What the store holds.
    ///
    /// # Errors
    ///
    /// Those of the connection.
    pub async fn statistics(&self) -> Result<Statistics> {
        self.store.statistics().await
    }

    /// Empties the store: events, views, progress, messages. For tests. A daemon that runs on it starts again.
    ///
    /// # Errors
    ///
    /// Those of the connection.
    pub async fn reset(&self) -> Result<()> {
        let daemon = self.plan.build(&self.store, ermine_daemon::Mode::Continuous)?;
        self.store.reset(daemon.registration()).await
    }
}

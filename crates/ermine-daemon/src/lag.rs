use std::time::Duration;

use ermine_core::{Bell, LogPoint, Observe, Result, Seq, ShardName, ports::Store};

/// How far a shard is behind the log, whichever process runs it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShardLag {
    /// Which shard.
    pub shard: ShardName,
    /// How far it has committed; `None` for one that has never run, which is fully behind.
    pub progress: Option<Seq>,
    /// How many numbers lie between its progress and the last event: an upper bound for the events in between.
    pub events: u64,
    /// How long ago the first event above its progress was recorded, by the store's clock; zero when there is none.
    pub age: Duration,
}

/// How far each of `shards` is behind the log, against what is committed by now.
///
/// # Errors
///
/// Those of the connection.
///
/// # Cancellation
///
/// Safe: it only reads.
pub async fn lag(store: &dyn Store, shards: &[ShardName]) -> Result<Vec<ShardLag>> {
    let stored = store.read_progress().await?;
    let now = store.observe(Observe { mark: Seq::ZERO, bell: Bell::Leave }).await?;
    let mut all = Vec::with_capacity(shards.len());
    for shard in shards {
        let progress = stored.iter().find(|p| p.shard == *shard).map(|p| p.seq);
        let at = progress.unwrap_or_default();
        let first = match at < now.highest_visible {
            true => store.locate(LogPoint::After(at)).await?,
            false => None,
        };
        let age = first.and_then(|first| Duration::try_from(now.at.duration_since(first.recorded_at)).ok());
        let events = now.highest_visible.max(at).since(at);
        all.push(ShardLag { shard: shard.clone(), progress, events, age: age.unwrap_or_default() });
    }
    Ok(all)
}

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Seq, ShardName};

/// Fences the writers of a shard: each taking of the shard raises it, and only the newest epoch may commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub i64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The right to commit to a shard, and where to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenShard {
    /// The shard.
    pub shard: ShardName,
    /// Its stored progress: every event at or below it has been applied.
    pub seq: Seq,
    /// The epoch that this taking began.
    pub epoch: Epoch,
}

/// How far a shard has committed, as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The shard.
    pub shard: ShardName,
    /// Every event at or below it has been applied.
    pub seq: Seq,
    /// The newest epoch.
    pub epoch: Epoch,
    /// How many events of unknown types the shard has passed.
    pub unknown_events: u64,
    /// How many events marked as skipped the shard has passed.
    pub skipped_events: u64,
    /// When it last moved, by the store's clock.
    pub moved_at: Timestamp,
}

/// What a store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statistics {
    /// How many events.
    pub events: u64,
    /// How many streams.
    pub streams: u64,
    /// The highest visible event.
    pub highest: Seq,
}

use std::time::Duration;

use ermine_core::{Seq, ShardName, Timestamp};
use serde::Serialize;

use crate::{Handle, ShardLag, ShardState, ShardStatus, lag};

/// From when on something counts as ill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Thresholds {
    /// How long a loop of the daemon may take for one turn. Default 60 s.
    pub turn_max: Duration,
    /// How many events a shard may be behind the log. Default: any number.
    pub events_max: Option<u64>,
    /// How old the first event may be that a shard has not applied. Default: any age.
    pub age_max: Option<Duration>,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { turn_max: Duration::from_secs(60), events_max: None, age_max: None }
    }
}

/// How a daemon and its shards are, ready to be sent as JSON.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Health {
    /// Whether every loop turns: a process that is not live has to be started again.
    pub live: bool,
    /// Whether every shard keeps up with the log, here or in another process.
    pub ready: bool,
    /// The high-water mark, where it is known.
    pub mark: Option<Seq>,
    /// Why the mark stands still, where it does.
    pub trouble: Option<String>,
    /// Why it cannot be said how far shards are behind, where that is so.
    pub store: Option<String>,
    /// The loops that serve all shards.
    pub loops: Vec<LoopHealth>,
    /// The shards in the order of registration.
    pub shards: Vec<ShardHealth>,
}

/// How a loop is.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct LoopHealth {
    /// Which loop.
    pub name: &'static str,
    /// How long ago it has turned, in milliseconds.
    pub turned_ms_ago: u64,
}

/// How a shard is.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ShardHealth {
    /// Which shard.
    pub shard: ShardName,
    /// `starting`, `running`, `retrying`, `paused`, `standby` or `stopped`.
    pub state: &'static str,
    /// Why, where it is not running.
    pub reason: Option<String>,
    /// Who wants it to stand still, where somebody does.
    pub by: Option<String>,
    /// When it goes on by itself.
    pub retry_at: Option<Timestamp>,
    /// The event at which it stands still.
    pub halted_at: Option<Seq>,
    /// The shards that it may not overtake, and that are no further than itself.
    pub blocked_by: Vec<ShardName>,
    /// How far it has committed.
    pub progress: Seq,
    /// How many numbers it is behind the last event; `None` when the store does not answer.
    pub behind_events: Option<u64>,
    /// How old the first event is that it has not applied, in seconds.
    pub behind_seconds: Option<f64>,
    /// Dead letters that this process has written for it.
    pub dead_letters: u64,
    /// Failures since the last commit.
    pub failures: u32,
    /// User code that takes long.
    pub slow: Option<String>,
    /// For how many seconds it has been behind the mark without a commit, where that is long.
    pub stalled_seconds: Option<f64>,
}

impl Handle {
    /// How this daemon is, measured against the log as it is now.
    ///
    /// # Cancellation
    ///
    /// Safe: it only reads.
    pub async fn health(&self, thresholds: &Thresholds) -> Health {
        let statuses = self.status();
        let shards: Vec<ShardName> = statuses.iter().map(|status| status.shard.clone()).collect();
        let lags = self.in_time("asking how far shards are behind", lag(&*self.store, &shards)).await;
        let (lags, store) = match lags {
            Ok(lags) => (lags, None),
            Err(error) => (Vec::new(), Some(error.chain())),
        };
        let milliseconds = |age: Duration| u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        let loops = self.pulses.iter().map(|(name, pulse)| (*name, pulse.age()));
        let live = loops.clone().all(|(_, age)| age <= thresholds.turn_max);
        let keeps_up = |lag: &ShardLag| {
            thresholds.events_max.is_none_or(|max| lag.events <= max)
                && thresholds.age_max.is_none_or(|max| lag.age <= max)
        };
        let is_at_work =
            |status: &ShardStatus| matches!(status.state, ShardState::Running | ShardState::Fenced { .. });
        let ready = live && store.is_none() && statuses.iter().all(is_at_work) && lags.iter().all(keeps_up);
        let shards = self.shards.iter().zip(statuses).map(|(shard, status)| {
            let lag = lags.iter().find(|lag| lag.shard == status.shard);
            let is_behind = self.mark().is_some_and(|mark| status.progress < mark.seq);
            let blocked_by = shard.blocked_at(status.progress).filter(|_| is_behind).collect();
            ShardHealth::of(status, blocked_by, lag)
        });
        Health {
            live,
            ready,
            mark: self.mark().map(|mark| mark.seq),
            trouble: self.trouble(),
            store,
            loops: loops.map(|(name, age)| LoopHealth { name, turned_ms_ago: milliseconds(age) }).collect(),
            shards: shards.collect(),
        }
    }
}

impl ShardHealth {
    fn of(status: ShardStatus, blocked_by: Vec<ShardName>, lag: Option<&ShardLag>) -> Self {
        let (state, by, reason, retry_at) = match status.state {
            ShardState::Starting => ("starting", None, None, None),
            ShardState::Running => ("running", None, None, None),
            ShardState::Retrying { reason, retry_at } => ("retrying", None, Some(reason), Some(retry_at)),
            ShardState::Paused { by, reason, retry_at } => {
                ("paused", Some(by.to_string()), Some(reason), retry_at)
            }
            ShardState::Fenced { retry_at } => ("standby", None, None, Some(retry_at)),
            ShardState::Stopped { reason } => ("stopped", None, Some(reason), None),
        };
        Self {
            shard: status.shard,
            state,
            reason,
            by,
            retry_at,
            halted_at: status.halted_at,
            blocked_by,
            progress: status.progress,
            behind_events: lag.map(|lag| lag.events),
            behind_seconds: lag.map(|lag| lag.age.as_secs_f64()),
            dead_letters: status.dead_letters,
            failures: status.failures,
            slow: status.slow.map(|slow| slow.to_string()),
            stalled_seconds: status.stalled_for.map(|stalled| stalled.as_secs_f64()),
        }
    }
}

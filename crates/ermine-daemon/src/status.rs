use std::fmt;

use ermine_core::{Epoch, Incarnation, Position, Seq, ShardName, Timestamp};

use crate::Mark;

/// What a shard is doing, as its worker says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShardStatus {
    /// Which shard.
    pub shard: ShardName,
    /// What it is doing.
    pub state: ShardState,
    /// Every event at or below it has been applied, and the commit has been answered.
    pub progress: Seq,
    /// The life of the store in which that is true.
    pub incarnation: Option<Incarnation>,
    /// The epoch in which this process holds the shard, where it does.
    pub epoch: Option<Epoch>,
    /// Events of unknown types that this process has passed in this shard.
    pub unknown_events: u64,
    /// Events marked as skipped that this process has passed in this shard.
    pub skipped_events: u64,
    /// Failures since the last commit.
    pub failures: u32,
}

impl ShardStatus {
    /// Whether everything up to `position` has been applied, as far as can be said at `mark`. Progress from before a
    /// crash says nothing about numbers that were drawn after it.
    pub(crate) fn has_reached(&self, position: Position, mark: Option<Mark>) -> bool {
        self.progress >= position.seq() && mark.is_some_and(|mark| self.incarnation == Some(mark.incarnation))
    }

    pub(crate) fn starting(shard: ShardName) -> Self {
        Self {
            shard,
            state: ShardState::Starting,
            progress: Seq::ZERO,
            incarnation: None,
            epoch: None,
            unknown_events: 0,
            skipped_events: 0,
            failures: 0,
        }
    }
}

impl fmt::Display for ShardStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is at {}, {}", self.shard, self.progress, self.state)
    }
}

/// What a shard's worker is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShardState {
    /// It waits for the mark, or takes the shard.
    Starting,
    /// It follows the log.
    Running,
    /// A passing fault has stopped it for a moment.
    Retrying {
        /// What failed.
        reason: String,
        /// When it goes on.
        retry_at: Timestamp,
    },
    /// A failure that will not pass by itself has stopped it.
    Paused {
        /// What failed.
        reason: String,
        /// When it tries again.
        retry_at: Timestamp,
    },
    /// Another process has taken the shard.
    Fenced {
        /// When it looks whether that process is still at work.
        retry_at: Timestamp,
    },
    /// It has ended, by request or for good.
    Stopped {
        /// Why.
        reason: String,
    },
}

impl fmt::Display for ShardState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => f.write_str("starting"),
            Self::Running => f.write_str("running"),
            Self::Retrying { reason, retry_at } => write!(f, "trying again at {retry_at:.0}: {reason}"),
            Self::Paused { reason, retry_at } => write!(f, "paused until {retry_at:.0}: {reason}"),
            Self::Fenced { retry_at } => {
                write!(f, "taken over by another process, looking again at {retry_at:.0}")
            }
            Self::Stopped { reason } => write!(f, "stopped: {reason}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use ermine_core::Uuid;

    use super::*;

    #[test]
    fn progress_counts_only_in_the_incarnation_of_the_mark() {
        let [before, after] = [1, 2].map(|n| Incarnation(Uuid::from_u128(n)));
        let mark = |incarnation| Some(Mark { seq: Seq::new(9), incarnation });
        let mut status = ShardStatus::starting("Trip:All".parse().unwrap());
        status.progress = Seq::new(9);
        status.incarnation = Some(before);
        let position = Position::new(Seq::new(9));
        assert!(status.has_reached(position, mark(before)));
        assert!(!status.has_reached(position, mark(after)), "the number may have been issued again");
        assert!(!status.has_reached(position, None), "nobody knows whether the store has crashed");
        assert!(!status.has_reached(Position::new(Seq::new(10)), mark(before)));
    }
}

use std::{fmt, time::Duration};

use ermine_core::{Epoch, Incarnation, Position, Seq, ShardName, SmolStr, Timestamp};

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
    /// Dead letters that this process has written for this shard.
    pub dead_letters: u64,
    /// The event at which it stands still, where one is to blame.
    pub halted_at: Option<Seq>,
    /// Failures since the last commit.
    pub failures: u32,
    /// User code that has been at work for long: for how long, and at which event, where that is known.
    pub slow: Option<SlowCode>,
    /// For how long it has been behind the mark without a commit, where that is long.
    pub stalled_for: Option<Duration>,
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
            dead_letters: 0,
            halted_at: None,
            failures: 0,
            slow: None,
            stalled_for: None,
        }
    }
}

impl fmt::Display for ShardStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is at {}, {}", self.shard, self.progress, self.state)?;
        if let Some(stalled) = self.stalled_for {
            write!(f, ", without a commit for {stalled:.0?}")?;
        }
        self.slow.as_ref().map_or(Ok(()), |slow| write!(f, ", {slow}"))
    }
}

/// User code that takes long; nobody else runs it meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlowCode {
    /// For how long it has been at work.
    pub working_for: Duration,
    /// The event that it is handling, where that is known.
    pub seq: Option<Seq>,
}

impl fmt::Display for SlowCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "its code has been at work for {:.0?}", self.working_for)?;
        self.seq.map_or(Ok(()), |seq| write!(f, " at event {seq}"))
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
    /// It stands still because of a failure, or because somebody wants that.
    Paused {
        /// Who wants it: an operator, or `policy`.
        by: SmolStr,
        /// Why.
        reason: String,
        /// When it goes on; `None` when somebody has to resume it.
        retry_at: Option<Timestamp>,
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

impl ShardState {
    pub(crate) const fn is_standing_still(&self) -> bool {
        matches!(self, Self::Paused { .. } | Self::Stopped { .. })
    }
}

impl fmt::Display for ShardState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => f.write_str("starting"),
            Self::Running => f.write_str("running"),
            Self::Retrying { reason, retry_at } => write!(f, "trying again at {retry_at:.0}: {reason}"),
            Self::Paused { by, reason, retry_at: Some(retry_at) } => {
                write!(f, "paused by {by} until {retry_at:.0}: {reason}")
            }
            Self::Paused { by, reason, retry_at: None } => {
                write!(f, "paused by {by} until somebody resumes it: {reason}")
            }
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

//! One shard: what it is made of, and the pipeline and the worker that run it.

mod budget;
mod busy;
mod changes;
mod commit;
mod entry;
mod fold;
mod known_views;
mod load;
mod pipeline;
mod replay;
mod rewind;
mod setback;
mod stages;
mod still;
mod triage;
mod worker;

use std::{collections::HashMap, sync::Arc};

use ermine_core::{Error, EventFilter, Options, ProjectionName, Result, Seq, ShardName, Start, ViewTable};

pub(crate) use busy::Busy;
pub(crate) use rewind::{Rewind, rewinds};
pub(crate) use stages::check_own;
pub(crate) use worker::Worker;

use crate::{
    ErrorTable, Late,
    registry::{Member, Work},
};

/// A part of what is registered that the engine runs on its own.
#[derive(Debug)]
pub(crate) struct Shard {
    pub(crate) name: ShardName,
    pub(crate) filter: EventFilter,
    pub(crate) work: Work,
    /// The shards whose progress moves with this one's.
    pub(crate) members: Vec<ShardName>,
    /// Where look-ups by the name of a projection go.
    pub(crate) tables: HashMap<ProjectionName, ViewTable>,
    /// The shards that this one never runs ahead of.
    pub(crate) after: Vec<ShardName>,
    pub(crate) start: Start,
    /// What is done about its failures.
    pub(crate) errors: Arc<ErrorTable>,
    pub(crate) options: Options,
}

impl Shard {
    pub(crate) const fn is_subscription(&self) -> bool {
        matches!(self.work, Work::Subscription(_))
    }

    /// The projection, where each of its views is the state of a stream, and can be made again out of that.
    pub(crate) fn stream_state(&self) -> Option<&Member> {
        match &self.work {
            Work::Stages(stages) => match (&stages[..], stages.first().map(Vec::as_slice)) {
                ([_], Some([one])) if one.is_stream_state => Some(one),
                _ => None,
            },
            Work::Subscription(_) => None,
        }
    }

    pub(crate) fn late(&self) -> Late {
        match self.work {
            Work::Subscription(_) => Late::Deliver,
            Work::Stages(_) if self.stream_state().is_some() => Late::FoldAgain,
            Work::Stages(_) => Late::OnTop,
        }
    }
}

/// Whether a run follows the log for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// It follows the mark until it is told to stop, and outlives every failure.
    #[default]
    Continuous,
    /// It ends when it has committed everything up to `ceiling`, or at the first failure that does not pass.
    Rebuild {
        /// The last number to apply: that of an event. A number that no event has may never be reached, because the
        /// mark does not pass the highest visible event.
        ceiling: Seq,
    },
    /// It ends when it has committed everything up to `ceiling`, which must be the number of an event, or at the first
    /// failure that does not pass; effects happen as they always do.
    CatchUp {
        /// The last number to apply.
        ceiling: Seq,
    },
}

impl Mode {
    /// How far a run may go when everything up to `mark` is settled.
    fn limit(self, mark: Seq) -> Seq {
        match self {
            Self::Continuous => mark,
            Self::Rebuild { ceiling } | Self::CatchUp { ceiling } => mark.min(ceiling),
        }
    }

    fn is_finished(self, position: Seq) -> bool {
        match self {
            Self::Continuous => false,
            Self::Rebuild { ceiling } | Self::CatchUp { ceiling } => position >= ceiling,
        }
    }
}

/// Waits for an answer of the store, but not for ever.
async fn answer<T>(
    deadline: std::time::Duration,
    doing: impl FnOnce() -> String,
    call: impl Future<Output = Result<T>>,
) -> Result<T> {
    match tokio::time::timeout(deadline, call).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(error.context(doing())),
        Err(_) => Err(Error::new(
            ermine_core::ErrorKind::OutcomeUnknown,
            format!("{}: no answer within {deadline:?}", doing()),
        )),
    }
}

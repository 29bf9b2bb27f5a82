//! One shard: what it is made of, and the pipeline and the worker that run it.

mod budget;
mod changes;
mod commit;
mod fold;
mod known_views;
mod load;
mod pipeline;
mod rewind;
mod stages;
mod worker;

use std::collections::HashMap;

use ermine_core::{Error, EventFilter, Options, ProjectionName, Result, Seq, ShardName, Start, ViewTable};

pub(crate) use rewind::{Rewind, rewinds};
pub(crate) use stages::check_own;
pub(crate) use worker::Worker;

use crate::registry::Work;

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
    /// Whether it pauses at an event of an unknown type.
    pub(crate) refuses_unknown: bool,
    pub(crate) options: Options,
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

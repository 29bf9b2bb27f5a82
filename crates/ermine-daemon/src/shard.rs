//! One shard: what it is made of, and the pipeline and the worker that run it.

mod budget;
mod commit;
mod fold;
mod known_views;
mod load;
mod pipeline;
mod worker;

use std::sync::Arc;

use ermine_core::{Definition, Error, EventFilter, Projection, Result, Seq, ShardName, TypeName, ViewTable};

pub(crate) use worker::Worker;

/// A projection as the engine runs it.
#[derive(Debug)]
pub(crate) struct Shard {
    pub(crate) name: ShardName,
    pub(crate) table: ViewTable,
    pub(crate) filter: EventFilter,
    pub(crate) projection: Arc<dyn Projection>,
}

impl Shard {
    pub(crate) fn new(projection: Arc<dyn Projection>, definition: &Definition, known: &[TypeName]) -> Self {
        Self {
            name: definition.shard(),
            table: definition.table(),
            filter: EventFilter::new(definition.types.iter().cloned(), known.iter().cloned()),
            projection,
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
}

impl Mode {
    /// How far a run may go when everything up to `mark` is settled.
    fn limit(self, mark: Seq) -> Seq {
        match self {
            Self::Continuous => mark,
            Self::Rebuild { ceiling } => mark.min(ceiling),
        }
    }

    fn is_finished(self, position: Seq) -> bool {
        matches!(self, Self::Rebuild { ceiling } if position >= ceiling)
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

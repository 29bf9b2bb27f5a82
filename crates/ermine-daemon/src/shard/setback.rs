use ermine_core::{Error, Seq, ViewKey};

use crate::errors::Verdict;

/// Why a pipeline has ended, and what is known of the remedy.
#[derive(Debug)]
pub(super) struct Setback {
    pub(super) error: Error,
    pub(super) remedy: Remedy,
}

/// What helps against a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    /// The rules say, by the class of the error.
    Rules,
    /// The rules have said it of this event already.
    Decided(Verdict, Seq),
    /// One of the events in the page is to blame: it is read again with so many events at most.
    Narrow(usize),
    /// This event is to blame, in this view where it is known.
    Blame(Seq, Option<ViewKey>),
}

impl From<Error> for Setback {
    fn from(error: Error) -> Self {
        Self { error, remedy: Remedy::Rules }
    }
}

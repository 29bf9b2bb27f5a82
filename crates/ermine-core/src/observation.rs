use std::time::Duration;

use jiff::Timestamp;
use smol_str::SmolStr;
use uuid::Uuid;

use crate::Seq;

/// One life of a store between crashes.
///
/// After a crash or a fail-over numbers may be issued again, so whatever was learnt about the log in one
/// incarnation must not be used in another. A clean restart keeps the incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Incarnation(pub Uuid);

/// What a store can say about its log at one moment, read in the order of the fields.
///
/// The order is what makes the mark exact: whoever is not yet among the appends in flight when `evidence` is read
/// draws numbers above `last`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// Read first of all.
    pub incarnation: Incarnation,
    /// The last number drawn by anybody (S0).
    pub last: Seq,
    /// What was in flight after `last` was read (S1).
    pub evidence: Evidence,
    /// The last number drawn, read again after the evidence (S2).
    pub last_again: Seq,
    /// The highest event that a statement after all of the above sees (H); [`Seq::ZERO`] when there is none.
    pub highest_visible: Seq,
    /// The store's clock.
    pub at: Timestamp,
}

/// How a store knows that a number can no longer become an event.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Evidence {
    /// The floors of all appends in flight, in no order: every number that one of them may still use is above its
    /// floor. Exact.
    Floors(Vec<Seq>),
    /// Everybody who may have drawn a number and not ended yet. Exact, but coarser than floors.
    Holders(Vec<HolderId>),
    /// Nothing but what is visible: all numbers in `(mark, contiguous]` are events, and the next event after a hole
    /// is `next`. Cannot tell a late number from a dead one.
    Visible {
        /// The end of the run of events without holes that starts at the mark; the mark itself where there is none.
        contiguous: Seq,
        /// The first event after the hole that follows, where there is one.
        next: Option<Seq>,
    },
}

/// One transaction that may have drawn a number: unique among those in flight, and never used again in an
/// incarnation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HolderId(pub SmolStr);

/// What an observer asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observe {
    /// The observer's mark: where [`Evidence::Visible`] starts to look.
    pub mark: Seq,
    /// What to do with the doorbell before anything is read.
    pub bell: Bell,
}

/// The doorbell: whether appends notify this store's observers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bell {
    /// Appends shall ring for at least this long from now.
    Arm(Duration),
    /// As it is.
    Leave,
    /// Appends need not ring for this observer's sake; others may still want them to.
    Silence,
}

/// Who keeps the mark from moving.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Numbers above this one are not settled because of it.
    pub floor: Seq,
    /// The server process, where there is one; a prepared transaction has none.
    pub pid: Option<i32>,
    /// The application's name for itself.
    pub application: Option<String>,
    /// What the session is doing, or the name of the prepared transaction.
    pub state: String,
    /// How long its transaction has been open.
    pub age: Duration,
    /// The beginning of its current or last statement, where it may be seen.
    pub query: Option<String>,
}

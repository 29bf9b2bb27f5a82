use std::time::Duration;

use ermine_core::Evidence;

/// How the tracker decides that a number can no longer become an event.
///
/// One tracker follows one policy: the store's evidence has to be of the kind that the policy reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Policy {
    /// By the floors of the appends in flight ([`Evidence::Floors`]). The default of stores that can.
    ///
    /// Exact, at once after a restart too. It risks nothing as long as every append takes its floor before it draws a
    /// number; a store has to refuse those that do not.
    Floors,
    /// By who held the sequence when it stood where it stood ([`Evidence::Holders`]).
    ///
    /// Exact as well, and it asks nothing of appends, but coarser: the mark takes only values that the last number had in
    /// earlier observations, whoever merely looks at the sequence in a long transaction holds it, a savepoint that was
    /// rolled back holds it to the end of its transaction, and a fresh reader waits for all who hold the sequence then.
    /// It risks delay, and no event; a number drawn in one transaction and used in another is lost, since nothing can
    /// refuse it.
    SequenceEpochs,
    /// By the clock, where the store can prove nothing ([`Evidence::Visible`]).
    ///
    /// **Loses events**: a number whose transaction takes longer than these times is passed and its event is never
    /// delivered. Never a default. Each skip is in the verdict, so that the driver records and counts it, and the tracker
    /// asks several times later to look for events in the span that arrived after all.
    ///
    /// Both times are of the store's clock; when that jumps forward, holes look older than they are.
    TimedSkip {
        /// How long the mark has to stand before the same hole until the tracker skips at all.
        threshold: Duration,
        /// How long ago a number has to have been drawn to be skipped: nothing above the last number of that moment is,
        /// however long the mark has stood.
        safe_harbour: Duration,
    },
}

impl Policy {
    /// [`TimedSkip`](Self::TimedSkip) with 3 seconds for both times.
    #[must_use]
    pub const fn timed_skip() -> Self {
        Self::TimedSkip { threshold: Duration::from_secs(3), safe_harbour: Duration::from_secs(3) }
    }

    /// Whether no number is ever passed that can still become an event.
    ///
    /// ```
    /// # use ermine_highwater::Policy;
    /// assert!(Policy::Floors.is_exact() && Policy::SequenceEpochs.is_exact());
    /// assert!(!Policy::timed_skip().is_exact());
    /// ```
    #[must_use]
    pub const fn is_exact(&self) -> bool {
        !matches!(self, Self::TimedSkip { .. })
    }

    /// The policy as messages call it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Floors => "floors",
            Self::SequenceEpochs => "sequence epochs",
            Self::TimedSkip { .. } => "timed skip",
        }
    }
}

/// The kind of evidence as messages call it.
pub(crate) fn evidence_name(evidence: &Evidence) -> &'static str {
    match evidence {
        Evidence::Floors(_) => "floors",
        Evidence::Holders(_) => "holders of the sequence",
        Evidence::Visible { .. } => "visible events",
        _ => "evidence of an unknown kind",
    }
}

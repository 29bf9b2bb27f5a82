use ermine_core::{EventRange, HolderId, Incarnation, Seq};

/// What the driver has to do about an observation.
#[must_use = "a dropped verdict stalls every shard"]
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The log is as it should be: publish the mark if it moved, and go on.
    Sound(Outlook),
    /// The store has lost what it had shown: forget everything about its log, drop this tracker, read the stored progress
    /// again and resume from that. The tracker did not move, and keeps saying this.
    Rewound {
        /// The store's life now.
        incarnation: Incarnation,
    },
    /// The store has drawn fewer numbers than this tracker knows of, within one incarnation: it was restored from a
    /// backup, or somebody set the sequence back. Stop and refuse to go on, since numbers are being issued again. The tracker
    /// did not move.
    Backwards {
        /// The last number drawn, as the store says.
        last: Seq,
        /// The highest number known to have been drawn or settled before.
        known: Seq,
    },
    /// The store's evidence is not of the kind that the policy reads: a mistake in the program. The tracker did not move.
    Unfit {
        /// The policy.
        policy: &'static str,
        /// What the store gave.
        evidence: &'static str,
    },
}

/// What the log looks like from the mark.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outlook {
    /// What became settled by this observation, from the old mark to the new one; `None` when the mark stands.
    pub advanced: Option<EventRange>,
    /// What to do next.
    pub next: Next,
    /// The hole that was passed by the clock: record and count it. It lies in `advanced`. Only under
    /// [`Policy::TimedSkip`](crate::Policy::TimedSkip).
    pub skipped: Option<EventRange>,
    /// Holes skipped earlier whose turn it is to be looked at again: whatever event is visible in one arrived after all,
    /// and was lost to those who read on.
    pub look_back: Vec<EventRange>,
    /// Holes skipped earlier that the tracker looks at no longer: old enough after this last look, or pushed out by newer
    /// ones. What was recorded of them is all there is from now on.
    pub released: Vec<EventRange>,
}

/// How the driver goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Next {
    /// Nothing is in flight, nothing is ahead, and whoever appends from now on rings: sleep until the bell or the safety
    /// poll.
    MaySleep,
    /// Nothing is in flight and nothing ahead, but the bell was not armed before this observation: arm it and look again, or
    /// poll.
    CaughtUp,
    /// Something keeps the mark from moving: look again soon.
    Held(Hold),
    /// Numbers were drawn or events committed while the observation was made: look again soon.
    Moving,
}

/// What keeps the mark from moving.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hold {
    /// Appends in flight, of which this is the lowest floor: numbers above it are not settled.
    Floor(Seq),
    /// Transactions that may have drawn a number above `floor`.
    Holders {
        /// Everything at or below it is settled.
        floor: Seq,
        /// Who they are.
        holders: Vec<HolderId>,
    },
    /// Numbers that were drawn and cannot be seen, and have not been waited for long enough.
    Hole(EventRange),
}

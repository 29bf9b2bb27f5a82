use ermine_core::{EventRange, Evidence, HolderId, Incarnation, Observation, Seq};

use crate::{
    Hold, Next, Outlook, Policy, Verdict,
    epochs::Epochs,
    policy::evidence_name,
    timed::{Glance, Patience},
};

/// Turns observations of a store into the high-water mark.
///
/// # Contract
///
/// - The mark starts at the stored progress, and nothing else is remembered from before.
/// - Every number at or below the mark is settled, under an exact [`Policy`].
/// - The mark never goes back, and never passes the highest visible event: nobody waits for a tail of dead numbers.
/// - Once writers end, the next observation brings the mark to the last visible event; under [`Policy::SequenceEpochs`]
///   it may take that one and another.
/// - [`Next::MaySleep`] is said only when every event that is still to come rings. Under [`Policy::TimedSkip`] a number that
///   was taken for dead does not: the safety poll finds its event.
/// - Observations are handed in in the order in which they were asked for, and each was asked for after the verdict on the
///   one before.
#[derive(Clone, Debug)]
pub struct Tracker {
    policy: Policy,
    incarnation: Option<Incarnation>,
    mark: Seq,
    /// The highest number that the store has said was drawn.
    drawn: Seq,
    method: Method,
}

/// What each policy remembers.
#[derive(Clone, Debug)]
enum Method {
    Floors,
    Epochs(Epochs),
    Timed(Box<Patience>),
}

/// What one method makes of an observation.
pub(crate) struct Finding {
    /// Everything at or below it is settled, or believed to be.
    pub(crate) settled: Seq,
    /// What is in flight; nothing when every number drawn is settled.
    pub(crate) hold: Option<Hold>,
    pub(crate) skipped: Option<EventRange>,
    pub(crate) look_back: Vec<EventRange>,
    pub(crate) released: Vec<EventRange>,
}

impl Finding {
    fn of(settled: Seq, hold: Option<Hold>) -> Self {
        Self { settled, hold, skipped: None, look_back: Vec::new(), released: Vec::new() }
    }
}

impl Tracker {
    /// A tracker that starts from `progress`, as read from the store. Of several shards the furthest will do: whatever
    /// was stored as progress had been settled before.
    ///
    /// The first observation says in which incarnation it lives. Where an observation was made before the progress was
    /// read, say so with [`in_incarnation`](Self::in_incarnation): otherwise a crash between reading the progress and the
    /// first observation goes unnoticed.
    #[must_use]
    pub fn resume(progress: Seq, policy: Policy) -> Self {
        let method = match policy {
            Policy::Floors => Method::Floors,
            Policy::SequenceEpochs => Method::Epochs(Epochs::default()),
            Policy::TimedSkip { threshold, safe_harbour } => {
                Method::Timed(Box::new(Patience::new(threshold, safe_harbour)))
            }
        };
        Self { policy, incarnation: None, mark: progress, drawn: Seq::ZERO, method }
    }

    /// Binds the tracker to the incarnation in which the progress was read.
    ///
    /// ```
    /// # use ermine_core::{Evidence, Incarnation, Observation, Seq, Timestamp, Uuid};
    /// # use ermine_highwater::{Policy, Tracker, Verdict};
    /// let before = Incarnation(Uuid::from_u128(1)); // of an observation, then progress was read
    /// let mut tracker = Tracker::resume(Seq::new(7), Policy::Floors).in_incarnation(before);
    /// # let last = Seq::new(9);
    /// # let at = Timestamp::UNIX_EPOCH;
    /// # let evidence = Evidence::Floors(vec![]);
    /// let incarnation = Incarnation(Uuid::from_u128(2)); // then it crashed
    /// let observation = Observation { incarnation, last, evidence, last_again: last, highest_visible: last, at };
    /// assert_eq!(tracker.handle_observation(&observation, true), Verdict::Rewound { incarnation });
    /// ```
    #[must_use]
    pub fn in_incarnation(mut self, incarnation: Incarnation) -> Self {
        self.incarnation = Some(incarnation);
        self
    }

    /// Every number at or below it is settled.
    #[must_use]
    pub fn mark(&self) -> Seq {
        self.mark
    }

    /// How the tracker decides.
    #[must_use]
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// The incarnation that the mark belongs to, once it is known.
    #[must_use]
    pub fn incarnation(&self) -> Option<Incarnation> {
        self.incarnation
    }

    /// How many numbers have been skipped by the clock; 0 under an exact policy.
    #[must_use]
    pub fn skipped_numbers(&self) -> u64 {
        match &self.method {
            Method::Timed(patience) => patience.skipped_numbers(),
            _ => 0,
        }
    }

    /// The holes skipped by the clock that are still looked at, in the order of the log.
    pub fn watched(&self) -> impl Iterator<Item = EventRange> {
        let patience = match &self.method {
            Method::Timed(patience) => Some(patience),
            _ => None,
        };
        patience.into_iter().flat_map(|patience| patience.watched())
    }

    /// Takes in what the store said when it was asked with [`mark`](Self::mark).
    ///
    /// `armed` is whether the bell was armed before this observation was asked for, or by it ([`Bell::Arm`]), lasts
    /// until after the sleep that might follow, and was listened to all the while. Only then may the verdict be
    /// [`Next::MaySleep`].
    ///
    /// [`Bell::Arm`]: ermine_core::Bell::Arm
    pub fn handle_observation(&mut self, observation: &Observation, armed: bool) -> Verdict {
        let incarnation = *self.incarnation.get_or_insert(observation.incarnation);
        if incarnation != observation.incarnation {
            return Verdict::Rewound { incarnation: observation.incarnation };
        }
        let known = self.drawn.max(self.mark);
        if observation.last < known {
            return Verdict::Backwards { last: observation.last, known };
        }
        if observation.last_again < observation.last {
            return Verdict::Backwards { last: observation.last_again, known: observation.last };
        }
        let Some(finding) = self.find(observation) else {
            let evidence = evidence_name(&observation.evidence);
            return Verdict::Unfit { policy: self.policy.name(), evidence };
        };
        self.drawn = observation.last_again;
        Verdict::Sound(self.conclude(finding, observation, armed))
    }

    fn find(&mut self, observation: &Observation) -> Option<Finding> {
        let last = observation.last;
        let finding = match (&mut self.method, &observation.evidence) {
            (Method::Floors, Evidence::Floors(floors)) => by_floors(last, floors),
            (Method::Epochs(epochs), Evidence::Holders(holders)) => by_epochs(epochs, last, holders),
            (Method::Timed(patience), Evidence::Visible { contiguous, next }) => {
                let glance = Glance {
                    last,
                    mark: self.mark,
                    contiguous: *contiguous,
                    next: *next,
                    highest_visible: observation.highest_visible,
                    at: observation.at,
                };
                patience.observe(&glance)
            }
            _ => return None,
        };
        Some(finding)
    }

    fn conclude(&mut self, finding: Finding, observation: &Observation, armed: bool) -> Outlook {
        let before = self.mark;
        // A floor may be below the mark: it was read before others drew numbers, and its own lie above them.
        self.mark = before.max(finding.settled.min(observation.highest_visible));
        let Finding { hold, skipped, look_back, released, .. } = finding;
        let next = match hold {
            Some(hold) => Next::Held(hold),
            None if self.is_quiet(observation) && armed => Next::MaySleep,
            None if self.is_quiet(observation) => Next::CaughtUp,
            None => Next::Moving,
        };
        Outlook { advanced: EventRange::new(before, self.mark), next, skipped, look_back, released }
    }

    /// With nothing in flight, every number up to `last` is settled, hence below the mark or dead. Who draws a number
    /// later was not in flight when the evidence was read, so they read the bell after it was armed; unless they came and
    /// went between the evidence and now, and then `last_again` shows it.
    fn is_quiet(&self, observation: &Observation) -> bool {
        observation.last_again == observation.last && observation.highest_visible <= self.mark
    }
}

fn by_floors(last: Seq, floors: &[Seq]) -> Finding {
    let lowest = floors.iter().min().copied();
    Finding::of(lowest.map_or(last, |floor| floor.min(last)), lowest.map(Hold::Floor))
}

fn by_epochs(epochs: &mut Epochs, last: Seq, holders: &[HolderId]) -> Finding {
    let floor = epochs.observe(last, holders);
    let hold = (!holders.is_empty()).then(|| Hold::Holders { floor, holders: holders.to_vec() });
    Finding::of(floor, hold)
}

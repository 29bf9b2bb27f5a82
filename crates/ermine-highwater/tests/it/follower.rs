//! What a driver and a shard do with the tracker, one step at a time, and what must never be.

use std::collections::BTreeSet;

use ermine_core::{EventRange, Evidence, Incarnation, Observation, Seq};
use ermine_highwater::{Next, Outlook, Policy, Tracker, Verdict};

use crate::model::Database;

#[derive(Clone, Debug)]
pub(crate) struct Follower {
    pub(crate) tracker: Tracker,
    look: Option<Looking>,
    asleep: bool,
    /// Whether the next look arms the bell.
    pub(crate) wants_bell: bool,
    /// The shard's position, and the events it was given.
    position: Seq,
    pub(crate) seen: BTreeSet<u64>,
    /// The incarnation of a rewound store, until progress has been read again.
    rewound: Option<Incarnation>,
    pub(crate) skipped: Vec<EventRange>,
    /// Events found by looking at skipped holes again.
    pub(crate) late: BTreeSet<u64>,
    pub(crate) released: Vec<EventRange>,
}

/// An observation under way.
#[derive(Clone, Debug)]
struct Looking {
    armed: bool,
    incarnation: Incarnation,
    last: Option<Seq>,
    evidence: Option<Evidence>,
    last_again: Option<Seq>,
}

impl Follower {
    pub(crate) fn new(policy: Policy, db: &Database) -> Self {
        Self {
            tracker: Tracker::resume(db.progress(), policy).in_incarnation(db.incarnation()),
            look: None,
            asleep: false,
            wants_bell: true,
            position: db.progress(),
            seen: BTreeSet::new(),
            rewound: None,
            skipped: Vec::new(),
            late: BTreeSet::new(),
            released: Vec::new(),
        }
    }

    pub(crate) fn wake(&mut self) {
        self.asleep = false;
    }

    /// The connection is gone, and whoever holds it tries again without another thought.
    pub(crate) fn lose_connection(&mut self) {
        self.look = None;
        self.asleep = false;
    }

    /// The next step of an observation, or of coming back after a crash.
    pub(crate) fn look(&mut self, db: &mut Database) -> Option<Verdict> {
        // A ring that is heard while it looks is forgotten at once, which is less than what the port promises.
        if std::mem::take(&mut db.rung) {
            self.asleep = false;
        }
        if self.asleep {
            return None;
        }
        if let Some(incarnation) = self.rewound.take() {
            self.position = db.progress();
            self.tracker = Tracker::resume(self.position, self.tracker.policy()).in_incarnation(incarnation);
            self.seen.retain(|n| *n <= self.position.get());
            return None;
        }
        let Some(mut look) = self.look.take() else {
            db.set_bell(self.wants_bell);
            self.look = Some(Looking {
                armed: self.wants_bell,
                incarnation: db.incarnation(),
                last: None,
                evidence: None,
                last_again: None,
            });
            return None;
        };
        if look.last.is_none() {
            look.last = Some(db.last());
        } else if look.evidence.is_none() {
            look.evidence = Some(db.evidence(self.tracker.mark()));
        } else if look.last_again.is_none() {
            look.last_again = Some(db.last());
        } else {
            return Some(self.conclude(look, db));
        }
        self.look = Some(look);
        None
    }

    /// Looks until there is a verdict; progress is read on the way where it has to be.
    pub(crate) fn look_through(&mut self, db: &mut Database) -> Option<Verdict> {
        (0..6).find_map(|_| self.look(db))
    }

    /// One observation from its beginning.
    pub(crate) fn look_afresh(&mut self, db: &mut Database) -> Outlook {
        self.wake();
        self.look = None;
        match self.look_through(db) {
            Some(Verdict::Sound(outlook)) => outlook,
            other => panic!("{other:?}"),
        }
    }

    fn conclude(&mut self, look: Looking, db: &mut Database) -> Verdict {
        let observation = Observation {
            incarnation: look.incarnation,
            last: look.last.expect("it was read"),
            evidence: look.evidence.expect("it was read"),
            last_again: look.last_again.expect("it was read"),
            highest_visible: db.highest_visible(),
            at: db.at(),
        };
        let before = self.tracker.mark();
        let verdict = self.tracker.handle_observation(&observation, look.armed);
        assert_eq!(look.incarnation, db.incarnation(), "a crash ends the observation");
        assert!(before <= self.tracker.mark(), "the mark went back");
        match &verdict {
            Verdict::Sound(outlook) => self.take(outlook, before, look.armed, db),
            Verdict::Rewound { incarnation } => {
                assert_eq!(*incarnation, db.incarnation());
                assert_eq!(before, self.tracker.mark());
                self.rewound = Some(*incarnation);
            }
            other => panic!("{other:?}"),
        }
        verdict
    }

    fn take(&mut self, outlook: &Outlook, before: Seq, armed: bool, db: &Database) {
        assert_eq!(outlook.advanced, EventRange::new(before, self.tracker.mark()));
        self.asleep = outlook.next == Next::MaySleep;
        assert!(armed || !self.asleep, "nobody would ring");
        self.skipped.extend(outlook.skipped);
        for hole in &outlook.look_back {
            self.late.extend(db.read(hole.floor(), hole.ceiling()));
        }
        self.released.extend(&outlook.released);
    }

    /// What the shard does: gives the events up to the mark to the projection.
    pub(crate) fn read(&mut self, db: &Database) {
        if self.tracker.incarnation() == Some(db.incarnation()) && self.rewound.is_none() {
            let events = db.read(self.position, self.tracker.mark());
            assert!(events.iter().all(|n| self.seen.insert(*n)), "an event came twice");
            self.position = self.position.max(self.tracker.mark());
        }
    }

    pub(crate) fn store_progress(&mut self, db: &mut Database, sync: bool) {
        if self.tracker.incarnation() == Some(db.incarnation()) && self.rewound.is_none() {
            db.store_progress(self.position, sync);
        }
    }

    /// What must hold after every step, whatever the policy.
    pub(crate) fn check(&self, db: &Database) {
        if self.tracker.incarnation() != Some(db.incarnation()) || self.rewound.is_some() {
            return; // it has yet to find out
        }
        let mark = self.tracker.mark();
        assert!(mark <= db.last(), "the mark {mark} passed numbers that nobody has drawn");
        if self.asleep && !db.rung && self.tracker.policy().is_exact() {
            let unheard = db.ended_events().find(|n| *n > mark.get());
            assert_eq!(unheard, None, "asleep at {mark}, and nobody rang");
        }
    }

    /// What must hold after every step under an exact policy.
    pub(crate) fn check_exact(&self, db: &Database) {
        self.check(db);
        if self.tracker.incarnation() == Some(db.incarnation()) && self.rewound.is_none() {
            let mark = self.tracker.mark();
            let passed = db.unsettled().find(|n| *n <= mark.get());
            assert_eq!(passed, None, "the mark {mark} passed a number in flight");
            let missed = db.read(Seq::ZERO, self.position).into_iter().find(|n| !self.seen.contains(n));
            assert_eq!(missed, None, "the shard is at {} without an event", self.position);
        }
    }
}

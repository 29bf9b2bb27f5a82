//! The timed policy: what it passes unseen is old, recorded, counted, and looked at again.

use std::time::Duration;

use ermine_core::{EventRange, Evidence, Seq};
use ermine_highwater::{Next, Outlook, Policy, Verdict};
use proptest::prelude::*;

use crate::{
    follower::Follower,
    model::{Database, Kind},
    operation::{Operation, operations},
};

/// The times of the policy under test.
#[derive(Clone, Copy, Debug)]
struct Times {
    threshold_ms: i64,
    harbour_ms: i64,
}

impl Times {
    fn policy(self) -> Policy {
        let duration = |ms: i64| Duration::from_millis(ms.unsigned_abs());
        Policy::TimedSkip { threshold: duration(self.threshold_ms), safe_harbour: duration(self.harbour_ms) }
    }
}

/// A shard that reads at once, so that what it misses is what was skipped, and keeps its own account of the waiting.
struct Watch {
    times: Times,
    db: Database,
    follower: Follower,
    /// The number before the hole that is waited for, and since when.
    waiting: Option<(Seq, i64)>,
    has_just_skipped: bool,
}

impl Watch {
    fn new(times: Times) -> Self {
        let db = Database::new(Kind::Visible);
        let follower = Follower::new(times.policy(), &db);
        Self { times, db, follower, waiting: None, has_just_skipped: false }
    }

    /// Looks in one go: between evidence and verdict a late event may fill the hole, which is a risk of the policy.
    fn look(&mut self) -> Option<Outlook> {
        let (from, skips) = (self.follower.tracker.mark(), self.follower.skipped.len());
        let Evidence::Visible { contiguous, next } = self.db.evidence(from) else { panic!("{:?}", self.db) };
        let outlook = match self.follower.look_through(&mut self.db)? {
            Verdict::Sound(outlook) => outlook,
            other => panic!("{other:?}"),
        };
        if next.is_some() && self.waiting.is_none_or(|(floor, _)| floor != contiguous) {
            self.waiting = Some((contiguous, self.db.now_ms));
        }
        self.check_what_was_passed(from, skips);
        self.follower.check(&self.db);
        self.follower.read(&self.db);
        self.has_just_skipped = outlook.skipped.is_some();
        Some(outlook)
    }

    /// Every number that the mark passes was visible then, or stands in one skipped hole, is old, and was waited for.
    fn check_what_was_passed(&self, from: Seq, skips_before: usize) {
        let (db, mark) = (&self.db, self.follower.tracker.mark());
        let skips = &self.follower.skipped[skips_before..];
        for number in from.get() + 1..=mark.get() {
            let recorded = skips.iter().filter(|hole| hole.contains(Seq::new(number))).count();
            let visible = db.visible().contains(&number);
            assert_eq!(recorded, usize::from(!visible), "number {number} was passed, visible: {visible}");
            assert!(visible || db.age_ms(number) >= self.times.harbour_ms, "number {number} is too young");
        }
        for hole in skips {
            assert!(hole.floor() >= from && hole.ceiling() <= mark);
            let waited_ms = self.waiting.map_or(0, |(_, since)| db.now_ms - since);
            assert!(self.has_just_skipped || waited_ms >= self.times.threshold_ms, "waited {waited_ms} ms");
        }
    }
}

fn run_timed(times: Times, operations: &[Operation]) {
    let mut watch = Watch::new(times);
    for operation in operations {
        match operation {
            Operation::Crash(_) => (), // it would end the tracker and its counts
            Operation::Look | Operation::LookThrough => _ = watch.look(),
            operation => operation.apply(&mut watch.db, &mut watch.follower),
        }
        watch.follower.check(&watch.db);
    }
    reaches_the_end(&mut watch);
    knows_what_was_lost(&mut watch);
}

fn reaches_the_end(watch: &mut Watch) {
    watch.db.stop_writers();
    watch.follower.wants_bell = true;
    for _ in 0..500 {
        watch.follower.wake();
        if watch.look().is_some_and(|outlook| outlook.next == Next::MaySleep) {
            assert_eq!(watch.follower.tracker.mark(), watch.db.highest_visible(), "writers have ended");
            return;
        }
        watch.db.now_ms += 500;
    }
    panic!("it never comes to rest: {:?}", watch.follower.tracker);
}

/// Every hole is looked at once more after the last late event, and released at last.
fn knows_what_was_lost(watch: &mut Watch) {
    let Watch { db, follower, .. } = watch;
    let spans: u64 = follower.skipped.iter().map(EventRange::span).sum();
    assert_eq!(follower.tracker.skipped_numbers(), spans, "skipped numbers are counted");
    db.now_ms += 10_000_000;
    follower.look_afresh(db);
    let lost = db.visible().difference(&follower.seen);
    let unknown: Vec<_> = lost.filter(|n| !follower.late.contains(n)).collect();
    assert!(unknown.is_empty(), "{unknown:?} arrived late, and nobody knows");
    for _ in 0..12 {
        db.now_ms += 10_000_000;
        follower.look_afresh(db);
    }
    assert_eq!(follower.tracker.watched().count(), 0);
    let mut released = follower.released.clone();
    released.sort_by_key(EventRange::floor);
    assert_eq!(released, follower.skipped);
}

fn times() -> impl Strategy<Value = Times> {
    let ms = || prop_oneof![Just(0), Just(400), Just(3000), Just(7000)];
    (ms(), ms()).prop_map(|(threshold_ms, harbour_ms)| Times { threshold_ms, harbour_ms })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_timed_skip_is_recorded_and_looked_at_again(times in times(), operations in operations()) {
        run_timed(times, &operations);
    }
}

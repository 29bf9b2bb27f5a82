//! The exact policies: nothing is lost, nothing goes back, nobody oversleeps.

use ermine_highwater::{Next, Policy, Verdict};
use proptest::prelude::*;

use crate::{
    follower::Follower,
    model::{Database, Kind},
    operation::{Operation, operations, operations_among_crashes},
};

/// How many observations bring the mark to the end once writers have stopped.
fn looks_to_the_end(kind: Kind) -> usize {
    if kind == Kind::Holders { 2 } else { 1 }
}

fn run_exact(kind: Kind, policy: Policy, operations: &[Operation]) {
    let mut db = Database::new(kind);
    let mut follower = Follower::new(policy, &db);
    for operation in operations {
        operation.apply(&mut db, &mut follower);
        follower.check_exact(&db);
    }
    reaches_the_end(kind, &mut db, &mut follower);
}

fn reaches_the_end(kind: Kind, db: &mut Database, follower: &mut Follower) {
    db.stop_writers();
    follower.check_exact(db);
    follower.wake();
    // What is under way, and coming back after a crash.
    for _ in 0..3 {
        if !matches!(follower.look_through(db), Some(Verdict::Rewound { .. }) | None) {
            break;
        }
        follower.wake();
    }
    follower.wants_bell = true;
    let outlooks: Vec<_> = (0..looks_to_the_end(kind)).map(|_| follower.look_afresh(db)).collect();
    assert_eq!(follower.tracker.mark(), db.highest_visible(), "writers have ended");
    assert_eq!(outlooks.last().map(|o| &o.next), Some(&Next::MaySleep));
    follower.read(db);
    follower.check_exact(db);
    assert_eq!(&follower.seen, db.visible());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn floors_lose_nothing(operations in operations()) {
        run_exact(Kind::Floors, Policy::Floors, &operations);
    }

    #[test]
    fn floors_lose_nothing_among_crashes(operations in operations_among_crashes()) {
        run_exact(Kind::Floors, Policy::Floors, &operations);
    }

    #[test]
    fn sequence_epochs_lose_nothing(operations in operations()) {
        run_exact(Kind::Holders, Policy::SequenceEpochs, &operations);
    }
}

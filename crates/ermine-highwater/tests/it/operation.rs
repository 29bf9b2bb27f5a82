//! Random lives of a database and its follower.

use proptest::prelude::*;

use crate::{follower::Follower, model::Database};

const SLOTS: u8 = 4;

#[derive(Clone, Debug)]
pub(crate) enum Operation {
    Append(u8, u64),
    Step(u8),
    /// All steps of the insert that are left.
    Finish(u8),
    /// The rest of the insert, the commit and the end of the transaction, with nothing in between.
    Conclude(u8),
    Savepoint(u8),
    RollBackToSavepoint(u8),
    ReleaseSavepoint(u8),
    Commit(u8, bool),
    End(u8),
    RollBack(u8),
    Look,
    LookThrough,
    Read,
    StoreProgress(bool),
    WantBell(bool),
    SafetyPoll,
    Tick(i64),
    Crash(usize),
}

/// Lives with about two crashes.
pub(crate) fn operations() -> impl Strategy<Value = Vec<Operation>> {
    proptest::collection::vec(operation(1), 0..250)
}

/// Lives with one crash after the other.
pub(crate) fn operations_among_crashes() -> impl Strategy<Value = Vec<Operation>> {
    proptest::collection::vec(operation(12), 0..250)
}

/// Who crashes often also reads and stores progress often, or there would be nothing to lose.
fn operation(crashes: u32) -> impl Strategy<Value = Operation> {
    let slot = || 0..SLOTS;
    prop_oneof![
        14 => (slot(), 0..4_u64).prop_map(|(s, n)| Operation::Append(s, n)),
        24 => slot().prop_map(Operation::Step),
        8 => slot().prop_map(Operation::Finish),
        8 => slot().prop_map(Operation::Conclude),
        3 => slot().prop_map(Operation::Savepoint),
        3 => slot().prop_map(Operation::RollBackToSavepoint),
        1 => slot().prop_map(Operation::ReleaseSavepoint),
        10 => (slot(), any::<bool>()).prop_map(|(s, sync)| Operation::Commit(s, sync)),
        10 => slot().prop_map(Operation::End),
        4 => slot().prop_map(Operation::RollBack),
        24 => Just(Operation::Look),
        7 + crashes => Just(Operation::LookThrough),
        5 + crashes => Just(Operation::Read),
        2 + crashes => any::<bool>().prop_map(Operation::StoreProgress),
        4 => any::<bool>().prop_map(Operation::WantBell),
        2 => Just(Operation::SafetyPoll),
        8 => (1..1500_i64).prop_map(Operation::Tick),
        crashes => (0..=100_usize).prop_map(Operation::Crash),
    ]
}

impl Operation {
    pub(crate) fn apply(&self, db: &mut Database, follower: &mut Follower) {
        match *self {
            Self::Append(slot, draws) => db.append(slot, draws),
            Self::Step(slot) => _ = db.step(slot),
            Self::Finish(slot) => while db.step(slot) {},
            Self::Conclude(slot) => {
                while db.step(slot) {}
                db.commit(slot, false);
                db.end(slot);
            }
            Self::Savepoint(slot) => db.savepoint(slot),
            Self::RollBackToSavepoint(slot) => db.roll_back_to_savepoint(slot),
            Self::ReleaseSavepoint(slot) => db.release_savepoint(slot),
            Self::Commit(slot, sync) => db.commit(slot, sync),
            Self::End(slot) => db.end(slot),
            Self::RollBack(slot) => db.roll_back(slot),
            Self::Look => _ = follower.look(db),
            Self::LookThrough => _ = follower.look_through(db),
            Self::Read => follower.read(db),
            Self::StoreProgress(sync) => follower.store_progress(db, sync),
            Self::WantBell(wanted) => follower.wants_bell = wanted,
            Self::SafetyPoll => follower.wake(),
            Self::Tick(ms) => db.now_ms += ms,
            Self::Crash(kept_percent) => {
                db.crash(kept_percent);
                follower.lose_connection();
            }
        }
    }
}

//! What Ermine's own tests stand on: a throwaway PostgreSQL, deadlines, cancellation, faults on the wire.
//!
//! | to get | take |
//! |---|---|
//! | an empty database for one test | [`pg::TestDatabase::create`] |
//! | a server that the test may crash, stop or configure | [`pg::OwnServer::start`] |
//! | "this becomes true within five seconds" | [`eventually`] |
//! | sessions behind PgBouncer | [`pg::Pooler::start`] |
//! | a future dropped after its n-th poll | [`poll_times`] |
//! | a network that is slow, stuck or gone | [`Proxy`] |
//! | time that stands still until told otherwise | [`ManualClock`] |
//!
//! Everything here panics instead of returning errors: in a test there is nobody to handle one.

pub mod pg;

mod clock;
mod eventually;
mod poll;
mod port;
mod proxy;
mod sys;

pub use clock::ManualClock;
pub use eventually::{Outcome, becomes, eventually};
pub use poll::poll_times;
pub use proxy::{Fault, Proxy, Schedule, Spell, Way};

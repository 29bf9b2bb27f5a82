//! What the whole-system tests in `it` share with their long forms in `examples`.
//!
//! | to see | run |
//! |---|---|
//! | that every committed event is applied once and in order, whatever writers do | [`stress::run`] |
//! | the same through crashes of the server and of the application | [`crash::run`] |
//! | the same through faults of every kind, and that the daemon goes on within ten seconds of the last | [`chaos::run`] |
//! | that dead letters are applied again once, though the process is killed in the middle | [`retry::run`] |
//! | that the daemon goes on by itself after the server was away | [`outage`] |
//!
//! Each takes a plan with a seed and answers with a report that lists violations; what cannot happen in a test panics.

pub mod chaos;
pub mod crash;
pub mod outage;
pub mod retry;
pub mod stress;
pub mod trail;

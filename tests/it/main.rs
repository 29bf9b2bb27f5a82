//! The whole system on a real PostgreSQL, through the facade.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod chaos;
mod crash;
mod gaps;
mod host;
mod inputs;
mod outage;
mod retry;
mod stress;
mod two_daemons;

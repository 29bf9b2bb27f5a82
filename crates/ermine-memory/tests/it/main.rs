//! The memory store as a stranger sees it.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod append;
mod columns;
mod conformance;
mod crash;
mod faults;
mod letters;
mod mutants;
mod support;
mod wakeup;

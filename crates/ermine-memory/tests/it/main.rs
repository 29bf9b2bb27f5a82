//! The memory store as a stranger sees it.

// Helpers of tests are tests, too; clippy only knows functions that carry the attribute.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod append;
mod columns;
mod conformance;
mod crash;
mod faults;
mod mutants;
mod support;
mod wakeup;

//! The memory store as a stranger sees it.

mod append;
mod conformance;
mod crash;
mod faults;
mod mutants;
mod support;
mod wakeup;

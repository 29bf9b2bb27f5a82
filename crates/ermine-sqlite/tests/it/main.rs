//! The adapter on real files.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod append;
mod bad_input;
mod bell;
mod cancel;
mod child;
mod columns;
mod common;
mod conformance;
mod crash;
mod incarnation;
mod letters;
mod migrate;
mod native;
mod nodes;
mod promises;
mod query;
mod rejected;
mod reopen;
mod reopened;

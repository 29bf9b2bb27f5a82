//! The adapter against a real server.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod append;
mod bad_input;
mod bell;
mod bodies;
mod cancel;
mod common;
mod conformance;
mod edge;
mod filters;
mod flat;
mod held;
mod idempotence;
mod inline;
mod inline_one;
mod letters;
mod locks;
mod migrate;
mod native;
mod pooler;
mod promises;
mod readers;
mod recovery;
mod rejected;
mod reset;
mod roles;
mod silence;
mod streams;
mod tls;
mod upgrade;
mod worker;

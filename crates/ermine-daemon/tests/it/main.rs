//! The engine on the memory store.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod effects;
mod failures;
mod follow;
mod handover;
mod inline;
mod inputs;
mod names;
mod own_tables;
mod pipeline;
mod rebuild;
mod shared;
mod shutdown;
mod stages;
mod starts;
mod support;

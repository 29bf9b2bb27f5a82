//! The engine on the memory store.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod again;
mod cancelled;
mod effects;
mod every_call_fails;
mod failures;
mod follow;
mod handover;
mod inline;
mod inputs;
mod letters;
mod messages;
mod names;
mod own_tables;
mod pipeline;
mod poison;
mod policies;
mod rebuild;
mod shared;
mod shutdown;
mod stages;
mod starts;
mod supervision;
mod support;

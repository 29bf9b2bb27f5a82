//! The engine on the memory store.

mod failures;
mod follow;
mod handover;
mod inputs;
mod pipeline;
mod rebuild;
mod shutdown;
mod support;

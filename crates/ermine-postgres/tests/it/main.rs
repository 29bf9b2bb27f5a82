//! The adapter against a real server.

mod append;
mod common;

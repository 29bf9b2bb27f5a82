//! The testkit at work, on a real server.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod clock;
mod database;
mod eventually;
mod poll;
mod proxy;
mod server;

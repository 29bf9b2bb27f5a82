//! The facade's examples as their users run them.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod alike;
#[cfg(all(feature = "postgres", feature = "sqlite"))]
mod examples;
#[cfg(all(feature = "postgres", feature = "sqlite"))]
mod git_history;
mod guide;
mod host;
mod kinds;
mod model;
mod poison;
mod scenarios;
mod stores;
mod trips;
mod troubles;

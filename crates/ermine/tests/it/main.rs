//! The facade's examples as their users run them.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod git_history;
mod host;

//! The suite itself.

mod contracts;

//! The facade's examples as their users run them.

mod git_history;

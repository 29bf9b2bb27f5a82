//! Rules that a person could forget. Each test is one rule; its message names the place and the way out.

mod arrows;
mod docs;
mod files;
mod sources;

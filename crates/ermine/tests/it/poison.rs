//! Events that fail, in every way and on every store: they cost themselves and what has to wait for them, and nothing else.

mod book;
mod kinds;
mod masses;
mod policies;
mod processes;
mod rules;
mod store;

//! The cases, by port. Each looks at one line of the contract, and the list in `suite.rs` names them all.

pub(crate) mod append;
pub(crate) mod highwater;
pub(crate) mod letters;
pub(crate) mod outbox;
pub(crate) mod progress;
pub(crate) mod read;
pub(crate) mod schema;
pub(crate) mod streams;
pub(crate) mod view;
pub(crate) mod wakeup;
pub(crate) mod wishes;

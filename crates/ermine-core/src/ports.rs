//! The seams between the engine and a store.
//!
//! What crosses a port is data: a batch, a page, an observation; never a driver type, never an open transaction.
//!
//! | port | implemented by | called by |
//! |---|---|---|
//! | [`EventAppender`], [`EventReader`] | the adapter | applications through the facade; the daemon reads |
//! | [`HighWaterSource`], [`Wakeup`] | the adapter | the daemon's high-water driver |
//! | [`ViewStore`] | the adapter | shard workers commit; applications read |
//! | [`ProgressStore`] | the adapter | the daemon takes shards; anybody reads |
//! | [`SchemaAdmin`] | the adapter | the host at start |
//!
//! Every line under a port's *Contract* has a case of the same meaning in `ermine-conformance`.

mod append;
mod highwater;
mod progress;
mod read;
mod schema;
mod view;
mod wakeup;

pub use append::EventAppender;
pub use highwater::HighWaterSource;
pub use progress::ProgressStore;
pub use read::EventReader;
pub use schema::{Check, Registration, SchemaAdmin};
pub use view::ViewStore;
pub use wakeup::{WakeReason, Wakeup};

/// What every store adapter must have. Ports that later become optional abilities are accessors with a default here.
pub trait Store:
    EventAppender
    + EventReader
    + HighWaterSource
    + Wakeup
    + ViewStore
    + ProgressStore
    + SchemaAdmin
    + std::fmt::Debug
{
    /// What kind of store it is, for messages: `memory`, `postgres`.
    fn kind(&self) -> &'static str;
}

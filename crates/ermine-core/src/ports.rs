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
//! | [`StreamAdmin`] | the adapter, if it can | applications through the facade |
//! | [`Outbox`] | the adapter, if it can | the daemon delivers; commits write |
//! | [`DeadLetterStore`] | the adapter, if it can | the daemon reads; commits write; operators ask |
//! | [`WishStore`] | the adapter, if it can | operators and policies; the daemon follows |
//!
//! Every line under a port's *Contract* has a case of the same meaning in `ermine-conformance`.

mod append;
mod highwater;
mod letters;
mod outbox;
mod progress;
mod read;
mod schema;
mod streams;
mod view;
mod wakeup;
mod wishes;

pub use append::EventAppender;
pub use highwater::HighWaterSource;
pub use letters::DeadLetterStore;
pub use outbox::Outbox;
pub use progress::ProgressStore;
pub use read::EventReader;
pub use schema::{Check, Registration, SchemaAdmin, TableSpec};
pub use streams::{ARCHIVED, StreamAdmin, archived_type};
pub use view::ViewStore;
pub use wakeup::{WakeReason, Wakeup};
pub use wishes::WishStore;

/// What every store adapter must have. Ports that are optional abilities are accessors with a default here.
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

    /// Archiving streams and skipping events, where the store can.
    fn stream_admin(&self) -> Option<&dyn StreamAdmin> {
        None
    }

    /// The outbox, where the store has one; without, a batch that publishes is refused.
    fn outbox(&self) -> Option<&dyn Outbox> {
        None
    }

    /// Dead letters, where the store has them; without, no event can be skipped, and a failing one pauses its shard.
    fn dead_letters(&self) -> Option<&dyn DeadLetterStore> {
        None
    }

    /// What operators want of shards, where the store keeps it; without, that ends with the process.
    fn wishes(&self) -> Option<&dyn WishStore> {
        None
    }

    /// Whether an error out of user code is a passing fault of network or server in the terms of this store's driver, so that
    /// it is not held against an event.
    fn is_passing(&self, error: &(dyn std::error::Error + 'static)) -> bool {
        let _ = error;
        false
    }
}

//! The ports of `ermine-core`, each in a file of its own: the way in, the state's answer, the way out.

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

use ermine_core::ports::{DeadLetterStore, Outbox, Store, StreamAdmin, WishStore};

use crate::{KIND, MemoryStore};

impl Store for MemoryStore {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn stream_admin(&self) -> Option<&dyn StreamAdmin> {
        Some(self)
    }

    fn outbox(&self) -> Option<&dyn Outbox> {
        Some(self)
    }

    fn dead_letters(&self) -> Option<&dyn DeadLetterStore> {
        Some(self)
    }

    fn wishes(&self) -> Option<&dyn WishStore> {
        Some(self)
    }
}

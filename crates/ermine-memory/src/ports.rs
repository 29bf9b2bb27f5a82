//! The ports of `ermine-core`, each in a file of its own: the way in, the state's answer, the way out.

mod append;
mod highwater;
mod outbox;
mod progress;
mod read;
mod schema;
mod streams;
mod view;
mod wakeup;

use ermine_core::ports::{Outbox, Store, StreamAdmin};

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
}

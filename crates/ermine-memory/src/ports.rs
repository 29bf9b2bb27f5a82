//! The ports of `ermine-core`, each in a file of its own: the way in, the state's answer, the way out.

mod append;
mod highwater;
mod progress;
mod read;
mod schema;
mod view;
mod wakeup;

use ermine_core::ports::Store;

use crate::MemoryStore;

impl Store for MemoryStore {
    fn kind(&self) -> &'static str {
        "memory"
    }
}

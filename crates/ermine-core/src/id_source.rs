use std::{
    fmt::Debug,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::EventId;

/// Where the ids of new events come from; replaceable, so that tests know them.
pub trait IdSource: Debug + Send + Sync {
    /// An id that has not been given before.
    fn next_id(&self) -> EventId;
}

/// [`EventId::random`].
#[derive(Clone, Copy, Debug, Default)]
pub struct RandomIds;

impl IdSource for RandomIds {
    fn next_id(&self) -> EventId {
        EventId::random()
    }
}

/// The same ids in every run: for tests.
#[derive(Debug, Default)]
pub struct CountedIds {
    given: AtomicU64,
}

impl IdSource for CountedIds {
    fn next_id(&self) -> EventId {
        EventId::derived(&format!("event {}", self.given.fetch_add(1, Ordering::Relaxed) + 1))
    }
}

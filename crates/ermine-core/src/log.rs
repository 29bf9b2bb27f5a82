use jiff::Timestamp;

use crate::{Seq, Version};

/// A place in the log that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogPoint {
    /// The first event above this number.
    After(Seq),
    /// The first event that was recorded at this moment or later.
    Since(Timestamp),
}

/// Where and when an event is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Its number.
    pub seq: Seq,
    /// When it was recorded, by the store's clock.
    pub recorded_at: Timestamp,
}

/// How far streams have come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamHeads {
    /// The version of each stream that was asked for, in that order; 0 for one without events.
    pub versions: Vec<Version>,
    /// The store's clock.
    pub at: Timestamp,
}

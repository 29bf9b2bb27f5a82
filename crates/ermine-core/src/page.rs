use std::num::NonZeroUsize;

use smol_str::SmolStr;

use crate::{Event, EventFilter, EventRange, Incarnation, Seq, StreamId, TypeName};

/// Asks for the next page of the log.
#[derive(Clone, Debug)]
pub struct PageRequest {
    /// What to read at most: from the shard's position to the mark.
    pub range: EventRange,
    /// Which events.
    pub filter: EventFilter,
    /// The most events the page may hold, unknown ones included.
    pub events_max: NonZeroUsize,
    /// The page ends with the event that reaches this many bytes of bodies; so it holds at least one event.
    pub bytes_max: usize,
    /// The incarnation in which `range` was found out.
    pub incarnation: Incarnation,
}

/// One bounded read of the log.
#[derive(Clone, Debug)]
pub struct EventPage {
    /// What the read itself proves it has covered: every admitted event in `(floor, ceiling]` is in `events`.
    /// A full page ends at the last event seen, any other at the ceiling asked for.
    pub range: EventRange,
    /// The wanted events in sequence order.
    pub events: Vec<Event>,
    /// The events in the range whose type nobody knows, in sequence order.
    pub unknown: Vec<UnknownEvent>,
    /// The events in the range that an operator has marked as skipped, in sequence order; of types that
    /// are wanted or unknown.
    pub skipped: Vec<SkippedEvent>,
}

impl EventPage {
    /// A page without events.
    #[must_use]
    pub const fn empty(range: EventRange) -> Self {
        Self { range, events: Vec::new(), unknown: Vec::new(), skipped: Vec::new() }
    }

    /// How many bytes the bodies have together.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.events.iter().map(|e| e.body.len()).sum()
    }
}

/// An event whose type nothing registered with the store knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownEvent {
    /// Its place.
    pub seq: Seq,
    /// Its stream.
    pub stream: StreamId,
    /// The name nobody knows.
    pub type_name: TypeName,
}

/// An event that an operator has marked as skipped: no projection sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedEvent {
    /// Its place.
    pub seq: Seq,
    /// Its stream.
    pub stream: StreamId,
    /// Why it was marked.
    pub reason: SmolStr,
}

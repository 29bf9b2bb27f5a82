use jiff::Timestamp;

use crate::{
    Body, Error, ExpectedVersion, NewEvent, Operation, Position, Result, StreamId, StreamType, TenantId,
    Version, ViewKey, ViewTable,
};

/// Everything that one append records: all of it or none.
#[derive(Clone, Debug, Default)]
pub struct AppendBatch {
    streams: Vec<StreamAppend>,
    idempotent: bool,
    pins: Vec<ViewPin>,
    operations: Vec<Operation>,
}

/// A view that must be as it was read, so that what was made of it still holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewPin {
    /// Which table.
    pub table: ViewTable,
    /// Which view.
    pub key: ViewKey,
    /// Its version; `None` when there must be no such view.
    pub version: Option<Version>,
    /// Its document, where the version does not tell: one that was deleted and made again may have the version it had.
    pub body: Option<Body>,
}

/// The events that one stream gets in a batch.
#[derive(Clone, Debug)]
pub struct StreamAppend {
    /// Whose stream.
    pub tenant: TenantId,
    /// Which stream.
    pub stream: StreamId,
    /// What kind of stream it is; kept from its first append on, and not looked at later.
    pub stream_type: Option<StreamType>,
    /// What it must look like before.
    pub expected: ExpectedVersion,
    /// The new events in their order.
    pub events: Vec<NewEvent>,
}

impl StreamAppend {
    /// Events for a stream of the default tenant, whatever its version.
    #[must_use]
    pub fn new(stream: StreamId, events: Vec<NewEvent>) -> Self {
        Self {
            tenant: TenantId::default(),
            stream,
            stream_type: None,
            expected: ExpectedVersion::Any,
            events,
        }
    }

    /// The same for a stream of a type, which counts when this append is its first.
    #[must_use]
    pub fn of_type(mut self, stream_type: StreamType) -> Self {
        self.stream_type = Some(stream_type);
        self
    }

    /// The same for a stream that must be as `expected`.
    #[must_use]
    pub fn expecting(mut self, expected: ExpectedVersion) -> Self {
        self.expected = expected;
        self
    }

    /// The same for a stream of `tenant`.
    #[must_use]
    pub fn for_tenant(mut self, tenant: TenantId) -> Self {
        self.tenant = tenant;
        self
    }
}

impl AppendBatch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a stream's events.
    #[must_use]
    pub fn stream(mut self, append: StreamAppend) -> Self {
        self.streams.push(append);
        self
    }

    /// Makes the append idempotent by event id: when all ids are already recorded, the answer of the first time
    /// comes back and nothing changes; versions are not checked then.
    #[must_use]
    pub fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    /// Changes views in the same transaction, if each of `pins` is still as it was read. A repeated idempotent append
    /// leaves views alone.
    #[must_use]
    pub fn with_operations(mut self, pins: Vec<ViewPin>, operations: Vec<Operation>) -> Self {
        self.pins = pins;
        self.operations = operations;
        self
    }

    /// The views that must be as they were read.
    #[must_use]
    pub fn pins(&self) -> &[ViewPin] {
        &self.pins
    }

    /// What changes together with the append; it takes effect as if one by one in this order.
    #[must_use]
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The streams, to change what is expected of them.
    pub fn streams_mut(&mut self) -> &mut [StreamAppend] {
        &mut self.streams
    }

    /// Whether known event ids are answered instead of refused.
    #[must_use]
    pub const fn is_idempotent(&self) -> bool {
        self.idempotent
    }

    /// The streams in the order they were added.
    #[must_use]
    pub fn streams(&self) -> &[StreamAppend] {
        &self.streams
    }

    /// How many events the batch holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.streams.iter().map(|s| s.events.len()).sum()
    }

    /// Whether there is nothing to append.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Checks what no store can accept: nothing to append, a stream without events, a stream or an event id
    /// named twice. Adapters call it first.
    ///
    /// # Errors
    ///
    /// [`Configuration`](crate::ErrorKind::Configuration) that names the stream or id.
    pub fn check(&self) -> Result<()> {
        if self.streams.is_empty() {
            return Err(Error::configuration("an append without events: add at least one"));
        }
        let mut streams: Vec<_> = self.streams.iter().map(|s| (&s.tenant, &s.stream)).collect();
        streams.sort_unstable();
        if let Some(twice) = streams.windows(2).find(|two| two[0] == two[1]) {
            return Err(Error::configuration(format!(
                "stream \"{}\" is named twice in one append: put its events together",
                twice[0].1
            )));
        }
        if let Some(empty) = self.streams.iter().find(|s| s.events.is_empty()) {
            return Err(Error::configuration(format!(
                "an append without events for stream \"{}\": add at least one or leave the stream out",
                empty.stream
            )));
        }
        let mut ids: Vec<_> = self.streams.iter().flat_map(|s| &s.events).map(NewEvent::id).collect();
        ids.sort_unstable();
        if let Some(twice) = ids.windows(2).find(|two| two[0] == two[1]) {
            return Err(Error::configuration(format!(
                "event id {} stands twice in one append: every event needs an id of its own",
                twice[0]
            )));
        }
        Ok(())
    }
}

/// The answer to an append that was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The place of the batch's last event.
    pub position: Position,
    /// The version of each stream after its last event of this batch, in the order of the batch.
    pub versions: Vec<Version>,
    /// When the store recorded it, by its clock.
    pub recorded_at: Timestamp,
    /// Whether this batch had been recorded before, and nothing changed now.
    pub repeated: bool,
}

impl Appended {
    /// The place of the last event: what to wait for to read one's own writes.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.position
    }

    /// The version of the first (often the only) stream of the batch.
    #[must_use]
    pub fn version(&self) -> Version {
        self.versions.first().copied().unwrap_or_default()
    }
}

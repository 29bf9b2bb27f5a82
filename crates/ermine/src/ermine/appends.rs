//! What changes the log.

use std::num::NonZeroUsize;

use ermine_core::{
    AppendBatch, Appended, DomainEvent, Error, ErrorKind, Event, ExpectedVersion, NewEvent, Result, Seq,
    StreamAppend, StreamId, TenantId, Version, ports::StreamAdmin,
};

use super::Ermine;

impl Ermine {
    /// Appends events to a stream, whatever its version.
    ///
    /// # Errors
    ///
    /// Those of [`EventAppender::append`](ermine_core::ports::EventAppender::append), and the event that an inline
    /// projection refused; nothing was appended then.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves open whether the events were appended; they are all there or none is.
    pub async fn append<E: DomainEvent>(
        &self,
        stream: impl TryInto<StreamId, Error = impl Into<Error>>,
        events: impl IntoIterator<Item = E>,
    ) -> Result<Appended> {
        self.append_expecting(stream, ExpectedVersion::Any, events).await
    }

    /// Appends events to a stream that must be as `expected`.
    ///
    /// # Errors
    ///
    /// [`VersionConflict`](ErrorKind::VersionConflict) with both versions, and those of [`append`](Ermine::append).
    ///
    /// # Cancellation
    ///
    /// As [`append`](Ermine::append).
    pub async fn append_expecting<E: DomainEvent>(
        &self,
        stream: impl TryInto<StreamId, Error = impl Into<Error>>,
        expected: ExpectedVersion,
        events: impl IntoIterator<Item = E>,
    ) -> Result<Appended> {
        let new = |event: E| NewEvent::of(&event).map(|new| new.with_id(self.ids.next_id()));
        let events = events.into_iter().map(new).collect::<Result<Vec<_>>>()?;
        let stream = stream.try_into().map_err(Into::into)?;
        self.append_batch(AppendBatch::new().stream(StreamAppend::new(stream, events).expecting(expected)))
            .await
    }

    /// Appends to many streams at once, all or nothing, together with the views of inline projections.
    ///
    /// # Errors
    ///
    /// Those of [`append`](Ermine::append).
    ///
    /// # Cancellation
    ///
    /// As [`append`](Ermine::append).
    pub async fn append_batch(&self, batch: AppendBatch) -> Result<Appended> {
        self.inline.append(batch).await
    }

    /// Up to `limit` events of a stream after version `after`, in order.
    ///
    /// # Errors
    ///
    /// Those of the connection.
    pub async fn read_stream(
        &self,
        stream: &StreamId,
        after: Version,
        limit: NonZeroUsize,
    ) -> Result<Vec<Event>> {
        self.store.read_stream(&TenantId::default(), stream, after, limit).await
    }

    /// Ends a stream for good: one last event says so, and the stream takes no more. What becomes of its view is said by
    /// each projection: see [`Archived`](ermine_core::Archived).
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) when the stream has no events; [`Configuration`](ErrorKind::Configuration) when the
    /// store cannot archive.
    pub async fn archive_stream(&self, stream: &StreamId) -> Result<Appended> {
        self.stream_admin()?.archive_stream(&TenantId::default(), stream).await
    }

    /// Marks events as skipped, so that projections which have not read them yet never will; answers how many. Views that
    /// have applied them are not changed.
    ///
    /// # Errors
    ///
    /// [`Configuration`](ErrorKind::Configuration) when the store cannot do that, and those of the connection.
    pub async fn skip_events(&self, events: &[Seq], reason: &str) -> Result<u64> {
        self.stream_admin()?.skip_events(events, reason).await
    }

    fn stream_admin(&self) -> Result<&dyn StreamAdmin> {
        let cannot = || {
            let doing = format!("the store \"{}\" cannot archive streams or skip events", self.store.kind());
            Error::new(ErrorKind::Configuration, doing)
        };
        self.store.stream_admin().ok_or_else(cannot)
    }
}

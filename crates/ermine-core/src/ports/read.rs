use std::num::NonZeroUsize;

use async_trait::async_trait;

use crate::{
    Event, EventPage, LogEntry, LogPoint, PageRequest, Result, StreamHeads, StreamId, TenantId, Version,
};

/// Reads events.
///
/// # Contract
///
/// - A page holds every wanted event of its range, in sequence order.
/// - A page that is full ends at the last event it saw; any other ends at the ceiling that was asked for.
/// - A page ends with the event that reaches its bytes, and holds at least one event where there is one.
/// - Events of types that other projections want are left out.
/// - Events of unknown types come without their bodies, and count towards the page.
/// - A filter by type of stream leaves out events of other streams, also of those without a type.
/// - Events marked as skipped are left out, also those of unknown types, and named with the reason.
/// - A page asked for in another incarnation is `Rewound`.
/// - Reading a stream gives its events after a version, in order, up to the limit.
/// - Reading heads gives the version of each stream in the order of the request, 0 where there are no events.
/// - Locating finds the first event above a number, or recorded at a moment or later; `None` when there is none.
#[async_trait]
pub trait EventReader: Send + Sync {
    /// Loads the next page of the log.
    ///
    /// # Errors
    ///
    /// [`Rewound`](crate::ErrorKind::Rewound) when the store is not in the request's incarnation any more.
    ///
    /// # Cancellation
    ///
    /// Safe: it only reads.
    async fn load_page(&self, request: PageRequest) -> Result<EventPage>;

    /// The events of one stream after version `after`, at most `limit`; empty when there are none.
    ///
    /// # Errors
    ///
    /// Those of the connection.
    ///
    /// # Cancellation
    ///
    /// Safe: it only reads.
    async fn read_stream(
        &self,
        tenant: &TenantId,
        stream: &StreamId,
        after: Version,
        limit: NonZeroUsize,
    ) -> Result<Vec<Event>>;

    /// How far each of `streams` has come, with one read.
    ///
    /// # Errors
    ///
    /// Those of the connection.
    async fn read_heads(&self, streams: &[(TenantId, StreamId)]) -> Result<StreamHeads>;

    /// The first visible event at or after a place in the log.
    ///
    /// # Errors
    ///
    /// Those of the connection.
    async fn locate(&self, point: LogPoint) -> Result<Option<LogEntry>>;
}

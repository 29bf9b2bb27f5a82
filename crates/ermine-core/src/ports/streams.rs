use async_trait::async_trait;

use crate::{Appended, Result, Seq, StreamId, TenantId, TypeName};

/// Changes what is allowed to happen to recorded streams and events.
///
/// # Contract
///
/// - Archiving a stream appends one last event of type `ermine.archived`, and the stream takes no more.
/// - Archiving an archived stream changes nothing, and answers with the place of that event.
/// - Archiving a stream without events is refused.
/// - Marking events as skipped answers how many it has marked, and leaves them in their streams.
#[async_trait]
pub trait StreamAdmin: Send + Sync {
    /// Ends a stream for good.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound) when the stream has no events.
    async fn archive_stream(&self, tenant: &TenantId, stream: &StreamId) -> Result<Appended>;

    /// Marks events, so that projections which have not read them yet never will; views that have are not changed. An
    /// event that is marked already keeps its reason and is not counted, nor is a number without an event.
    ///
    /// # Errors
    ///
    /// Those of the connection.
    async fn skip_events(&self, events: &[Seq], reason: &str) -> Result<u64>;
}

/// The type of the event that ends an archived stream; its body is `{}`.
pub const ARCHIVED: &str = "ermine.archived";

/// [`ARCHIVED`] as a type name.
#[must_use]
pub fn archived_type() -> TypeName {
    TypeName::from_store(ARCHIVED)
}

use async_trait::async_trait;

use crate::{AppendBatch, Appended, Result};

/// Records events.
///
/// # Contract
///
/// - All streams of a batch are appended, or none is.
/// - Events of a stream are numbered 1, 2, 3 without holes, in the order of the batch.
/// - Sequence numbers ascend in the order of the batch.
/// - A version conflict names stream and both versions, and draws no number.
/// - An idempotent batch whose ids are all recorded answers as the first time and changes nothing.
/// - An idempotent batch of which only some ids are recorded is refused with those ids and changes nothing.
/// - An event id that is recorded already is refused in a batch that is not idempotent, and nothing changes.
/// - Two batches over the same streams in opposite order both succeed.
/// - Bodies of over a megabyte come back as they went in.
/// - Numbers in bodies come back to the last bit.
/// - The operations of a batch take effect with its events or not at all.
/// - A view that is not at its pinned version, or not what was pinned with it, is a conflict that names view and both
///   versions, and draws no number.
/// - Two appends that pin the same absent view: one of them succeeds, the other is a conflict.
/// - A repeated idempotent append does not repeat its operations.
/// - A stream keeps the type of its first append.
/// - An archived stream refuses events, and draws no number.
#[async_trait]
pub trait EventAppender: Send + Sync {
    /// Appends the events of `batch`.
    ///
    /// # Errors
    ///
    /// [`VersionConflict`](crate::ErrorKind::VersionConflict), [`PartlyKnown`](crate::ErrorKind::PartlyKnown),
    /// [`DuplicateEvent`](crate::ErrorKind::DuplicateEvent), [`ViewConflict`](crate::ErrorKind::ViewConflict),
    /// [`Archived`](crate::ErrorKind::Archived) and [`Configuration`](crate::ErrorKind::Configuration): nothing was appended. [`OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown): the connection was lost; ask again with an
    /// idempotent batch of the same event ids.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves the outcome open: all of the batch or none of it is recorded.
    async fn append(&self, batch: AppendBatch) -> Result<Appended>;
}

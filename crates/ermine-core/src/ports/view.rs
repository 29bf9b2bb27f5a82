use async_trait::async_trait;

use crate::{Result, ShardBatch, StoredView, ViewId, ViewKey, ViewQuery, ViewTable};

/// Keeps the views of projections.
///
/// # Contract
///
/// - The operations and the progress of a batch become visible together or not at all.
/// - Operations take effect as if one by one in their order; storing or deleting a view twice leaves the last.
/// - A batch of an older epoch changes nothing and is `Fenced` with the newest epoch.
/// - A batch that does not start at the stored progress changes nothing and is `OutOfOrder` with the stored progress.
/// - A batch of another incarnation changes nothing and is `Rewound`.
/// - A batch with `to == from` changes views and does not move progress.
/// - Unknown and skipped events are counted in the same commit.
/// - Progress of the members of a batch moves with it.
/// - Deleting where a filter is true removes the views that match at that point of the batch, of one tenant.
/// - Appending in a batch records the events whose ids are not recorded yet, after whatever the stream holds.
/// - A message is kept once, in the order of commits, and becomes visible with its batch.
/// - A native statement of another store is refused, and the batch changes nothing.
/// - Dropping a pending `commit` leaves the outcome open and nothing half done: read the progress before going on.
/// - Views of two tables, or of two tenants, never meet.
/// - Loading views answers in the order of the keys, `None` where there is no view.
/// - A query gives views in the bytewise order of their ids, after the id asked for, up to the limit.
/// - A query gives the views that match its filter in its order, exactly as `ViewQuery::select` would.
/// - Counting gives how many views match, whatever the limit.
/// - Views in columns come back with the same members, and queries and filters work on them.
/// - Numbers in views come back to the last bit, but for the sign of a zero, and are compared by value.
#[async_trait]
pub trait ViewStore: Send + Sync {
    /// The views named by `keys`, in that order.
    ///
    /// # Errors
    ///
    /// Those of the connection.
    async fn load_views(&self, table: &ViewTable, keys: &[ViewKey]) -> Result<Vec<Option<StoredView>>>;

    /// The views of a table that match, in the order asked for.
    ///
    /// # Errors
    ///
    /// Those of the connection.
    async fn query(&self, query: ViewQuery) -> Result<Vec<(ViewId, StoredView)>>;

    /// How many views match `query`, without regard to its order, offset, limit and `after`.
    ///
    /// # Errors
    ///
    /// Those of the connection.
    async fn count(&self, query: ViewQuery) -> Result<u64>;

    /// Commits a batch.
    ///
    /// # Errors
    ///
    /// [`Fenced`](crate::ErrorKind::Fenced), [`OutOfOrder`](crate::ErrorKind::OutOfOrder) and
    /// [`Rewound`](crate::ErrorKind::Rewound): nothing changed.
    /// [`Rejected`](crate::ErrorKind::Rejected) when the store takes one of the operations never: nothing changed.
    /// [`OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown): the connection was lost; the stored progress tells.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves the outcome open: all of the batch or none of it is committed.
    async fn commit(&self, batch: ShardBatch) -> Result<()>;
}

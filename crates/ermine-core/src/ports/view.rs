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
/// - Unknown events are counted in the same commit.
/// - Dropping a pending `commit` leaves the outcome open and nothing half done: read the progress before going on.
/// - Views of two tables, or of two tenants, never meet.
/// - Loading views answers in the order of the keys, `None` where there is no view.
/// - A query gives views in the bytewise order of their ids, after the id asked for, up to the limit.
#[async_trait]
pub trait ViewStore: Send + Sync {
    /// The views named by `keys`, in that order.
    ///
    /// # Errors
    ///
    /// Those of the connection.
    async fn load_views(&self, table: &ViewTable, keys: &[ViewKey]) -> Result<Vec<Option<StoredView>>>;

    /// The views of a table, ordered by id.
    ///
    /// # Errors
    ///
    /// Those of the connection.
    async fn query(&self, query: ViewQuery) -> Result<Vec<(ViewId, StoredView)>>;

    /// Commits a batch.
    ///
    /// # Errors
    ///
    /// [`Fenced`](crate::ErrorKind::Fenced), [`OutOfOrder`](crate::ErrorKind::OutOfOrder) and
    /// [`Rewound`](crate::ErrorKind::Rewound): nothing changed.
    /// [`OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown): the connection was lost; the stored progress tells.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves the outcome open: all of the batch or none of it is committed.
    async fn commit(&self, batch: ShardBatch) -> Result<()>;
}

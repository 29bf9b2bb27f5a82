use async_trait::async_trait;

use crate::{Result, ShardName, Wish};

/// Keeps what operators and policies want of shards, so that it survives restarts and reaches every process.
///
/// # Contract
///
/// - A wish takes the place of the earlier one for its shard, comes back as it was put, its times to the microsecond, and survives
///   a restart of the store.
/// - Clearing removes the wishes for the shards named, and says how many there were.
/// - Wishes are given in the bytewise order of the shards' names, as these are written.
/// - Putting and clearing wake a waiter whose bell is not armed, too.
#[async_trait]
pub trait WishStore: Send + Sync {
    /// Stores a wish.
    ///
    /// # Errors
    ///
    /// Those of the connection.
    async fn put_wish(&self, wish: Wish) -> Result<()>;

    /// Undoes the wishes for `shards`.
    ///
    /// # Errors
    ///
    /// Those of the connection.
    async fn clear_wishes(&self, shards: &[ShardName]) -> Result<u64>;

    /// All wishes, also those whose time is over.
    ///
    /// # Errors
    ///
    /// Those of the connection.
    async fn wishes(&self) -> Result<Vec<Wish>>;
}

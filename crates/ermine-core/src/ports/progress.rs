use async_trait::async_trait;

use crate::{Progress, Result, Seq, ShardName, Statistics, TakenShard};

/// Keeps how far each shard has come, readable from any process.
///
/// # Contract
///
/// - Taking a shard raises its epoch and answers with the stored progress; a new shard starts at 0.
/// - Taking a shard waits for a commit in flight, so the answer is where the taker has to start.
/// - Shards are taken in the order of the request, all or none.
/// - Placing a shard raises its epoch and sets its progress, forwards or back; views stay as they are.
/// - Progress survives a restart of the store.
/// - All progress is given in the order of the shards' names.
#[async_trait]
pub trait ProgressStore: Send + Sync {
    /// Takes shards: from now on only the epochs in the answer may commit.
    ///
    /// # Errors
    ///
    /// Those of the connection.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves open whether the epochs were raised; take again.
    async fn take_shards(&self, shards: &[ShardName]) -> Result<Vec<TakenShard>>;

    /// Takes a shard and moves its progress to `seq`, wherever it is: how a shard starts elsewhere than at the beginning, and
    /// how it is rewound. Waits for a commit in flight.
    ///
    /// # Errors
    ///
    /// Those of the connection.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves open whether the shard was placed; place it again.
    async fn place_shard(&self, shard: &ShardName, seq: Seq) -> Result<TakenShard>;

    /// The progress of every shard that has any.
    ///
    /// # Errors
    ///
    /// Those of the connection.
    async fn read_progress(&self) -> Result<Vec<Progress>>;

    /// What the store holds; it may have to count.
    ///
    /// # Errors
    ///
    /// Those of the connection.
    async fn statistics(&self) -> Result<Statistics>;
}

use async_trait::async_trait;
use ermine_core::{Progress, Result, Seq, ShardName, Statistics, TakenShard, ports::ProgressStore};

use crate::{Call, MemoryStore, node::Tx};

#[async_trait]
impl ProgressStore for MemoryStore {
    async fn take_shards(&self, shards: &[ShardName]) -> Result<Vec<TakenShard>> {
        let entered = self.node.enter(Call::TakeShards).await?;
        let tx = Tx::begin(&self.node.shared);
        let taken = self.node.shared.turn(|state| state.take_shards(tx.id, shards)).await;
        entered.answer(taken).await
    }

    async fn place_shard(&self, shard: &ShardName, seq: Seq) -> Result<TakenShard> {
        let entered = self.node.enter(Call::PlaceShard).await?;
        let tx = Tx::begin(&self.node.shared);
        let placed = self.node.shared.turn(|state| state.place_shard(tx.id, shard, seq)).await;
        entered.answer(placed).await
    }

    async fn read_progress(&self) -> Result<Vec<Progress>> {
        let entered = self.node.enter(Call::ReadProgress).await?;
        let progress = self.node.shared.state().read_progress();
        entered.answer(Ok(progress)).await
    }

    async fn statistics(&self) -> Result<Statistics> {
        let entered = self.node.enter(Call::Statistics).await?;
        let statistics = self.node.shared.state().statistics();
        entered.answer(Ok(statistics)).await
    }
}

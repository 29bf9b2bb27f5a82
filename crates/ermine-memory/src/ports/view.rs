use async_trait::async_trait;
use ermine_core::{Result, ShardBatch, StoredView, ViewId, ViewKey, ViewQuery, ViewTable, ports::ViewStore};

use crate::{Call, Gate, MemoryStore, node::Tx, state::State};

#[async_trait]
impl ViewStore for MemoryStore {
    async fn load_views(&self, table: &ViewTable, keys: &[ViewKey]) -> Result<Vec<Option<StoredView>>> {
        let entered = self.node.enter(Call::LoadViews).await?;
        let views = self.node.shared.state().load_views(table, keys);
        entered.answer(Ok(views)).await
    }

    async fn query(&self, query: ViewQuery) -> Result<Vec<(ViewId, StoredView)>> {
        let entered = self.node.enter(Call::Query).await?;
        let views = self.node.shared.state().query(&query);
        entered.answer(views).await
    }

    async fn count(&self, query: ViewQuery) -> Result<u64> {
        let entered = self.node.enter(Call::Count).await?;
        let count = self.node.shared.state().count(&query);
        entered.answer(count).await
    }

    async fn commit(&self, batch: ShardBatch) -> Result<()> {
        let entered = self.node.enter(Call::Commit).await?;
        let answer = self.commit_now(&batch, entered.late.as_ref()).await;
        entered.answer(answer).await
    }
}

impl MemoryStore {
    async fn commit_now(&self, batch: &ShardBatch, late: Option<&Gate>) -> Result<()> {
        let tx = Tx::begin(&self.node.shared);
        let id = tx.id;
        let refusal = self.node.faults.refusal();
        let refused = refusal.as_ref().and_then(|refusal| refusal.first(&batch.operations));
        let Some(gate) = late else {
            // Nobody sees the transaction open: everything happens under one lock.
            return self.node.shared.turn(|state| state.stage_and_commit_shard(id, batch, refused)).await;
        };
        self.node.shared.turn(|state| state.stage_shard(id, batch, refused)).await?;
        tx.end_at(gate, State::commit).await
    }
}

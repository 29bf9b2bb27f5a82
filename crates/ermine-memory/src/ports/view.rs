use async_trait::async_trait;
use ermine_core::{Result, ShardBatch, StoredView, ViewId, ViewKey, ViewQuery, ViewTable, ports::ViewStore};

use crate::{
    Call, Gate, MemoryStore,
    node::Tx,
    state::{State, TxId},
};

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
        entered.answer(Ok(views)).await
    }

    async fn commit(&self, batch: ShardBatch) -> Result<()> {
        let entered = self.node.enter(Call::Commit).await?;
        let answer = self.commit_now(batch, entered.late.as_ref()).await;
        entered.answer(answer).await
    }
}

impl MemoryStore {
    async fn commit_now(&self, batch: ShardBatch, late: Option<&Gate>) -> Result<()> {
        let tx = Tx::begin(&self.node.shared);
        let id = tx.id;
        self.node.shared.turn(|state| state.lock_shard(id, &batch)).await?;
        let commit = move |state: &mut State, id: TxId| state.commit_shard(id, batch);
        match late {
            Some(gate) => tx.end_at(gate, commit).await,
            None => tx.end(commit),
        }
    }
}

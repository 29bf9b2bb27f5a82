use async_trait::async_trait;
use ermine_core::{AppendBatch, Appended, Result, ports::EventAppender};

use crate::{
    Call, Gate, MemoryStore,
    node::Tx,
    state::{State, TxId},
};

#[async_trait]
impl EventAppender for MemoryStore {
    async fn append(&self, batch: AppendBatch) -> Result<Appended> {
        let entered = self.node.enter(Call::Append).await?;
        let answer = self.append_now(&batch, entered.late.as_ref()).await;
        entered.answer(answer).await
    }
}

impl MemoryStore {
    async fn append_now(&self, batch: &AppendBatch, late: Option<&Gate>) -> Result<Appended> {
        let tx = Tx::begin(&self.node.shared);
        let id = tx.id;
        let Some(gate) = late else {
            // Numbers are drawn and events become visible under one lock.
            let stage_and_commit = |state: &mut State| state.stage_and_commit(id, batch);
            return self.node.shared.turn(stage_and_commit).await;
        };
        let appended = self.node.shared.turn(|state| state.stage(id, batch)).await?;
        let commit = move |state: &mut State, id: TxId| state.commit(id).map(|()| appended);
        tx.end_at(gate, commit).await
    }
}

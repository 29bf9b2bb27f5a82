use async_trait::async_trait;
use ermine_core::{Appended, Result, Seq, StreamId, TenantId, ports::StreamAdmin};

use crate::{Call, MemoryStore, node::Tx};

#[async_trait]
impl StreamAdmin for MemoryStore {
    async fn archive_stream(&self, tenant: &TenantId, stream: &StreamId) -> Result<Appended> {
        let entered = self.node.enter(Call::ArchiveStream).await?;
        let tx = Tx::begin(&self.node.shared);
        let archived = self.node.shared.turn(|state| state.archive_stream(tx.id, tenant, stream)).await;
        entered.answer(archived).await
    }

    async fn skip_events(&self, events: &[Seq], reason: &str) -> Result<u64> {
        let entered = self.node.enter(Call::SkipEvents).await?;
        let marked = self.node.shared.state().skip_events(events, reason);
        entered.answer(Ok(marked)).await
    }
}

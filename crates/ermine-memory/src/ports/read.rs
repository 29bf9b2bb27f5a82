use std::num::NonZeroUsize;

use async_trait::async_trait;
use ermine_core::{
    Event, EventPage, LogEntry, LogPoint, PageRequest, Result, StreamHeads, StreamId, TenantId, Version,
    ports::EventReader,
};

use crate::{Call, MemoryStore};

#[async_trait]
impl EventReader for MemoryStore {
    async fn load_page(&self, request: PageRequest) -> Result<EventPage> {
        let entered = self.node.enter(Call::LoadPage).await?;
        let page = self.node.shared.state().load_page(&request);
        entered.answer(page).await
    }

    async fn read_stream(
        &self,
        tenant: &TenantId,
        stream: &StreamId,
        after: Version,
        limit: NonZeroUsize,
    ) -> Result<Vec<Event>> {
        let entered = self.node.enter(Call::ReadStream).await?;
        let events = self.node.shared.state().read_stream(tenant, stream, after, limit);
        entered.answer(Ok(events)).await
    }

    async fn read_heads(&self, streams: &[(TenantId, StreamId)]) -> Result<StreamHeads> {
        let entered = self.node.enter(Call::ReadHeads).await?;
        let heads = self.node.shared.state().read_heads(streams);
        entered.answer(Ok(heads)).await
    }

    async fn locate(&self, point: LogPoint) -> Result<Option<LogEntry>> {
        let entered = self.node.enter(Call::Locate).await?;
        let entry = self.node.shared.state().locate(point);
        entered.answer(Ok(entry)).await
    }
}

use std::num::NonZeroUsize;

use async_trait::async_trait;
use ermine_core::{Event, EventPage, PageRequest, Result, StreamId, TenantId, Version, ports::EventReader};

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
}

use std::num::NonZeroUsize;

use async_trait::async_trait;
use ermine_core::{EffectId, Message, Result, ports::Outbox};

use crate::{Call, MemoryStore};

#[async_trait]
impl Outbox for MemoryStore {
    async fn pending_messages(&self, limit: NonZeroUsize) -> Result<Vec<Message>> {
        let entered = self.node.enter(Call::PendingMessages).await?;
        let messages = self.node.shared.state().pending_messages(limit.get());
        entered.answer(Ok(messages)).await
    }

    async fn settle_messages(&self, messages: &[EffectId]) -> Result<()> {
        let entered = self.node.enter(Call::SettleMessages).await?;
        self.node.shared.state().settle_messages(messages);
        entered.answer(Ok(())).await
    }
}

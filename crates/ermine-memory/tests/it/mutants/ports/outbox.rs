use std::num::NonZeroUsize;

use async_trait::async_trait;
use ermine_core::{EffectId, Message, Result, ports::Outbox};

use super::{Flaw, Mutant};

#[async_trait]
impl Outbox for Mutant {
    async fn pending_messages(&self, limit: NonZeroUsize) -> Result<Vec<Message>> {
        let limit = if self.flaw == Flaw::GivesAllMessages { NonZeroUsize::MAX } else { limit };
        let mut messages = self.inner.pending_messages(limit).await?;
        if self.flaw == Flaw::GivesMessagesInTheOrderOfEvents {
            messages.sort_by_key(|message| message.seq);
        }
        Ok(messages)
    }

    async fn settle_messages(&self, messages: &[EffectId]) -> Result<()> {
        match self.flaw {
            Flaw::SettlesNothing => Ok(()),
            _ => self.inner.settle_messages(messages).await,
        }
    }
}

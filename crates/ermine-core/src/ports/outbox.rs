use std::num::NonZeroUsize;

use async_trait::async_trait;

use crate::{EffectId, Message, Result};

/// Keeps messages between the commit that wants them sent and their delivery. They are written by commits alone.
///
/// # Contract
///
/// - Pending messages are given in the order in which their batches were committed, up to the limit, until they are settled.
/// - A settled message does not come back, not even when it is published again.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// The first messages that have not been settled.
    ///
    /// # Errors
    ///
    /// Those of the connection.
    async fn pending_messages(&self, limit: NonZeroUsize) -> Result<Vec<Message>>;

    /// Remembers that messages have been delivered; their ids are kept, so that none is sent again.
    ///
    /// # Errors
    ///
    /// Those of the connection.
    async fn settle_messages(&self, messages: &[EffectId]) -> Result<()>;
}

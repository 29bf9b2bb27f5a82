use std::time::Duration;

use async_trait::async_trait;
use ermine_core::ports::{WakeReason, Wakeup};

use crate::{Call, MemoryStore};

#[async_trait]
impl Wakeup for MemoryStore {
    /// Deaf at once during an outage and at the moment of a crash or restart; a ring that came before is kept.
    async fn wait(&self, timeout: Duration) -> WakeReason {
        if self.node.enter(Call::Wait).await.is_err() {
            return WakeReason::Deaf;
        }
        tokio::select! {
            biased;
            () = self.node.bell.rung() => WakeReason::Rang,
            () = self.node.shared.lost() => WakeReason::Deaf,
            () = self.node.faults.outage_begun() => WakeReason::Deaf,
            () = tokio::time::sleep(timeout) => WakeReason::TimedOut,
        }
    }
}

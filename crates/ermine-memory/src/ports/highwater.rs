use async_trait::async_trait;
use ermine_core::{Holder, Observation, Observe, Result, ports::HighWaterSource};

use crate::{Call, MemoryStore};

#[async_trait]
impl HighWaterSource for MemoryStore {
    async fn observe(&self, request: Observe) -> Result<Observation> {
        let entered = self.node.enter(Call::Observe).await?;
        let observation = {
            let state = self.node.shared.state();
            // Under the lock: an append either finds the bell armed or has taken its floor before.
            self.node.bell.handle(request.bell);
            state.observe(request.mark, self.node.shared.evidence)
        };
        entered.answer(Ok(observation)).await
    }

    async fn explain(&self) -> Result<Vec<Holder>> {
        let entered = self.node.enter(Call::Explain).await?;
        let holders = self.node.shared.state().explain();
        entered.answer(Ok(holders)).await
    }
}

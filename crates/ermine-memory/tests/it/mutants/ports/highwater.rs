use std::time::Duration;

use async_trait::async_trait;
use ermine_core::{
    Evidence, Holder, Incarnation, Observation, Observe, Result, Uuid,
    ports::{HighWaterSource, WakeReason, Wakeup},
};

use super::{Flaw, Mutant};

#[async_trait]
impl HighWaterSource for Mutant {
    async fn observe(&self, request: Observe) -> Result<Observation> {
        let early = self.inner.observe(request).await?;
        let mut seen = match self.flaw {
            Flaw::EvidenceIsReadBeforeTheLastNumber => {
                tokio::time::sleep(Duration::from_millis(2)).await;
                Observation { evidence: early.evidence, ..self.inner.observe(request).await? }
            }
            _ => early,
        };
        match self.flaw {
            Flaw::ShowsNoFloors => seen.evidence = Evidence::Floors(Vec::new()),
            Flaw::CrashKeepsTheIncarnation => seen.incarnation = Incarnation(Uuid::from_u128(1)),
            _ => {}
        }
        Ok(seen)
    }

    async fn explain(&self) -> Result<Vec<Holder>> {
        if self.flaw == Flaw::ExplainsNothing { Ok(Vec::new()) } else { self.inner.explain().await }
    }
}

#[async_trait]
impl Wakeup for Mutant {
    async fn wait(&self, timeout: Duration) -> WakeReason {
        match self.flaw {
            Flaw::NeverRings => {
                tokio::time::sleep(timeout).await;
                WakeReason::TimedOut
            }
            Flaw::MindsNoTimeout => self.inner.wait(Duration::from_secs(60)).await,
            Flaw::ForgetsWakeUpsBetweenWaits => {
                self.inner.wait(Duration::ZERO).await;
                self.inner.wait(timeout).await
            }
            _ => self.inner.wait(timeout).await,
        }
    }
}

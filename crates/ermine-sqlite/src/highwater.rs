use async_trait::async_trait;
use ermine_core::{
    Bell, Evidence, Holder, Incarnation, Observation, Observe, Result, Seq, Uuid, ports::HighWaterSource,
};

use crate::{Store, statements as sql, time::now};

#[async_trait]
impl HighWaterSource for Store {
    async fn observe(&self, request: Observe) -> Result<Observation> {
        let doing = || "observing the log".to_owned();
        let bell = &self.inner.bell;
        // Before anything is read: an append either rings or is seen.
        bell.handle(request.bell);
        let observation = self
            .read(doing, |connection| {
                let mut statement = connection.prepare_cached(sql::OBSERVE)?;
                let (token, last, highest) =
                    statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
                Ok(Observation {
                    incarnation: Incarnation(Uuid::from_bytes(token)),
                    last: Seq::from_i64(last),
                    // Whoever is writing draws numbers above the last one that is committed.
                    evidence: Evidence::Floors(Vec::new()),
                    last_again: Seq::from_i64(last),
                    highest_visible: Seq::from_i64(highest),
                    at: now(),
                })
            })
            .await?;
        if matches!(request.bell, Bell::Arm(_)) {
            bell.shown(observation.last);
        }
        Ok(observation)
    }

    /// Nobody can: numbers are drawn and become visible in one step.
    async fn explain(&self) -> Result<Vec<Holder>> {
        Ok(Vec::new())
    }
}

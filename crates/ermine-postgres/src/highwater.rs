use std::time::Duration;

use async_trait::async_trait;
use ermine_core::{
    Bell, Error, Evidence, Holder, HolderId, Incarnation, Observation, Observe, Result, Seq, SmolStr,
    Timestamp, Uuid, ports::HighWaterSource,
};
use tokio_postgres::Row;

use crate::{MarkStrategy, Store, error::Effect};

#[async_trait]
impl HighWaterSource for Store {
    async fn observe(&self, request: Observe) -> Result<Observation> {
        let line = self.line().await?;
        let (arm, silence) = match request.bell {
            Bell::Arm(duration) => (Some(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)), None),
            Bell::Leave => (None, None),
            Bell::Silence => (None, line.armed()),
        };
        let row = line.observe(arm, silence).await;
        let row = row.map_err(|fault| fault.into_error("observing the log", Effect::Reads))?;
        match observation(&row, self.inner.strategy) {
            Ok((observation, armed)) => {
                if let Some(value) = armed {
                    line.has_armed(value);
                }
                Ok(observation)
            }
            Err(err) => Err(Error::fatal("reading an observation of the log").with_source(err)),
        }
    }

    async fn explain(&self) -> Result<Vec<Holder>> {
        let line = self.line().await?;
        let sql = match self.inner.strategy {
            MarkStrategy::Floors => &self.inner.sql.explain,
            MarkStrategy::SequenceLock => &self.inner.sql.explain_holders,
        };
        let rows = line
            .query_once(sql)
            .await
            .map_err(|fault| fault.into_error("asking who holds the mark", Effect::Reads))?;
        rows.iter()
            .map(holder)
            .collect::<Result<_, _>>()
            .map_err(|err: tokio_postgres::Error| Error::fatal("reading who holds the mark").with_source(err))
    }
}

/// The observation, and the value that the bell was set to.
fn observation(
    row: &Row,
    strategy: MarkStrategy,
) -> Result<(Observation, Option<i64>), tokio_postgres::Error> {
    let evidence = match strategy {
        MarkStrategy::Floors => {
            let floors: Vec<i64> = row.try_get(3)?;
            Evidence::Floors(floors.into_iter().map(Seq::from_i64).collect())
        }
        MarkStrategy::SequenceLock => {
            let holders: Vec<&str> = row.try_get(3)?;
            Evidence::Holders(holders.into_iter().map(|id| HolderId(SmolStr::new(id))).collect())
        }
    };
    let observation = Observation {
        incarnation: Incarnation(row.try_get::<_, Uuid>(0)?),
        last: Seq::from_i64(row.try_get(2)?),
        evidence,
        last_again: Seq::from_i64(row.try_get(4)?),
        highest_visible: Seq::from_i64(row.try_get(5)?),
        at: row.try_get::<_, Timestamp>(6)?,
    };
    Ok((observation, row.try_get(1)?))
}

fn holder(row: &Row) -> Result<Holder, tokio_postgres::Error> {
    let age: Option<f64> = row.try_get(4)?;
    Ok(Holder {
        floor: Seq::from_i64(row.try_get(0)?),
        pid: row.try_get(1)?,
        application: row.try_get(2)?,
        state: row.try_get(3)?,
        age: Duration::try_from_secs_f64(age.unwrap_or_default()).unwrap_or_default(),
        query: row.try_get(5)?,
    })
}

use std::num::NonZeroUsize;

use async_trait::async_trait;
use ermine_core::{
    EffectId, Error, Message, ProjectionName, Result, Seq, SmolStr, TenantId, Uuid, ports::Outbox,
};
use tokio_postgres::Row;

use crate::{Store, error::Effect, value::JsonText};

#[async_trait]
impl Outbox for Store {
    async fn pending_messages(&self, limit: NonZeroUsize) -> Result<Vec<Message>> {
        let doing = "reading the outbox";
        let loan = self.loan().await.map_err(|err| err.context(doing))?;
        let limit = i64::try_from(limit.get()).unwrap_or(i64::MAX);
        let rows = loan
            .query(&self.inner.sql.pending_messages, &[&limit])
            .await
            .map_err(|fault| fault.into_error(doing, Effect::Reads))?;
        rows.iter().map(message).collect()
    }

    async fn settle_messages(&self, messages: &[EffectId]) -> Result<()> {
        let doing = || format!("settling {} messages", messages.len());
        let ids: Vec<Uuid> = messages.iter().map(|id| id.0).collect();
        let loan = self.loan().await.map_err(|err| err.context(doing()))?;
        // Settling twice changes nothing, so a lost connection may be tried again.
        let settled = loan.execute(&self.inner.sql.settle_messages, &[&ids]).await;
        settled.map(drop).map_err(|fault| fault.into_error(doing(), Effect::Reads))
    }
}

fn message(row: &Row) -> Result<Message> {
    let broken =
        |err: tokio_postgres::Error| Error::fatal("reading a message of the outbox").with_source(err);
    let projection: &str = row.try_get(1).map_err(broken)?;
    let topic: &str = row.try_get(4).map_err(broken)?;
    Ok(Message {
        id: EffectId(row.try_get(0).map_err(broken)?),
        projection: ProjectionName::new(projection)
            .map_err(|err| err.context("reading a message of the outbox"))?,
        seq: Seq::from_i64(row.try_get(2).map_err(broken)?),
        tenant: TenantId::from_store(row.try_get(3).map_err(broken)?),
        topic: SmolStr::new(topic),
        body: row.try_get::<_, JsonText<'_>>(5).map_err(broken)?.to_body(),
    })
}

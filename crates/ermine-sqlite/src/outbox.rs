use std::num::NonZeroUsize;

use async_trait::async_trait;
use ermine_core::{EffectId, Message, ProjectionName, Result, Seq, SmolStr, TenantId, Uuid, ports::Outbox};
use rusqlite::{Row, params};

use crate::{Store, error::Outcome, json, query::as_i64, statements as sql, time::now};

#[async_trait]
impl Outbox for Store {
    async fn pending_messages(&self, limit: NonZeroUsize) -> Result<Vec<Message>> {
        let doing = || "reading the outbox".to_owned();
        self.read(doing, move |connection| {
            let mut statement = connection.prepare_cached(sql::PENDING_MESSAGES)?;
            let mut rows = statement.query([as_i64(limit.get())])?;
            let mut messages = Vec::new();
            while let Some(row) = rows.next()? {
                messages.push(message(row)?);
            }
            Ok(messages)
        })
        .await
    }

    async fn settle_messages(&self, messages: &[EffectId]) -> Result<()> {
        let doing = || format!("settling {} messages", messages.len());
        let messages = messages.to_vec();
        self.change(doing, move |session| {
            let mut statement = session.connection.prepare_cached(sql::SETTLE_MESSAGE)?;
            let now = now().as_microsecond();
            for EffectId(id) in &messages {
                statement.execute(params![id.as_bytes(), now])?;
            }
            Ok(())
        })
        .await
    }
}

fn message(row: &Row<'_>) -> Outcome<Message> {
    let projection: String = row.get(1)?;
    Ok(Message {
        id: EffectId(Uuid::from_bytes(row.get(0)?)),
        projection: ProjectionName::new(projection)?,
        seq: Seq::from_i64(row.get(2)?),
        tenant: TenantId::from_store(row.get_ref(3)?.as_str().map_err(rusqlite::Error::from)?),
        topic: SmolStr::new(row.get_ref(4)?.as_str().map_err(rusqlite::Error::from)?),
        body: json::body(row, 5)?,
    })
}

use async_trait::async_trait;
use ermine_core::{
    Appended, Error, ErrorKind, EventId, Position, Result, Seq, StreamId, TenantId, Version,
    ports::StreamAdmin,
};
use tokio_postgres::Row;

use crate::{Store, connection::Params, error::Effect};

#[async_trait]
impl StreamAdmin for Store {
    async fn archive_stream(&self, tenant: &TenantId, stream: &StreamId) -> Result<Appended> {
        let doing = || format!("archiving stream \"{stream}\"");
        let loan = self.loan().await.map_err(|err| err.context(doing()))?;
        let id = EventId::random();
        let ready = loan.ready(&self.inner.sql.archive_stream).await;
        let ready = ready.map_err(|fault| fault.into_error(doing(), Effect::Reads))?;
        // As with an append: whoever drops this may leave it waiting for the stream.
        let taint = loan.taint();
        let params: Params<'_> = &[&tenant.as_str(), &stream.as_str(), id.as_uuid()];
        let rows = loan.answer(loan.run(&ready, params)).await;
        if rows.as_ref().err().is_none_or(|fault| !fault.spoils_session()) {
            taint.lift();
        }
        let rows = rows.map_err(|fault| fault.into_error(doing(), Effect::Writes))?;
        let appended = rows.first().map(appended).transpose();
        let appended = appended.map_err(|err| Error::fatal(doing()).with_source(err))?;
        appended.flatten().ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!("stream \"{stream}\" has no events, so there is nothing to archive"),
            )
        })
    }

    async fn skip_events(&self, events: &[Seq], reason: &str) -> Result<u64> {
        let doing = || format!("marking {} events as skipped", events.len());
        let seqs: Vec<i64> = events.iter().map(|seq| seq.as_i64()).collect();
        let loan = self.loan().await.map_err(|err| err.context(doing()))?;
        loan.execute(&self.inner.sql.skip_events, &[&seqs, &reason])
            .await
            .map_err(|fault| fault.into_error(doing(), Effect::Writes))
    }
}

/// `None` when the columns are null.
fn appended(row: &Row) -> Result<Option<Appended>, tokio_postgres::Error> {
    let Some(seq) = row.try_get::<_, Option<i64>>(0)? else { return Ok(None) };
    Ok(Some(Appended {
        position: Position::new(Seq::from_i64(seq)),
        versions: vec![Version::from_i64(row.try_get(1)?)],
        recorded_at: row.try_get(2)?,
        repeated: row.try_get(3)?,
    }))
}

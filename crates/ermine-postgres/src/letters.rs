//! Events that shards have refused: commits write them, anybody asks about them.

mod changes;
mod conditions;
mod row;

use std::num::NonZeroUsize;

use async_trait::async_trait;
pub(crate) use changes::jobs;
use conditions::Conditions;
use ermine_core::{
    DeadLetter, Error, Event, LetterQuery, LetterRequest, LetterStatus, ParkKey, Result, Seq, ShardName,
    Timestamp, Value, ports::DeadLetterStore,
};
use tokio_postgres::Row;

use crate::{
    Store,
    error::Effect,
    page,
    sql::complete,
    value::{to_micros, without_nul},
};

#[async_trait]
impl DeadLetterStore for Store {
    async fn letters(&self, query: LetterQuery) -> Result<Vec<DeadLetter>> {
        let mut asked = Conditions::of(&query);
        let limit = query.limit.map(|limit| i64::try_from(limit).unwrap_or(i64::MAX));
        let limit = asked.parameter(limit.map_or(Value::Null, Value::Integer));
        let text = complete(
            self.inner.sql.letters.text(),
            &[("condition", &asked.text()), ("limit", &format!("{limit}::bigint"))],
        );
        let rows = self.ask_letters(&text, &asked, "reading dead letters", Effect::Reads).await?;
        rows.iter().map(row::letter).collect()
    }

    async fn count_letters(&self, query: LetterQuery) -> Result<u64> {
        let asked = Conditions::of(&query);
        let text = complete(self.inner.sql.count_letters.text(), &[("condition", &asked.text())]);
        let doing = "counting dead letters";
        let rows = self.ask_letters(&text, &asked, doing, Effect::Reads).await?;
        number(&rows, doing)
    }

    async fn request(&self, query: LetterQuery, request: LetterRequest) -> Result<u64> {
        let mut asked = Conditions::of(&query);
        let (status, by, reason) = match &request {
            LetterRequest::Retry { by } => (LetterStatus::Retry, by, None),
            LetterRequest::Discard { by, reason } => (LetterStatus::Discard, by, Some(reason)),
        };
        let text = |text: &str| Value::Text(without_nul(text).into_owned());
        let by = asked.parameter(text(by));
        let reason = asked.parameter(reason.map_or(Value::Null, |reason| text(reason)));
        let statement = complete(
            self.inner.sql.request_letters.text(),
            &[
                ("condition", &asked.text()),
                ("open", &conditions::names(&LetterStatus::OPEN)),
                ("status", &conditions::names(&[status])),
                ("by", &by),
                ("reason", &reason),
            ],
        );
        let doing = "asking about dead letters";
        let rows = self.ask_letters(&statement, &asked, doing, Effect::Writes).await?;
        number(&rows, doing)
    }

    async fn parked_keys(&self, shard: &ShardName) -> Result<Vec<(ParkKey, u64)>> {
        let name = shard.to_string();
        let doing = || format!("reading behind what events of {name} wait");
        let loan = self.loan().await.map_err(|err| err.context(doing()))?;
        let rows = loan.query(&self.inner.sql.parked_keys, &[&name]).await;
        let rows = rows.map_err(|fault| fault.into_error(doing(), Effect::Reads))?;
        rows.iter().map(|row| row::parked_key(row).map_err(|err| err.context(doing()))).collect()
    }

    async fn parked(
        &self,
        shard: &ShardName,
        key: &ParkKey,
        after: Seq,
        limit: NonZeroUsize,
    ) -> Result<Vec<Seq>> {
        let name = shard.to_string();
        let doing = || format!("reading which events of {name} wait behind {key}");
        let (kind, tenant, id) = ParkKey::parts(Some(key));
        let limit = i64::try_from(limit.get()).unwrap_or(i64::MAX);
        let loan = self.loan().await.map_err(|err| err.context(doing()))?;
        let rows = loan
            .query(&self.inner.sql.parked_events, &[&name, &kind, &tenant, &id, &after.as_i64(), &limit])
            .await
            .map_err(|fault| fault.into_error(doing(), Effect::Reads))?;
        let seqs = rows.iter().map(|row| Ok(Seq::from_i64(row.try_get(0)?)));
        seqs.collect::<Result<_, tokio_postgres::Error>>()
            .map_err(|err| Error::fatal(doing()).with_source(err))
    }

    async fn read_events(&self, seqs: &[Seq]) -> Result<Vec<Event>> {
        page::by_number(self, seqs).await
    }

    async fn purge_letters(&self, moment: Timestamp) -> Result<u64> {
        let doing = "purging dead letters";
        let loan = self.loan().await.map_err(|err| err.context(doing))?;
        let taint = loan.taint();
        let purged = loan.execute(&self.inner.sql.purge_letters, &[&to_micros(moment)]).await;
        if purged.as_ref().err().is_none_or(|fault| !fault.spoils_session()) {
            taint.lift();
        }
        purged.map_err(|fault| fault.into_error(doing, Effect::Writes))
    }
}

impl Store {
    /// Runs a statement that was made for one query.
    async fn ask_letters(
        &self,
        text: &str,
        asked: &Conditions,
        doing: &str,
        effect: Effect,
    ) -> Result<Vec<Row>> {
        let loan = self.loan().await.map_err(|err| err.context(doing))?;
        // Whoever drops a request may leave it waiting for a letter; nobody else shall wait behind it.
        let taint = (effect == Effect::Writes).then(|| loan.taint());
        let rows = loan.query_made(text, asked.values()).await;
        if let Some(taint) = taint
            && rows.as_ref().err().is_none_or(|fault| !fault.spoils_session())
        {
            taint.lift();
        }
        rows.map_err(|fault| fault.into_error(doing, effect))
    }
}

/// The one number of an answer.
fn number(rows: &[Row], doing: &str) -> Result<u64> {
    let row = rows.first().ok_or_else(|| Error::fatal(format!("{doing}: there is no answer")))?;
    let count: i64 = row.try_get(0).map_err(|err| Error::fatal(doing).with_source(err))?;
    Ok(count.unsigned_abs())
}

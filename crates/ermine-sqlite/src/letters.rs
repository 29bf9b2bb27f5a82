//! Events that shards have refused, and those that wait behind them.

mod condition;
mod row;

use std::num::NonZeroUsize;

use async_trait::async_trait;
use ermine_core::{
    DeadLetter, Event, LetterChanges, LetterQuery, LetterRequest, LetterState, ParkKey, Result, Seq,
    ShardName, Timestamp, ports::DeadLetterStore,
};
use rusqlite::{Connection, params, params_from_iter};

use self::condition::Condition;
pub(crate) use self::row::without_nul;
use crate::{
    Store,
    error::{Fault, Outcome},
    page,
    query::as_i64,
    statements as sql, time,
    writer::Session,
};

#[async_trait]
impl DeadLetterStore for Store {
    async fn letters(&self, query: LetterQuery) -> Result<Vec<DeadLetter>> {
        self.read(reading, move |connection| {
            let condition = Condition::of(&query);
            let text = condition.in_text(sql::LETTERS_READ, &["limit"]);
            let limit = query.limit.map_or(i64::MAX, as_i64);
            let mut statement = connection.prepare_cached(&text)?;
            let mut rows = statement.query(params_from_iter(condition.values_and([limit.into()])))?;
            let mut letters = Vec::new();
            while let Some(row) = rows.next()? {
                letters.push(row::letter(row)?);
            }
            Ok(letters)
        })
        .await
    }

    async fn count_letters(&self, query: LetterQuery) -> Result<u64> {
        let doing = || "counting dead letters".to_owned();
        self.read(doing, move |connection| {
            let condition = Condition::of(&query);
            let mut statement = connection.prepare_cached(&condition.in_text(sql::LETTERS_COUNT, &[]))?;
            let count: i64 =
                statement.query_row(params_from_iter(condition.values_and([])), |row| row.get(0))?;
            Ok(count.unsigned_abs())
        })
        .await
    }

    async fn request(&self, query: LetterQuery, request: LetterRequest) -> Result<u64> {
        let doing = || "saying what is to become of dead letters".to_owned();
        let state = LetterState::Requested(request);
        self.change(doing, move |session| mark(session, &query, &state)).await
    }

    async fn parked_keys(&self, shard: &ShardName) -> Result<Vec<(ParkKey, u64)>> {
        let doing = || format!("reading behind what events of {shard} wait");
        let shard = shard.to_string();
        self.read(doing, move |connection| {
            let mut statement = connection.prepare_cached(sql::PARKED_KEYS)?;
            let mut rows = statement.query([&shard])?;
            let mut keys = Vec::new();
            while let Some(row) = rows.next()? {
                let key = row::key(row, 0)?;
                let key = key.ok_or_else(|| Fault::Garbled("an event waits behind nothing".into()))?;
                keys.push((key, row.get::<_, i64>(3)?.unsigned_abs()));
            }
            Ok(keys)
        })
        .await
    }

    async fn parked(
        &self,
        shard: &ShardName,
        key: &ParkKey,
        after: Seq,
        limit: NonZeroUsize,
    ) -> Result<Vec<Seq>> {
        let doing = || format!("reading which events of {shard} wait behind {key}");
        let (shard, key) = (shard.to_string(), key.clone());
        self.read(doing, move |connection| {
            let (kind, tenant, id) = ParkKey::parts(Some(&key));
            let mut statement = connection.prepare_cached(sql::PARKED_EVENTS)?;
            let bound = params![shard, kind, tenant, id, after.as_i64(), as_i64(limit.get())];
            let seqs = statement.query_map(bound, |row| Ok(Seq::from_i64(row.get(0)?)))?;
            Ok(seqs.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    async fn read_events(&self, seqs: &[Seq]) -> Result<Vec<Event>> {
        let doing = || format!("reading {} events by their numbers", seqs.len());
        let seqs = seqs.to_vec();
        self.read(doing, move |connection| page::by_number(connection, seqs)).await
    }

    async fn purge_letters(&self, moment: Timestamp) -> Result<u64> {
        let doing = || format!("purging dead letters that were settled before {moment}");
        self.change(doing, move |session| {
            let mut statement = session.connection.prepare_cached(sql::LETTERS_PURGE)?;
            Ok(statement.execute([time::ceiling(moment)])? as u64)
        })
        .await
    }
}

fn reading() -> String {
    "reading dead letters".to_owned()
}

fn mark(session: &mut Session, query: &LetterQuery, state: &LetterState) -> Outcome<u64> {
    let condition = Condition::of(query);
    let text = condition.in_text(sql::LETTERS_REQUEST, &["status", "by", "reason"]);
    let told = |text: Option<&str>| text.map(|text| row::without_nul(text).into_owned()).into();
    let values = [state.status().as_str().to_owned().into(), told(state.by()), told(state.reason())];
    let bound = params_from_iter(condition.values_and(values));
    let marked = session.connection.prepare_cached(&text)?.execute(bound)? as u64;
    if marked > 0 {
        session.spread_news()?;
    }
    Ok(marked)
}

/// Writes what a batch changes, in the transaction that is open.
pub(crate) fn write(connection: &Connection, shard: &str, changes: &LetterChanges) -> Outcome<()> {
    if changes.is_empty() {
        return Ok(());
    }
    for letter in &changes.letters {
        row::write(connection, letter)?;
    }
    for (text, events) in [(sql::EVENT_PARK, &changes.parked), (sql::EVENT_RELEASE, &changes.released)] {
        let mut statement = connection.prepare_cached(text)?;
        for (key, seq) in events {
            let (kind, tenant, id) = ParkKey::parts(Some(key));
            statement.execute(params![shard, kind, tenant, id, seq.as_i64()])?;
        }
    }
    Ok(())
}

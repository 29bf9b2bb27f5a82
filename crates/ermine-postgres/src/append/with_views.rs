//! Appends that change any views in the same transaction, in one round trip.

use std::collections::HashSet;

use ermine_core::{AppendBatch, Appended, Error, Operation, Position, Result, Seq, Timestamp};
use tokio_postgres::Transaction;

use super::{answer_of, conflict, describe, flat::Flat, misplaced};
use crate::{
    Store,
    error::{Effect, Fault},
    job::{self, Failed, Job},
    operations,
};

impl Store {
    pub(super) async fn append_with_views(&self, batch: &AppendBatch) -> Result<Appended> {
        let flat = Flat::of(batch)?;
        let jobs = self.jobs(batch, &flat)?;
        let loan = self.loan().await.map_err(|err| err.context(describe(batch)))?;
        let ready = job::prepare(&loan, &jobs).await;
        let ready = ready.map_err(|fault| fault.into_error(describe(batch), Effect::Reads))?;
        let answer = job::transact(&loan, self.inner.sql.begin_batch.text(), &jobs, &ready).await;
        match answer {
            Ok(rows) => answer_of(batch, &rows, |row| flat.answer(row)),
            Err(failed) => first_time(&failed.fault, &flat).ok_or_else(|| refusal(failed, batch, &jobs)),
        }
    }

    /// A savepoint lets the transaction live on without a trace of an append that has failed, or that was recorded before.
    pub(super) async fn append_with_views_in(
        &self,
        transaction: &Transaction<'_>,
        batch: &AppendBatch,
    ) -> Result<Appended> {
        let flat = Flat::of(batch)?;
        let jobs = self.jobs(batch, &flat)?;
        let change = async |sql: &str| {
            let changed = transaction.batch_execute(sql).await;
            changed.map_err(|err| Fault::Driver(err).into_error(describe(batch), Effect::Writes))
        };
        change("savepoint ermine_append; set local ermine.batch = 'on'").await?;
        let answer = match job::run_in(transaction, &jobs).await {
            Ok(rows) => answer_of(batch, &rows, |row| flat.answer(row)),
            Err(failed) => first_time(&failed.fault, &flat).ok_or_else(|| refusal(failed, batch, &jobs)),
        };
        if answer.as_ref().is_ok_and(|appended| !appended.repeated) {
            change("set local ermine.batch = ''; release savepoint ermine_append").await?;
            return answer;
        }
        let undone = change("rollback to savepoint ermine_append; release savepoint ermine_append").await;
        answer.and_then(|appended| undone.map(|()| appended))
    }

    /// Everything that can be refused comes before the numbers: streams, views as they were read, operations.
    fn jobs<'a>(&self, batch: &'a AppendBatch, flat: &'a Flat<'a>) -> Result<Vec<Job<'a>>> {
        let moves = |it: &&Operation| matches!(it, Operation::Append { .. } | Operation::Publish(_));
        if batch.operations().iter().any(|operation| moves(&operation)) {
            return Err(Error::configuration(
                "an append can store, delete and run native statements beside its events, and neither append to other \
                 streams nor publish: put the events into the batch, and leave messages to a subscription",
            ));
        }
        let absent = batch.pins().iter().filter(|pin| pin.version.is_none());
        let absent: HashSet<_> = absent.map(|pin| (&pin.table, &pin.key)).collect();
        let sql = &self.inner.sql;
        let mut jobs = vec![Job::ours(sql.begin_append.clone(), flat.checks())];
        jobs.extend(operations::pins(self, batch.pins()));
        jobs.extend(operations::jobs(self, batch.operations(), absent)?);
        jobs.push(Job::ours(sql.append_events_after.clone(), flat.boxed_params()));
        Ok(jobs)
    }
}

/// The answer of the first time, which comes as an error so that nothing of a repeated append takes effect.
fn first_time(fault: &Fault, flat: &Flat<'_>) -> Option<Appended> {
    let db = fault.db().filter(|db| db.code().code() == "EM010")?;
    let detail: serde_json::Value = serde_json::from_str(db.detail()?).ok()?;
    let versions: Vec<i64> = serde_json::from_value(detail["versions"].clone()).ok()?;
    Some(Appended {
        position: Position::new(Seq::from_i64(detail["last_seq"].as_i64()?)),
        versions: flat.versions_of_batch(&versions),
        recorded_at: Timestamp::from_microsecond(detail["recorded_at"].as_i64()?).ok()?,
        repeated: true,
    })
}

fn refusal(failed: Failed, batch: &AppendBatch, jobs: &[Job<'_>]) -> Error {
    if let Some(conflict) = conflict(&failed.fault, batch) {
        return conflict;
    }
    let mut doing = describe(batch);
    doing.push_str(misplaced(&failed.fault));
    failed.into_error(doing, jobs)
}

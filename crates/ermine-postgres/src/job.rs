//! The statements of one transaction, sent in one round trip.

use std::sync::{Arc, Mutex, PoisonError};

use ermine_core::{Error, Native, Result};
use postgres_types::ToSql;
use tokio_postgres::{Row, Transaction};

use crate::{
    connection::{Connection, Params, Ready, typed, untyped},
    error::{Effect, Fault},
    native,
    pipeline::{self, Step},
    sql::Sql,
};

/// A parameter of a job.
pub(crate) type Param<'a> = Box<dyn ToSql + Sync + Send + 'a>;

/// One statement, and what it is given.
pub(crate) struct Job<'a> {
    text: Text<'a>,
    params: Vec<Param<'a>>,
}

enum Text<'a> {
    /// One of ours, worth preparing.
    Ours(Sql),
    /// Made for this one time.
    Made(Arc<str>),
    /// Somebody else's, as it is shown.
    Native(Arc<str>, &'a Native),
}

impl<'a> Job<'a> {
    pub(crate) const fn ours(sql: Sql, params: Vec<Param<'a>>) -> Self {
        Self { text: Text::Ours(sql), params }
    }

    pub(crate) fn made(text: String, params: Vec<Param<'a>>) -> Self {
        Self { text: Text::Made(text.into()), params }
    }

    pub(crate) fn native(text: String, native: &'a Native, params: Vec<Param<'a>>) -> Self {
        Self { text: Text::Native(text.into(), native), params }
    }

    fn params(&self) -> Vec<&(dyn ToSql + Sync)> {
        self.params.iter().map(|param| -> &(dyn ToSql + Sync) { &**param }).collect()
    }

    async fn ready(&self, connection: &Connection) -> Result<Ready, Fault> {
        match &self.text {
            Text::Ours(sql) => connection.ready(sql).await,
            Text::Made(text) => Ok(Ready::Untyped(Arc::clone(text))),
            Text::Native(text, _) => connection.ready_stranger(text).await,
        }
    }
}

/// What went wrong, and in which job.
#[derive(Debug)]
pub(crate) struct Failed {
    job: Option<usize>,
    pub(crate) fault: Fault,
}

impl Failed {
    /// As an error; one of a native statement names the statement.
    pub(crate) fn into_error(self, doing: String, jobs: &[Job<'_>]) -> Error {
        self.of(Effect::Writes, doing, jobs)
    }

    /// The same where the jobs are the batch of a shard.
    pub(crate) fn into_batch_error(self, doing: String, jobs: &[Job<'_>]) -> Error {
        self.of(Effect::Commits, doing, jobs)
    }

    fn of(self, effect: Effect, doing: String, jobs: &[Job<'_>]) -> Error {
        match self.job.and_then(|job| jobs.get(job)).map(|job| &job.text) {
            Some(Text::Native(_, native)) => {
                let doing = format!("{doing}: {}", native::shown(&native.statement));
                self.fault.into_native_error(doing, effect)
            }
            _ => self.fault.into_error(doing, effect),
        }
    }
}

/// A step of the pipeline that failed.
struct Broken {
    job: Option<usize>,
    error: tokio_postgres::Error,
}

/// Makes the statements ready. Before the transaction begins, so that a failure cannot leave one open.
pub(crate) async fn prepare(connection: &Connection, jobs: &[Job<'_>]) -> Result<Vec<Ready>, Fault> {
    let mut ready = Vec::with_capacity(jobs.len());
    for job in jobs {
        ready.push(job.ready(connection).await?);
    }
    Ok(ready)
}

/// Runs jobs as one transaction: all of them or none. Answers with the rows of the last job.
pub(crate) async fn transact(
    connection: &Connection,
    begin: &str,
    jobs: &[Job<'_>],
    ready: &[Ready],
) -> Result<Vec<Row>, Failed> {
    let client = connection.client();
    let params: Vec<Vec<&(dyn ToSql + Sync)>> = jobs.iter().map(Job::params).collect();
    let rows = Mutex::new(Vec::new());
    let around = |error| Broken { job: None, error };
    let mut steps: Vec<Step<'_, Broken>> = Vec::with_capacity(jobs.len() + 2);
    // Every statement of ours asks whether the BEGIN has taken effect. Somebody else's does not, so it waits for that.
    let patient = jobs.iter().any(|job| matches!(job.text, Text::Native(..)));
    let taint = connection.taint();
    if patient {
        let begun = connection.answer(client.batch_execute(begin)).await;
        begun.map_err(|fault| Failed { job: None, fault })?;
    } else {
        steps.push(Box::pin(async { client.batch_execute(begin).await.map_err(around) }));
    }
    for (place, ((job, ready), params)) in jobs.iter().zip(ready).zip(&params).enumerate() {
        let (rows, is_last) = (&rows, place + 1 == jobs.len());
        let broken = move |error| Broken { job: Some(place), error };
        steps.push(match job.text {
            Text::Ours(_) if is_last => Box::pin(async move {
                let answer = connection.run(ready, params).await.map_err(broken)?;
                *rows.lock().unwrap_or_else(PoisonError::into_inner) = answer;
                Ok(())
            }),
            _ => Box::pin(async move { connection.run_blind(ready, params).await.map(drop).map_err(broken) }),
        });
    }
    // After an error this rolls back.
    steps.push(Box::pin(async { client.batch_execute("commit").await.map_err(around) }));
    let mut failed = None;
    let answer = connection
        .answer(async {
            let run = pipeline::run(steps, |broken| broken.error.as_db_error().is_none()).await;
            run.map_err(|broken| {
                failed = broken.job;
                broken.error
            })
        })
        .await;
    // The answer to COMMIT has come only when the server has answered all along.
    if answer.as_ref().err().is_none_or(|fault| fault.db().is_some() && !fault.spoils_session()) {
        taint.lift();
    }
    answer.map_err(|fault| Failed { job: failed, fault })?;
    Ok(rows.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Runs jobs one after the other in a transaction of somebody else's. Answers with the rows of the last job.
pub(crate) async fn run_in(transaction: &Transaction<'_>, jobs: &[Job<'_>]) -> Result<Vec<Row>, Failed> {
    let mut rows = Vec::new();
    for (place, job) in jobs.iter().enumerate() {
        let params = job.params();
        let params: Params<'_> = &params;
        let answer = match &job.text {
            Text::Ours(sql) => transaction.query_typed(sql.text(), &typed(sql, params)).await,
            Text::Made(text) | Text::Native(text, _) => transaction.query_typed(text, &untyped(params)).await,
        };
        rows = answer.map_err(|error| Failed { job: Some(place), fault: Fault::Driver(error) })?;
    }
    Ok(rows)
}

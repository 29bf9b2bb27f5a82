//! Committing a batch: operations, letters and progress in one transaction and one round trip.

use ermine_core::{Error, ErrorKind, Result, ShardBatch};

use crate::{
    Store,
    error::Effect,
    job::{self, Job, Param},
    letters,
    operations::{self, Absent},
};

impl Store {
    pub(crate) async fn commit_batch(&self, batch: &ShardBatch) -> Result<()> {
        if batch.to < batch.from {
            return Err(Error::configuration(format!(
                "a batch of shard {} would move progress back from {} to {}",
                batch.shard, batch.from, batch.to
            )));
        }
        let doing = || match batch.range() {
            Some(range) => format!("committing {range} of {}", batch.shard),
            None => format!("committing at {} of {}", batch.from, batch.shard),
        };
        let mut jobs = vec![self.advance(batch)];
        jobs.extend(letters::jobs(self, batch));
        jobs.extend(operations::jobs(self, &batch.operations, Absent::new())?);
        let loan = self.loan().await.map_err(|err| err.context(doing()))?;
        let ready = job::prepare(&loan, &jobs).await;
        let ready = ready.map_err(|fault| fault.into_error(doing(), Effect::Reads))?;
        let answer = job::transact(&loan, self.inner.sql.begin_batch.text(), &jobs, &ready).await;
        answer.map(drop).map_err(|failed| refusal(failed.into_batch_error(doing(), &jobs), batch))
    }

    fn advance<'a>(&self, batch: &'a ShardBatch) -> Job<'a> {
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let members = || batch.members.iter().map(ToString::to_string).collect::<Vec<String>>();
        let params: Vec<Param<'_>> = vec![
            Box::new(batch.shard.to_string()),
            Box::new(batch.from.as_i64()),
            Box::new(batch.to.as_i64()),
            Box::new(batch.epoch.0),
            Box::new(batch.incarnation.0),
            Box::new(number(batch.unknown_events)),
            Box::new(number(batch.skipped_events)),
            Box::new((!batch.members.is_empty()).then(members)),
        ];
        Job::ours(self.inner.sql.advance.clone(), params)
    }
}

fn refusal(error: Error, batch: &ShardBatch) -> Error {
    match error.kind() {
        ErrorKind::Fenced { epoch } => Error::fenced(&batch.shard, batch.epoch, *epoch).with_source(error),
        ErrorKind::OutOfOrder { at } => Error::out_of_order(&batch.shard, batch.from, *at).with_source(error),
        ErrorKind::Rewound => Error::rewound().with_source(error),
        ErrorKind::Archived { stream } => Error::archived(stream.clone()).with_source(error),
        // Somebody has recorded it since this batch looked; when it looks again it leaves it out.
        ErrorKind::DuplicateEvent { .. } => {
            Error::transient("an event of this batch was recorded by somebody else meanwhile")
                .with_source(error)
        }
        _ => error,
    }
}

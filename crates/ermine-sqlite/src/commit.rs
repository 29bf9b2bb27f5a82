//! Committing a batch: views, letters and progress in one transaction.

use ermine_core::{Epoch, Error, Result, Seq, ShardBatch, Uuid};
use rusqlite::{Connection, OptionalExtension, params};

use crate::{
    Store,
    error::{Fault, Outcome},
    letters, operations, statements as sql,
    time::now,
    view_sql::ViewSqls,
    writer::Session,
};

impl Store {
    pub(crate) async fn commit_batch(&self, batch: ShardBatch) -> Result<()> {
        if batch.to < batch.from {
            return Err(Error::configuration(format!(
                "a batch of shard {} would move progress back from {} to {}",
                batch.shard, batch.from, batch.to
            )));
        }
        let (range, from, shard) = (batch.range(), batch.from, batch.shard.clone());
        let doing = || match range {
            Some(range) => format!("committing {range} of {shard}"),
            None => format!("committing at {from} of {shard}"),
        };
        let views = std::sync::Arc::clone(&self.inner.views);
        self.change(doing, move |session| apply(session, &views, &batch)).await
    }
}

fn apply(session: &mut Session, views: &ViewSqls, batch: &ShardBatch) -> Outcome<()> {
    let shard = batch.shard.to_string();
    admit(&session.connection, &shard, batch)?;
    operations::apply(session, views, &batch.operations)?;
    letters::write(&session.connection, &shard, &batch.letters)?;
    let now = now().as_microsecond();
    let counted = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    session.connection.prepare_cached(sql::ADVANCE)?.execute(params![
        shard,
        batch.to.as_i64(),
        counted(batch.unknown_events),
        counted(batch.skipped_events),
        now
    ])?;
    for member in &batch.members {
        let member = params![member.to_string(), batch.to.as_i64(), now];
        session.connection.prepare_cached(sql::ADVANCE_MEMBER)?.execute(member)?;
    }
    Ok(())
}

/// Compares the batch with what is stored, under the lock of the transaction.
fn admit(connection: &Connection, shard: &str, batch: &ShardBatch) -> Outcome<()> {
    let mut statement = connection.prepare_cached(sql::SHARD_STATE)?;
    let state = statement.query_row([shard], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()?;
    let Some((token, at, epoch)): Option<([u8; 16], Option<i64>, Option<i64>)> = state else {
        return Err(Fault::Garbled("the store does not know its incarnation: meta is empty".into()));
    };
    if Uuid::from_bytes(token) != batch.incarnation.0 {
        return Err(Error::rewound().into());
    }
    let newest = Epoch(epoch.unwrap_or_default());
    if epoch.is_none() || newest != batch.epoch {
        return Err(Error::fenced(&batch.shard, batch.epoch, newest).into());
    }
    let at = Seq::from_i64(at.unwrap_or_default());
    if at != batch.from {
        return Err(Error::out_of_order(&batch.shard, batch.from, at).into());
    }
    Ok(())
}

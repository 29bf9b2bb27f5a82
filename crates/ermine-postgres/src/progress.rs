use async_trait::async_trait;
use ermine_core::{
    Epoch, Error, Progress, Result, Seq, ShardName, Statistics, TakenShard, ports::ProgressStore,
};
use tokio_postgres::Row;

use crate::{Store, error::Effect};

#[async_trait]
impl ProgressStore for Store {
    async fn take_shards(&self, shards: &[ShardName]) -> Result<Vec<TakenShard>> {
        let names: Vec<String> = shards.iter().map(ToString::to_string).collect();
        let doing = || format!("taking {}", names.join(", "));
        let loan = self.loan().await.map_err(|err| err.context(doing()))?;
        let rows = loan
            .query(&self.inner.sql.take_shards, &[&names])
            .await
            .map_err(|fault| fault.into_error(doing(), Effect::Reads))?;
        let mut taken = Vec::with_capacity(shards.len());
        for (shard, row) in shards.iter().zip(&rows) {
            let (seq, epoch) = numbers(row).map_err(|err| Error::fatal(doing()).with_source(err))?;
            taken.push(TakenShard { shard: shard.clone(), seq: Seq::from_i64(seq), epoch: Epoch(epoch) });
        }
        if taken.len() != shards.len() {
            return Err(Error::fatal(format!("{}: the store answered with {} rows", doing(), taken.len())));
        }
        Ok(taken)
    }

    async fn place_shard(&self, shard: &ShardName, seq: Seq) -> Result<TakenShard> {
        let name = shard.to_string();
        let doing = || format!("placing {name} at {seq}");
        let loan = self.loan().await.map_err(|err| err.context(doing()))?;
        let rows = loan
            .query(&self.inner.sql.place_shard, &[&name, &seq.as_i64()])
            .await
            .map_err(|fault| fault.into_error(doing(), Effect::Reads))?;
        let row = rows.first().ok_or_else(|| Error::fatal(format!("{}: there is no answer", doing())))?;
        let (seq, epoch) = numbers(row).map_err(|err| Error::fatal(doing()).with_source(err))?;
        Ok(TakenShard { shard: shard.clone(), seq: Seq::from_i64(seq), epoch: Epoch(epoch) })
    }

    async fn read_progress(&self) -> Result<Vec<Progress>> {
        let doing = "reading the progress of all shards";
        let loan = self.loan().await.map_err(|err| err.context(doing))?;
        let rows = loan
            .query(&self.inner.sql.read_progress, &[])
            .await
            .map_err(|fault| fault.into_error(doing, Effect::Reads))?;
        rows.iter().map(progress).collect()
    }

    async fn statistics(&self) -> Result<Statistics> {
        let doing = "counting what the store holds";
        let loan = self.loan().await.map_err(|err| err.context(doing))?;
        let rows = loan
            .query(&self.inner.sql.statistics, &[])
            .await
            .map_err(|fault| fault.into_error(doing, Effect::Reads))?;
        let row = rows.first().ok_or_else(|| Error::fatal(doing))?;
        let number = |column: usize| -> Result<i64> {
            row.try_get(column).map_err(|err| Error::fatal(doing).with_source(err))
        };
        Ok(Statistics {
            events: number(0)?.unsigned_abs(),
            streams: number(1)?.unsigned_abs(),
            highest: Seq::from_i64(number(2)?),
        })
    }
}

fn numbers(row: &Row) -> Result<(i64, i64), tokio_postgres::Error> {
    Ok((row.try_get(1)?, row.try_get(2)?))
}

fn progress(row: &Row) -> Result<Progress> {
    let broken = |err| Error::fatal("reading the progress of a shard").with_source(err);
    let shard: String = row.try_get(0).map_err(broken)?;
    Ok(Progress {
        shard: shard.parse().map_err(|err: Error| err.context("reading the progress of a shard"))?,
        seq: Seq::from_i64(row.try_get(1).map_err(broken)?),
        epoch: Epoch(row.try_get(2).map_err(broken)?),
        unknown_events: row.try_get::<_, i64>(3).map_err(broken)?.unsigned_abs(),
        skipped_events: row.try_get::<_, i64>(4).map_err(broken)?.unsigned_abs(),
        moved_at: row.try_get(5).map_err(broken)?,
    })
}

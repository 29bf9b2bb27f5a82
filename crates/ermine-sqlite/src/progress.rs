use async_trait::async_trait;
use ermine_core::{Epoch, Progress, Result, Seq, ShardName, Statistics, TakenShard, ports::ProgressStore};
use rusqlite::{Row, params};

use crate::{
    Store,
    error::Outcome,
    statements as sql,
    time::{self, now},
};

#[async_trait]
impl ProgressStore for Store {
    async fn take_shards(&self, shards: &[ShardName]) -> Result<Vec<TakenShard>> {
        let doing = || {
            let names: Vec<String> = shards.iter().map(ToString::to_string).collect();
            format!("taking {}", names.join(", "))
        };
        let shards = shards.to_vec();
        self.change(doing, move |session| {
            let mut statement = session.connection.prepare_cached(sql::TAKE_SHARD)?;
            let take = |shard: &ShardName| {
                let bound = params![shard.to_string(), now().as_microsecond()];
                Ok(statement.query_row(bound, |row| taken(shard, row))?)
            };
            shards.iter().map(take).collect()
        })
        .await
    }

    async fn place_shard(&self, shard: &ShardName, seq: Seq) -> Result<TakenShard> {
        let doing = || format!("placing {shard} at {seq}");
        let shard = shard.clone();
        self.change(doing, move |session| {
            let mut statement = session.connection.prepare_cached(sql::PLACE_SHARD)?;
            let bound = params![shard.to_string(), now().as_microsecond(), seq.as_i64()];
            Ok(statement.query_row(bound, |row| taken(&shard, row))?)
        })
        .await
    }

    async fn read_progress(&self) -> Result<Vec<Progress>> {
        let doing = || "reading the progress of all shards".to_owned();
        self.read(doing, |connection| {
            let mut statement = connection.prepare_cached(sql::READ_PROGRESS)?;
            let mut rows = statement.query([])?;
            let mut all = Vec::new();
            while let Some(row) = rows.next()? {
                all.push(progress(row)?);
            }
            // Not the order of the texts, in which `a b:All` comes before `a:All`.
            all.sort_unstable_by(|one, other| one.shard.cmp(&other.shard));
            Ok(all)
        })
        .await
    }

    async fn statistics(&self) -> Result<Statistics> {
        let doing = || "counting what the store holds".to_owned();
        self.read(doing, |connection| {
            let counted = connection.query_row(sql::STATISTICS, [], |row| {
                let count = |column: usize| row.get(column).map(i64::unsigned_abs);
                Ok(Statistics { events: count(0)?, streams: count(1)?, highest: Seq::from_i64(row.get(2)?) })
            });
            Ok(counted?)
        })
        .await
    }
}

fn taken(shard: &ShardName, row: &Row<'_>) -> rusqlite::Result<TakenShard> {
    Ok(TakenShard { shard: shard.clone(), seq: Seq::from_i64(row.get(0)?), epoch: Epoch(row.get(1)?) })
}

fn progress(row: &Row<'_>) -> Outcome<Progress> {
    let shard: String = row.get(0)?;
    Ok(Progress {
        shard: shard
            .parse()
            .map_err(|err: ermine_core::Error| err.context("reading the progress of a shard"))?,
        seq: Seq::from_i64(row.get(1)?),
        epoch: Epoch(row.get(2)?),
        unknown_events: row.get::<_, i64>(3)?.unsigned_abs(),
        skipped_events: row.get::<_, i64>(4)?.unsigned_abs(),
        moved_at: time::from_column(row.get(5)?)?,
    })
}

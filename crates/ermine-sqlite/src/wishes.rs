use async_trait::async_trait;
use ermine_core::{Error, Result, ShardName, SmolStr, Timestamp, Wish, ports::WishStore};
use rusqlite::{Row, params};

use crate::{Store, error::Outcome, letters::without_nul, statements as sql, time};

#[async_trait]
impl WishStore for Store {
    async fn put_wish(&self, wish: Wish) -> Result<()> {
        let shard = wish.shard.clone();
        let doing = || format!("storing what is wanted of {shard}");
        self.change(doing, move |session| {
            session.connection.prepare_cached(sql::WISH_PUT)?.execute(params![
                wish.shard.to_string(),
                without_nul(&wish.by),
                without_nul(&wish.reason),
                wish.since.as_microsecond(),
                wish.until.map(Timestamp::as_microsecond),
            ])?;
            session.spread_news()
        })
        .await
    }

    async fn clear_wishes(&self, shards: &[ShardName]) -> Result<u64> {
        let doing = || format!("undoing what is wanted of {} shards", shards.len());
        let shards = shards.to_vec();
        self.change(doing, move |session| {
            let mut cleared = 0;
            for shard in &shards {
                let mut statement = session.connection.prepare_cached(sql::WISH_CLEAR)?;
                cleared += statement.execute([shard.to_string()])? as u64;
            }
            if cleared > 0 {
                session.spread_news()?;
            }
            Ok(cleared)
        })
        .await
    }

    async fn wishes(&self) -> Result<Vec<Wish>> {
        let doing = || "reading what is wanted of shards".to_owned();
        self.read(doing, |connection| {
            let mut statement = connection.prepare_cached(sql::WISHES_READ)?;
            let mut rows = statement.query([])?;
            let mut wishes = Vec::new();
            while let Some(row) = rows.next()? {
                wishes.push(wish(row)?);
            }
            Ok(wishes)
        })
        .await
    }
}

fn wish(row: &Row<'_>) -> Outcome<Wish> {
    let shard: String = row.get(0)?;
    let until: Option<i64> = row.get(4)?;
    Ok(Wish {
        shard: shard.parse().map_err(|err: Error| err.context("reading what is wanted of a shard"))?,
        by: SmolStr::new(row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?),
        reason: row.get(2)?,
        since: time::from_column(row.get(3)?)?,
        until: until.map(time::from_column).transpose()?,
    })
}

use async_trait::async_trait;
use ermine_core::{Error, Result, ShardName, SmolStr, Wish, ports::WishStore};
use tokio_postgres::Row;

use crate::{
    Store,
    error::Effect,
    value::{to_micros, without_nul},
};

#[async_trait]
impl WishStore for Store {
    async fn put_wish(&self, wish: Wish) -> Result<()> {
        let shard = wish.shard.to_string();
        let doing = || format!("storing what is wanted of {shard}");
        let (by, reason) = (without_nul(&wish.by), without_nul(&wish.reason));
        let (since, until) = (to_micros(wish.since), wish.until.map(to_micros));
        let loan = self.loan().await.map_err(|err| err.context(doing()))?;
        let put = loan.execute(&self.inner.sql.put_wish, &[&shard, &by, &reason, &since, &until]).await;
        put.map(drop).map_err(|fault| fault.into_error(doing(), Effect::Writes))
    }

    async fn clear_wishes(&self, shards: &[ShardName]) -> Result<u64> {
        let names: Vec<String> = shards.iter().map(ToString::to_string).collect();
        let doing = || format!("undoing what is wanted of {}", names.join(", "));
        let loan = self.loan().await.map_err(|err| err.context(doing()))?;
        let rows = loan.query(&self.inner.sql.clear_wishes, &[&names]).await;
        let rows = rows.map_err(|fault| fault.into_error(doing(), Effect::Writes))?;
        let row = rows.first().ok_or_else(|| Error::fatal(format!("{}: there is no answer", doing())))?;
        let cleared: i64 = row.try_get(0).map_err(|err| Error::fatal(doing()).with_source(err))?;
        Ok(cleared.unsigned_abs())
    }

    async fn wishes(&self) -> Result<Vec<Wish>> {
        let doing = "reading what is wanted of shards";
        let loan = self.loan().await.map_err(|err| err.context(doing))?;
        let rows = loan.query(&self.inner.sql.wishes, &[]).await;
        let rows = rows.map_err(|fault| fault.into_error(doing, Effect::Reads))?;
        rows.iter().map(|row| wish(row).map_err(|err| err.context(doing))).collect()
    }
}

fn wish(row: &Row) -> Result<Wish> {
    let garbled =
        |err: tokio_postgres::Error| Error::fatal("a column is not what it should be").with_source(err);
    let shard: &str = row.try_get(0).map_err(garbled)?;
    let by: &str = row.try_get(1).map_err(garbled)?;
    Ok(Wish {
        shard: shard.parse()?,
        by: SmolStr::new(by),
        reason: row.try_get(2).map_err(garbled)?,
        since: row.try_get(3).map_err(garbled)?,
        until: row.try_get(4).map_err(garbled)?,
    })
}

use async_trait::async_trait;
use ermine_core::{
    Error, Result, Seq, ShardBatch, StoredView, Version, ViewId, ViewKey, ViewQuery, ViewTable,
    ports::ViewStore,
};
use tokio_postgres::Row;

use crate::{Store, error::Effect, value::JsonText};

#[async_trait]
impl ViewStore for Store {
    async fn load_views(&self, table: &ViewTable, keys: &[ViewKey]) -> Result<Vec<Option<StoredView>>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let doing = || format!("loading {} views of {table}", keys.len());
        let loan = self.loan().await.map_err(|err| err.context(doing()))?;
        let tenants: Vec<&str> = keys.iter().map(|key| key.tenant.as_str()).collect();
        let ids: Vec<&str> = keys.iter().map(|key| key.id.as_str()).collect();
        let rows = loan
            .query(&self.view_sql(table).load, &[&tenants, &ids])
            .await
            .map_err(|fault| fault.into_error(doing(), Effect::Reads))?;
        let mut views = vec![None; keys.len()];
        for row in &rows {
            let read = (|| Ok::<_, tokio_postgres::Error>((row.try_get::<_, i64>(3)?, view(row, 0)?)))();
            let (place, view) = read.map_err(|err| Error::fatal(doing()).with_source(err))?;
            let place = usize::try_from(place).ok().and_then(|place| place.checked_sub(1));
            match place.and_then(|place| views.get_mut(place)) {
                Some(found) => *found = view,
                None => return Err(Error::fatal(doing())),
            }
        }
        Ok(views)
    }

    async fn query(&self, query: ViewQuery) -> Result<Vec<(ViewId, StoredView)>> {
        let doing = || format!("querying views of {}", query.table);
        let loan = self.loan().await.map_err(|err| err.context(doing()))?;
        // No id is empty, so every id comes after the empty text.
        let after = query.after.as_ref().map_or("", ViewId::as_str);
        let limit = i64::try_from(query.limit.get()).unwrap_or(i64::MAX);
        let rows = loan
            .query(&self.view_sql(&query.table).query, &[&query.tenant.as_str(), &after, &limit])
            .await
            .map_err(|fault| fault.into_error(doing(), Effect::Reads))?;
        let mut views = Vec::with_capacity(rows.len());
        for row in &rows {
            let read = (|| Ok::<_, tokio_postgres::Error>((row.try_get::<_, &str>(0)?, view(row, 1)?)))();
            let (id, view) = read.map_err(|err| Error::fatal(doing()).with_source(err))?;
            views.extend(view.map(|view| (ViewId::from_store(id), view)));
        }
        Ok(views)
    }

    async fn commit(&self, batch: ShardBatch) -> Result<()> {
        self.commit_batch(&batch).await
    }
}

/// A view out of the columns from `first` on; `None` when they are null.
fn view(row: &Row, first: usize) -> Result<Option<StoredView>, tokio_postgres::Error> {
    let Some(data) = row.try_get::<_, Option<JsonText<'_>>>(first)? else { return Ok(None) };
    Ok(Some(StoredView {
        body: data.to_body(),
        version: Version::from_i64(row.try_get(first + 1)?),
        seq: Seq::from_i64(row.try_get(first + 2)?),
    }))
}

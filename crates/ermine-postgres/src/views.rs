use async_trait::async_trait;
use ermine_core::{
    Error, Result, Seq, ShardBatch, StoredView, Value, Version, ViewId, ViewKey, ViewQuery, ViewTable,
    ports::ViewStore,
};
use tokio_postgres::Row;

use crate::{
    Store,
    connection::Connection,
    error::{Effect, Fault},
    filter, sql,
    value::JsonText,
};

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
        let rows = select(self, &loan, &query).await;
        let rows = rows.map_err(|fault| fault.into_error(doing(), Effect::Reads))?;
        let mut views = Vec::with_capacity(rows.len());
        for row in &rows {
            let read = (|| Ok::<_, tokio_postgres::Error>((row.try_get::<_, &str>(0)?, view(row, 1)?)))();
            let (id, view) = read.map_err(|err| Error::fatal(doing()).with_source(err))?;
            views.extend(view.map(|view| (ViewId::from_store(id), view)));
        }
        Ok(views)
    }

    async fn count(&self, query: ViewQuery) -> Result<u64> {
        let doing = || format!("counting views of {}", query.table);
        let loan = self.loan().await.map_err(|err| err.context(doing()))?;
        let mut values = vec![text(query.tenant.as_str())];
        let condition = condition(&query, &mut values);
        let count = sql::complete(&self.view_sql(&query.table).count, &[("filter", &condition)]);
        let rows = loan.query_made(&count, &values).await;
        let rows = rows.map_err(|fault| fault.into_error(doing(), Effect::Reads))?;
        let count = rows.first().map(|row| row.try_get::<_, i64>(0)).transpose();
        let count = count.map_err(|err| Error::fatal(doing()).with_source(err))?;
        Ok(count.unwrap_or_default().unsigned_abs())
    }

    async fn commit(&self, batch: ShardBatch) -> Result<()> {
        self.commit_batch(&batch).await
    }
}

async fn select(store: &Store, connection: &Connection, query: &ViewQuery) -> Result<Vec<Row>, Fault> {
    let sql = store.view_sql(&query.table);
    // No id is empty, so every id comes after the empty text.
    let after = query.after.as_ref().map_or("", ViewId::as_str);
    let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let (limit, offset) = (number(query.limit.get()), number(query.offset));
    if query.filter.is_none() && query.order.is_empty() && offset == 0 {
        return connection.query(&sql.query, &[&query.tenant.as_str(), &after, &limit]).await;
    }
    let mut values = vec![text(query.tenant.as_str()), text(after), limit.into(), offset.into()];
    let condition = condition(query, &mut values);
    let order = filter::order_by(query.table.layout(), &query.order);
    let select = sql::complete(&sql.select, &[("filter", &condition), ("order", &order)]);
    connection.query_made(&select, &values).await
}

fn condition(query: &ViewQuery, values: &mut Vec<Value>) -> String {
    let condition = |filter| filter::condition(query.table.layout(), filter, values);
    query.filter.as_ref().map_or_else(|| "true".into(), condition)
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
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

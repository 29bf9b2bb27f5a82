use std::sync::Arc;

use async_trait::async_trait;
use ermine_core::{Result, ShardBatch, StoredView, ViewId, ViewKey, ViewQuery, ViewTable, ports::ViewStore};

use crate::{Store, error::Outcome, query};

#[async_trait]
impl ViewStore for Store {
    async fn load_views(&self, table: &ViewTable, keys: &[ViewKey]) -> Result<Vec<Option<StoredView>>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let doing = || format!("loading {} views of {table}", keys.len());
        let (views, table, keys) = (Arc::clone(&self.inner.views), table.clone(), keys.to_vec());
        self.read(doing, move |connection| {
            // All of one snapshot: a batch is seen as a whole.
            let snapshot = connection.transaction()?;
            let sql = views.of(&snapshot, &table)?;
            let mut load = snapshot.prepare_cached(&sql.load)?;
            let one = |key: &ViewKey| -> Outcome<Option<StoredView>> {
                let mut rows = load.query([key.tenant.as_str(), key.id.as_str()])?;
                rows.next()?.map(|row| sql.view(row)).transpose()
            };
            keys.iter().map(one).collect()
        })
        .await
    }

    async fn query(&self, query: ViewQuery) -> Result<Vec<(ViewId, StoredView)>> {
        let (views, table) = (Arc::clone(&self.inner.views), query.table.clone());
        let doing = || format!("querying views of {table}");
        self.ask(doing, move |connection| {
            views.with(connection, &query.table, |sql| query::select(connection, sql, &query))
        })
        .await
    }

    async fn count(&self, query: ViewQuery) -> Result<u64> {
        let (views, table) = (Arc::clone(&self.inner.views), query.table.clone());
        let doing = || format!("counting views of {table}");
        self.ask(doing, move |connection| {
            views.with(connection, &query.table, |sql| query::count(connection, sql, &query))
        })
        .await
    }

    async fn commit(&self, batch: ShardBatch) -> Result<()> {
        self.commit_batch(batch).await
    }
}

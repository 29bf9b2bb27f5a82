use std::ops::Bound;

use ermine_core::{Error, Result, StoredView, ViewId, ViewKey, ViewQuery, ViewTable};

use super::{State, operations::not_json};

impl State {
    pub(crate) fn load_views(&self, table: &ViewTable, keys: &[ViewKey]) -> Vec<Option<StoredView>> {
        let table = self.data.views.get(table);
        keys.iter().map(|key| table?.get(&key.tenant)?.get(&key.id).cloned()).collect()
    }

    pub(crate) fn query(&self, query: &ViewQuery) -> Result<Vec<(ViewId, StoredView)>> {
        let after = query.after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let found = self.data.views.get(&query.table).and_then(|table| table.get(&query.tenant));
        let found = found.into_iter().flat_map(|views| views.range::<ViewId, _>((after, Bound::Unbounded)));
        let page = if query.filter.is_none() && query.order.is_empty() {
            found.skip(query.offset).take(query.limit.get()).map(|(id, view)| (id.clone(), view)).collect()
        } else {
            let selected = query.select(found.map(|(id, view)| (id.clone(), view)), |view| &view.body);
            selected.map_err(|e| Error::serialization("the body of a view is not JSON").with_source(e))?
        };
        Ok(page.into_iter().map(|(id, view)| (id, view.clone())).collect())
    }

    pub(crate) fn count(&self, query: &ViewQuery) -> Result<u64> {
        let views = self.data.views.get(&query.table).and_then(|table| table.get(&query.tenant));
        let mut count = 0;
        for (id, view) in views.into_iter().flatten() {
            let matches = match &query.filter {
                None => true,
                Some(filter) => filter.matches(&view.body.decode().map_err(|e| not_json(id, e))?),
            };
            count += u64::from(matches);
        }
        Ok(count)
    }
}

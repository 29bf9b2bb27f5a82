use std::collections::BTreeMap;

use ermine_core::{Body, Layout, Result, StoredView, ViewKey, ViewTable};

use super::{Absent, columns};
use crate::{
    job::{Job, Param},
    value::RawJson,
    view_sql::ViewSql,
};

/// The last word on each of some views, in the one order of locks. Only the last one counts, because each replaces the whole
/// view.
#[derive(Default)]
pub(super) struct Changes<'a>(BTreeMap<&'a ViewKey, Option<&'a StoredView>>);

impl<'a> Changes<'a> {
    pub(super) fn put(&mut self, key: &'a ViewKey, view: Option<&'a StoredView>) {
        self.0.insert(key, view);
    }

    pub(super) fn finish(
        self,
        table: &'a ViewTable,
        sql: &ViewSql,
        absent: &mut Absent<'a>,
        jobs: &mut Vec<Job<'a>>,
    ) -> Result<()> {
        let (mut deletes, mut inserts, mut stores) = (Keys::default(), Views::default(), Views::default());
        for (key, view) in self.0 {
            match view {
                None => deletes.push(key),
                // Most batches have read nothing to be absent.
                Some(view) if !absent.is_empty() && absent.remove(&(table, key)) => inserts.push(key, view),
                Some(view) => stores.push(key, view),
            }
        }
        if !deletes.ids.is_empty() {
            jobs.push(Job::ours(sql.delete.clone(), deletes.params()));
        }
        if !inserts.keys.ids.is_empty() {
            jobs.push(Job::ours(sql.insert.clone(), inserts.params(table)?));
        }
        if !stores.keys.ids.is_empty() {
            jobs.push(Job::ours(sql.store.clone(), stores.params(table)?));
        }
        Ok(())
    }
}

#[derive(Default)]
struct Keys<'a> {
    tenants: Vec<&'a str>,
    ids: Vec<&'a str>,
}

impl<'a> Keys<'a> {
    fn push(&mut self, key: &'a ViewKey) {
        self.tenants.push(key.tenant.as_str());
        self.ids.push(key.id.as_str());
    }

    fn params(self) -> Vec<Param<'a>> {
        vec![Box::new(self.tenants), Box::new(self.ids)]
    }
}

#[derive(Default)]
struct Views<'a> {
    keys: Keys<'a>,
    bodies: Vec<&'a Body>,
    versions: Vec<i64>,
    seqs: Vec<i64>,
}

impl<'a> Views<'a> {
    fn push(&mut self, key: &'a ViewKey, view: &'a StoredView) {
        self.keys.push(key);
        self.bodies.push(&view.body);
        self.versions.push(view.version.as_i64());
        self.seqs.push(view.seq.as_i64());
    }

    fn params(self, table: &'a ViewTable) -> Result<Vec<Param<'a>>> {
        let cells = cells(table, &self.keys.ids, &self.bodies)?;
        let mut params = self.keys.params();
        params.push(Box::new(self.versions));
        params.push(Box::new(self.seqs));
        params.extend(cells);
        Ok(params)
    }
}

/// What goes into the columns that hold views, an array for each.
pub(crate) fn cells<'a>(table: &ViewTable, ids: &[&str], bodies: &[&'a Body]) -> Result<Vec<Param<'a>>> {
    match table.layout() {
        Layout::Document => {
            let bodies: Vec<RawJson<'a>> = bodies.iter().copied().map(RawJson).collect();
            Ok(vec![Box::new(bodies)])
        }
        Layout::Columns(columns) => {
            let cut = columns::cut(columns, ids, bodies);
            cut.map_err(|err| err.context(format!("storing views of {table}")))
        }
    }
}

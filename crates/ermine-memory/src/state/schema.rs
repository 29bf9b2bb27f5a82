use std::mem;

use ermine_core::{
    Error, ErrorKind, Layout, Result, ViewKey, ViewTable,
    ports::{Registration, TableSpec},
};

use super::{Data, State, Undo, columns, history::History, staged::Change};

impl State {
    pub(crate) fn is_migrated(&self) -> bool {
        self.data.migrated
    }

    /// The first table that is not there, or not as it is registered.
    pub(crate) fn missing_table<'t>(&self, tables: &'t [TableSpec]) -> Option<&'t ViewTable> {
        let is_there = |table: &ViewTable| self.data.tables.get(table) == Some(table.layout());
        tables.iter().map(|spec| &spec.table).find(|table| !is_there(table))
    }

    pub(crate) fn migrate(&mut self, registration: &Registration) -> Result<()> {
        if self.data.migrated && self.missing_table(&registration.tables).is_none() {
            return Ok(());
        }
        let mut tables = self.data.tables.clone();
        let mut widened = Vec::new();
        for TableSpec { table, .. } in &registration.tables {
            match tables.insert(table.clone(), table.layout().clone()) {
                Some(before) if before != *table.layout() => {
                    check_widening(table, &before)?;
                    widened.push(table);
                }
                _ => {}
            }
        }
        let rows = widened.into_iter().map(|table| self.data.widen(table)).collect::<Result<Vec<_>>>()?;
        let mut views = Vec::new();
        for (table, key, view) in rows.into_iter().flatten() {
            let before = self.data.put_view(&table, &key, view);
            views.push((table, key, before));
        }
        let migrated = mem::replace(&mut self.data.migrated, true);
        let tables = mem::replace(&mut self.data.tables, tables);
        self.history.push(Undo::Migration { migrated, tables, views }, self.data.last);
        Ok(())
    }

    /// Begins again with nothing but the tables; a crash does not lose that.
    pub(crate) fn reset(&mut self, registration: &Registration) {
        self.end_sessions();
        self.history = History::default();
        let tables = registration.tables.iter().map(|spec| (spec.table.clone(), spec.table.layout().clone()));
        self.data = Data { migrated: true, tables: tables.collect(), ..Data::new() };
    }
}

impl Data {
    /// The rows of a table with what is new in its columns.
    fn widen(&self, table: &ViewTable) -> Result<Vec<Change>> {
        let Layout::Columns(columns) = table.layout() else { return Ok(Vec::new()) };
        let mut rows = Vec::new();
        for (tenant, views) in self.views.get(table).into_iter().flatten() {
            for (id, view) in views {
                let mut view = view.clone();
                view.body = columns::row(columns, &view.body)?;
                rows.push((table.clone(), ViewKey { tenant: tenant.clone(), id: id.clone() }, Some(view)));
            }
        }
        Ok(rows)
    }
}

/// Refuses every change of a layout but new columns that may be null.
fn check_widening(table: &ViewTable, before: &Layout) -> Result<()> {
    let refused = |what: String| {
        let doing = format!("{what} in table {table}: give the projection a new version");
        Err(Error::new(ErrorKind::Refused, doing))
    };
    let (Layout::Columns(before), Layout::Columns(after)) = (before, table.layout()) else {
        return refused("documents cannot become columns, nor columns documents,".into());
    };
    if before.name != after.name {
        return refused(format!("the name {} cannot become {}", before.name, after.name));
    }
    for old in &before.columns {
        match after.columns.iter().find(|new| new.name == old.name) {
            None => return refused(format!("column {} cannot go", old.name)),
            Some(new) if new != old => return refused(format!("column {} cannot change", old.name)),
            Some(_) => {}
        }
    }
    let added = after.columns.iter().find(|new| !before.columns.contains(new) && !new.nullable);
    match added {
        Some(new) => {
            refused(format!("column {} is new and has no value for the rows that are there", new.name))
        }
        None => Ok(()),
    }
}

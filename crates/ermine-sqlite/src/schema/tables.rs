//! The tables for views.

use ermine_core::{Error, ErrorKind, FieldIndex, Layout, ViewTable, ports::TableSpec};
use rusqlite::{Connection, OptionalExtension, params};

use super::state::Names;
use crate::{
    columns::{Rows, definition, quoted},
    error::Outcome,
    query, statements as sql,
    view_sql::{ViewSql, registered},
};

pub(super) fn is_ready(connection: &Connection, names: &Names, spec: &TableSpec) -> Outcome<bool> {
    let wanted = ViewSql::new(&spec.table)?;
    let is_registered = registered(connection, &spec.table)?.is_some_and(|there| there == wanted.columns);
    let has_name = wanted.columns.as_ref().is_none_or(|rows| names.contain(&sql_name(&spec.table, rows)));
    let mut indexes = spec.indexes.iter().filter_map(|index| Index::of(&wanted, index));
    Ok(is_registered && has_name && names.contain(&wanted.name) && indexes.all(|it| names.contain(&it.name)))
}

/// Makes a table, or brings it to what is registered.
pub(super) fn make(connection: &Connection, spec: &TableSpec) -> Outcome<()> {
    let names = Names::read(connection)?;
    if is_ready(connection, &names, spec)? {
        return Ok(());
    }
    let table = &spec.table;
    let wanted = ViewSql::new(table)?;
    match registered(connection, table)? {
        Some(there) if names.contain(&wanted.name) => widen(connection, table, &wanted, there.as_ref())?,
        _ => connection.execute_batch(&wanted.create)?,
    }
    let mut sql_name = None;
    if let Some(rows) = &wanted.columns {
        sql_name = Some(name_for_sql(connection, &names, table, &wanted.name, rows)?);
    }
    for index in spec.indexes.iter().filter_map(|index| Index::of(&wanted, index)) {
        connection.execute_batch(&index.create)?;
    }
    connection.prepare_cached(sql::VIEW_REGISTER)?.execute(params![
        table.projection().as_str(),
        table.version(),
        table.generation(),
        wanted.name,
        wanted.columns.as_ref().map(Rows::to_text),
        sql_name,
    ])?;
    Ok(())
}

fn widen(connection: &Connection, table: &ViewTable, wanted: &ViewSql, there: Option<&Rows>) -> Outcome<()> {
    let (before, after) = match (there, &wanted.columns) {
        (None, None) => return Ok(()),
        (Some(before), Some(after)) => (before, after),
        _ => {
            let told = format!(
                "documents cannot become columns, nor columns documents, in table {table}: give the projection a new version"
            );
            return Err(Error::new(ErrorKind::Refused, told).into());
        }
    };
    for column in after.added(before, table)? {
        connection.execute_batch(&format!(
            "alter table {} add column {}",
            wanted.name,
            definition(column)
        ))?;
    }
    Ok(())
}

/// What plain SQL calls the table: its name, with the version from the second on.
fn sql_name(table: &ViewTable, rows: &Rows) -> String {
    match (table.layout(), table.version()) {
        (Layout::Document, _) | (_, 1) => rows.columns.name.to_string(),
        (_, version) => format!("{}_v{version}", rows.columns.name),
    }
}

/// Gives the table its name for plain SQL: a view of SQLite's with the declared columns.
fn name_for_sql(
    connection: &Connection,
    names: &Names,
    table: &ViewTable,
    physical: &str,
    rows: &Rows,
) -> Outcome<String> {
    let name = sql_name(table, rows);
    let owner: Option<(String, u32)> = connection
        .prepare_cached(sql::VIEW_BY_SQL_NAME)?
        .query_row([&name], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let is_mine = owner.is_some_and(|(projection, version)| {
        projection == table.projection().as_str() && version == table.version()
    });
    if names.contain(&name) && !is_mine {
        let told = format!(
            "the name \"{name}\" of the columns of {table} is taken by another table: choose another name"
        );
        return Err(Error::new(ErrorKind::Refused, told).into());
    }
    let columns = rows.columns.columns.iter().map(|column| quoted(&column.name));
    let columns: Vec<String> = ["tenant".to_owned(), "id".to_owned()].into_iter().chain(columns).collect();
    connection.execute_batch(&format!(
        "drop view if exists \"{name}\"; create view \"{name}\" as select {} from {physical}",
        columns.join(", ")
    ))?;
    Ok(name)
}

/// An index on one field, which serves what [`query::Narrow`] makes of comparisons with it.
struct Index {
    name: String,
    create: String,
}

impl Index {
    /// `None` for a field that no comparison can be narrowed by.
    fn of(table: &ViewSql, index: &FieldIndex) -> Option<Self> {
        let expression = query::expression(&index.field, table.columns.as_ref())?;
        // SQLite gives every value the order of its own kind, so one index serves texts and numbers.
        let name = table.index_name(&expression);
        let create = format!("create index if not exists {name} on {} (tenant, {expression})", table.name);
        Some(Self { name, create })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ermine_core::{Column, ColumnKind, Columns, FieldKind, Filter, ProjectionName, SqlName, field};

    use super::*;
    use crate::{query::Narrow, view_sql::ViewSqls};

    /// How SQLite would look for the views that a filter means, with this index on the table.
    fn plan(layout: Layout, indexed: &str, filter: &Filter) -> String {
        let file = Connection::open_in_memory().unwrap();
        file.execute_batch(crate::migrations::ALL[0].sql).unwrap();
        let table = ViewTable::new(ProjectionName::new("trip").unwrap(), 1).with_layout(layout);
        let index = FieldIndex { field: field(indexed).unwrap(), kind: FieldKind::Number };
        make(&file, &TableSpec { table: table.clone(), indexes: vec![index] }).unwrap();
        let sql = ViewSqls::default().of(&file, &table).unwrap();
        let narrow = Narrow::down(filter, sql.columns.as_ref(), 5).unwrap();
        let explained = format!("explain query plan {}", sql.scan(Some(&narrow)));
        let mut statement = file.prepare(&explained).unwrap();
        // Parameters that are not bound are null, which is as good as any value here.
        let mut rows = statement.raw_query();
        let mut steps: Vec<String> = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            steps.push(row.get(3).unwrap());
        }
        steps.join("; ")
    }

    #[test]
    fn an_index_on_a_member_of_documents_is_used() {
        let driver = || field("driver.name").unwrap();
        for (filter, used) in [
            (driver().eq("ada"), "(tenant=? AND <expr>=? AND id>?)"),
            (driver().eq(7), "(tenant=? AND <expr>>? AND <expr><?)"),
            (driver().ge(7), "(tenant=? AND <expr>>?)"),
            (driver().lt("b").and(field("km").unwrap().eq(7)), "(tenant=? AND <expr><?)"),
        ] {
            let plan = plan(Layout::Document, "driver.name", &filter);
            assert!(
                plan.contains("USING INDEX view_trip_v1_g1_by_") && plan.contains(used),
                "{filter:?}: {plan}"
            );
        }
    }

    #[test]
    fn an_index_on_a_column_is_used() {
        let km = Column { name: SqlName::new("km").unwrap(), kind: ColumnKind::Real, nullable: true };
        let columns = Columns { name: SqlName::new("trips").unwrap(), columns: vec![km] };
        let plan = plan(Layout::Columns(Arc::new(columns)), "km", &field("km").unwrap().gt(7));
        let used = "(tenant=? AND km>?)";
        assert!(plan.contains("USING INDEX view_trip_v1_g1_by_") && plan.contains(used), "{plan}");
    }
}

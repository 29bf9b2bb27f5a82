//! What the tables for views still need.

use std::collections::{HashMap, HashSet};

use ermine_core::{
    Column, Columns, Error, ErrorKind, FieldIndex, Layout, Result, ViewTable,
    ports::{Registration, TableSpec},
};
use tokio_postgres::Row;

use crate::{
    SchemaName, filter, sql,
    view_sql::{ViewSql, column_definition, column_type, index_name, quoted, sql_view, table_name},
};

const OURS: [&str; 2] = ["tenant", "id"];
const OURS_IN_FLAT: [&str; 5] = ["tenant", "id", "_version", "_seq", "_updated_at"];

/// Something in the schema.
#[derive(Debug)]
pub(super) struct Relation {
    kind: String,
    comment: String,
    columns: Vec<Present>,
}

#[derive(Debug)]
struct Present {
    name: String,
    kind: String,
    not_null: bool,
}

/// What is there, by name.
#[derive(Debug, Default)]
pub(super) struct Relations(HashMap<String, Relation>);

impl Relations {
    pub(super) fn read(rows: &[Row]) -> Result<Self, tokio_postgres::Error> {
        let mut relations: HashMap<String, Relation> = HashMap::new();
        for row in rows {
            let (name, kind, comment) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            let relation = relations.entry(name);
            let relation = relation.or_insert_with(|| Relation { kind, comment, columns: Vec::new() });
            if let Some(name) = row.try_get(3)? {
                relation.columns.push(Present { name, kind: row.try_get(4)?, not_null: row.try_get(5)? });
            }
        }
        Ok(Self(relations))
    }
}

/// What one table needs.
#[derive(Debug)]
pub(super) struct TablePlan {
    pub(super) table: ViewTable,
    pub(super) is_new: bool,
    /// What is missing, for messages, and the statements that make it.
    pub(super) steps: Vec<(String, String)>,
}

/// The tables of a registration, each once, with all indexes that are asked for.
pub(super) fn merged(registration: &Registration) -> Result<Vec<TableSpec>> {
    let mut tables: Vec<TableSpec> = Vec::new();
    for spec in &registration.tables {
        match tables.iter_mut().find(|known| known.table == spec.table) {
            None => tables.push(spec.clone()),
            Some(known) if known.table.layout() != spec.table.layout() => {
                return Err(Error::configuration(format!(
                    "{} is registered with two layouts: register it once",
                    spec.table
                )));
            }
            Some(known) => known.indexes.extend(spec.indexes.iter().cloned()),
        }
    }
    let mut names = HashSet::new();
    for spec in &tables {
        if let Layout::Columns(columns) = spec.table.layout() {
            check_names(&spec.table, columns)?;
            let name = sql_view(columns, spec.table.version());
            if !names.insert(name.clone()) {
                return Err(Error::configuration(format!(
                    "two flat tables would be called \"{name}\": give one of them another name"
                )));
            }
        }
    }
    Ok(tables)
}

fn check_names(table: &ViewTable, columns: &Columns) -> Result<()> {
    let mut names = HashSet::new();
    for column in &columns.columns {
        let name = column.name.as_str();
        if OURS.contains(&name) || !names.insert(name) {
            return Err(Error::configuration(format!(
                "flat table \"{}\" ({table}) cannot have another column \"{name}\": choose a different name",
                columns.name
            )));
        }
    }
    Ok(())
}

/// The names under which [`plan`] wants to know what there is.
pub(super) fn names(tables: &[TableSpec]) -> Vec<String> {
    let mut names = Vec::new();
    for spec in tables {
        let table = table_name(&spec.table);
        if let Layout::Columns(columns) = spec.table.layout() {
            names.push(sql_view(columns, spec.table.version()));
        }
        let indexes = spec.indexes.iter().filter_map(|index| filter::index(spec.table.layout(), index));
        names.extend(indexes.map(|(_, what)| index_name(&table, &what)));
        names.push(table);
    }
    names
}

/// What `spec` needs beside what there is; `None` when nothing.
pub(super) fn plan(
    schema: &SchemaName,
    sql: &ViewSql,
    spec: &TableSpec,
    there: &Relations,
) -> Result<Option<TablePlan>> {
    let table = &spec.table;
    let present = there.0.get(&sql.name).filter(|relation| matches!(relation.kind.as_str(), "r" | "p"));
    let mut steps = Vec::new();
    if present.is_none() {
        steps.push((format!("there is no table for views of {table} in the store"), sql.create.clone()));
    }
    match (table.layout(), present) {
        (Layout::Document, Some(present)) if present.columns.iter().all(|column| column.name != "data") => {
            return Err(refused(table, "its views are kept in columns, and are registered as documents"));
        }
        (Layout::Document, _) => {}
        (Layout::Columns(columns), _) => flat(schema, sql, table, columns, present, there, &mut steps)?,
    }
    for index in &spec.indexes {
        steps.extend(index_step(schema, sql, table, index, there)?);
    }
    Ok((!steps.is_empty()).then(|| TablePlan { table: table.clone(), is_new: present.is_none(), steps }))
}

fn flat(
    schema: &SchemaName,
    sql: &ViewSql,
    table: &ViewTable,
    columns: &Columns,
    present: Option<&Relation>,
    there: &Relations,
    steps: &mut Vec<(String, String)>,
) -> Result<()> {
    // The view has the columns in the order of the table, because new ones can only come last.
    let mut order: Vec<&Column> = Vec::new();
    if let Some(present) = present {
        for column in &present.columns {
            order.extend(still_fits(table, columns, present, column)?);
        }
    }
    for column in &columns.columns {
        if order.iter().any(|known| known.name == column.name) {
            continue;
        }
        order.push(column);
        if present.is_none() {
            continue;
        }
        if !column.nullable {
            let name = &column.name;
            return Err(refused(
                table,
                &format!("column \"{name}\" is new and cannot be null, as it is in the rows that are there"),
            ));
        }
        let definition = column_definition(column);
        let values = [("table", quoted_name(&sql.name)), ("column", definition)];
        let text = render(include_str!("../sql/view_column.sql"), schema, &values);
        steps.push((format!("the flat table of {table} has no column \"{}\"", column.name), text));
    }
    let name = sql_view(columns, table.version());
    let comment = format!("ermine view of {}", sql.name);
    let view = there.0.get(&name);
    if view.is_some_and(|view| view.kind != "v" || view.comment != comment) {
        return Err(Error::new(
            ErrorKind::Refused,
            format!(
                "\"{name}\" is the name of something else in schema \"{schema}\": give the flat table of {table} another name"
            ),
        ));
    }
    let is_shown = |column: &Column| {
        view.is_some_and(|view| view.columns.iter().any(|shown| shown.name == column.name.as_str()))
    };
    if view.is_none() || !columns.columns.iter().all(is_shown) {
        let names: String = order.iter().map(|column| format!(", {}", quoted(column))).collect();
        let values = [
            ("name", quoted_name(&name)),
            ("names", names),
            ("table", quoted_name(&sql.name)),
            ("comment", sql::quote_text(&comment)),
        ];
        let text = render(include_str!("../sql/view_publish.sql"), schema, &values);
        steps.push((format!("plain SQL cannot read all of {table} as \"{name}\""), text));
    }
    Ok(())
}

/// The declaration of a column that is there; `None` for one of ours.
fn still_fits<'c>(
    table: &ViewTable,
    columns: &'c Columns,
    all: &Relation,
    present: &Present,
) -> Result<Option<&'c Column>> {
    if all.columns.iter().all(|column| column.name != "_version") {
        return Err(refused(table, "its views are kept as documents, and are registered with columns"));
    }
    if OURS_IN_FLAT.contains(&present.name.as_str()) {
        return Ok(None);
    }
    let name = &present.name;
    let Some(declared) = columns.columns.iter().find(|column| column.name.as_str() == name) else {
        return Err(refused(table, &format!("column \"{name}\" is not registered any more")));
    };
    if present.kind != column_type(declared.kind) {
        let (is, wanted) = (&present.kind, declared.kind);
        return Err(refused(table, &format!("column \"{name}\" is `{is}`, and is registered as {wanted}")));
    }
    if present.not_null == declared.nullable {
        let can = if declared.nullable {
            "cannot be null, and is registered as if it could"
        } else {
            "can be null, and is registered as if it could not"
        };
        return Err(refused(table, &format!("column \"{name}\" {can}")));
    }
    Ok(Some(declared))
}

fn index_step(
    schema: &SchemaName,
    sql: &ViewSql,
    table: &ViewTable,
    index: &FieldIndex,
    there: &Relations,
) -> Result<Option<(String, String)>> {
    let Some((field, what)) = filter::index(table.layout(), index) else {
        return Err(Error::configuration(format!(
            "{table} has no column for an index on \"{}\"",
            index.field
        )));
    };
    let name = index_name(&sql.name, &what);
    if there.0.contains_key(&name) {
        return Ok(None);
    }
    let values = [("name", quoted_name(&name)), ("table", quoted_name(&sql.name)), ("field", field)];
    let text = render(include_str!("../sql/view_index.sql"), schema, &values);
    Ok(Some((format!("there is no index on \"{}\" of {table}", index.field), text)))
}

fn render(template: &str, schema: &SchemaName, values: &[(&str, String)]) -> String {
    let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
    sql::render(template, schema, &values)
}

/// A name that was checked before.
fn quoted_name(name: &str) -> String {
    format!("\"{name}\"")
}

fn refused(table: &ViewTable, why: &str) -> Error {
    Error::new(
        ErrorKind::Refused,
        format!(
            "the table of {table} cannot be changed as registered: {why}; give the projection a new version"
        ),
    )
}

//! Flat tables: views kept in columns.

use ermine_core::{Column, ColumnKind, Columns};
use postgres_types::Type;

use super::Pieces;

/// How a moment stands in the JSON of a view.
const MOMENT: &str = r#"'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'"#;

/// Names that begin with `_` cannot be declared, so what is kept of a view never meets a declared column.
pub(super) fn pieces(columns: &Columns) -> Pieces {
    let each = |piece: &dyn Fn(&Column) -> String| -> String { columns.columns.iter().map(piece).collect() };
    let members: Vec<String> = columns.columns.iter().map(member).collect();
    Pieces {
        columns: each(&|column| format!("  {},\n", column_definition(column))).trim_end().to_owned(),
        names: each(&|column| format!(", {}", quoted(column))),
        types: columns.columns.iter().map(|column| array_type(column.kind)).collect(),
        values: each(&|column| format!(", u.{}", quoted(column))),
        sets: each(&|column| format!(", {0} = excluded.{0}", quoted(column))),
        body: format!("(select row_to_json(_row) from (select {}) _row)", members.join(", ")),
        version: "_version",
        seq: "_seq",
        updated_at: "_updated_at",
    }
}

/// What plain SQL calls the table.
pub(crate) fn sql_view(columns: &Columns, version: u32) -> String {
    match version {
        1 => columns.name.to_string(),
        _ => format!("{}_v{version}", columns.name),
    }
}

/// The column as a table defines it.
pub(crate) fn column_definition(column: &Column) -> String {
    let collation = if column.kind == ColumnKind::Text { " collate \"C\"" } else { "" };
    let null = if column.nullable { "" } else { " not null" };
    format!("{} {}{collation}{null}", quoted(column), column_type(column.kind))
}

/// The type, as the server calls it.
pub(crate) fn column_type(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Integer => "bigint",
        ColumnKind::Real => "double precision",
        ColumnKind::Boolean => "boolean",
        ColumnKind::Timestamp => "timestamp with time zone",
        ColumnKind::Json => "jsonb",
        _ => "text",
    }
}

fn array_type(kind: ColumnKind) -> Type {
    match kind {
        ColumnKind::Integer => Type::INT8_ARRAY,
        ColumnKind::Real => Type::FLOAT8_ARRAY,
        ColumnKind::Boolean => Type::BOOL_ARRAY,
        ColumnKind::Timestamp => Type::TIMESTAMPTZ_ARRAY,
        ColumnKind::Json => Type::JSONB_ARRAY,
        _ => Type::TEXT_ARRAY,
    }
}

/// Into the JSON of a view.
fn member(column: &Column) -> String {
    let name = quoted(column);
    match column.kind {
        ColumnKind::Timestamp => format!("{} as {name}", moment(&format!("v.{name}"))),
        _ => format!("v.{name}"),
    }
}

/// A moment as the text that stands in the JSON.
pub(crate) fn moment(expression: &str) -> String {
    format!("to_char({expression} at time zone 'UTC', {MOMENT})")
}

/// A checked name cannot end its quotes; without them it might be a word of SQL.
pub(crate) fn quoted(column: &Column) -> String {
    format!("\"{}\"", column.name)
}

//! A flat table, and rows for it.

use std::sync::Arc;

use ermine_core::{Column, ColumnKind, Columns, Layout, SqlName, ViewTable};
use serde_json::{Value as Json, json};

use crate::bench::table;

/// Name, kind and whether it may be null.
pub(crate) type Cell = (&'static str, ColumnKind, bool);

/// A column of every kind that may be null, and one that may not.
pub(crate) const EVERY_KIND: [Cell; 12] = [
    ("t", ColumnKind::Text, true),
    ("n", ColumnKind::Integer, true),
    ("r", ColumnKind::Real, true),
    ("b", ColumnKind::Boolean, true),
    ("at", ColumnKind::Timestamp, true),
    ("j", ColumnKind::Json, true),
    ("must_t", ColumnKind::Text, false),
    ("must_n", ColumnKind::Integer, false),
    ("must_r", ColumnKind::Real, false),
    ("must_b", ColumnKind::Boolean, false),
    ("must_at", ColumnKind::Timestamp, false),
    ("must_j", ColumnKind::Json, false),
];

/// The table `Sheet` with these columns.
pub(crate) fn sheet(columns: &[Cell]) -> ViewTable {
    let name = |name: &str| SqlName::new(name).expect("the suite's names are names");
    let columns = columns.iter().map(|(column, kind, nullable)| Column {
        name: name(column),
        kind: *kind,
        nullable: *nullable,
    });
    let columns = Columns { name: name("conformance_sheet"), columns: columns.collect() };
    table("Sheet", 1).with_layout(Layout::Columns(Arc::new(columns)))
}

/// A row of [`EVERY_KIND`] with something in every column, but for what `with` says.
pub(crate) fn full_row(with: Json) -> Json {
    let mut row = json!({
        "t": "text", "n": 42, "r": 2.5, "b": true, "at": "2026-01-31T12:00:00.123456Z", "j": {"kind": "b", "n": 1.5},
        "must_t": "must", "must_n": -1, "must_r": 0.1, "must_b": true, "must_at": "2026-01-31T12:00:00.000000Z",
        "must_j": [1, "two", null],
    });
    if let (Some(row), Json::Object(with)) = (row.as_object_mut(), with) {
        row.extend(with);
    }
    row
}

//! The bodies of flat views, cut into columns. Here and not on the server, which would take `"yesterday"` for a moment, the
//! number 5 for a text, and a member that no column is for without a word.

use std::collections::HashMap;

use ermine_core::{Body, Column, ColumnKind, Columns, Error, Result, Timestamp};
use serde_json::{from_slice, from_str, value::RawValue};

use crate::{job::Param, value::RawText};

type Members<'a> = HashMap<String, &'a RawValue>;

/// One array per column; `ids` name the views in messages.
pub(super) fn cut<'a>(columns: &Columns, ids: &[&str], bodies: &[&'a Body]) -> Result<Vec<Param<'a>>> {
    let mut rows: Vec<Members<'a>> = Vec::with_capacity(bodies.len());
    for (id, body) in ids.iter().zip(bodies) {
        let members: Members<'a> = from_slice(body.as_bytes()).map_err(|err| {
            Error::serialization(format!("view \"{id}\" is no object with a member per column"))
                .with_source(err)
        })?;
        let is_known = |name: &str| columns.columns.iter().any(|column| column.name.as_str() == name);
        if let Some(strange) = members.keys().find(|name| !is_known(name)) {
            return Err(Error::serialization(format!(
                "view \"{id}\" has a member \"{strange}\", for which there is no column"
            )));
        }
        rows.push(members);
    }
    columns.columns.iter().map(|column| array(column, ids, &rows)).collect()
}

fn array<'a>(column: &Column, ids: &[&str], rows: &[Members<'a>]) -> Result<Param<'a>> {
    Ok(match column.kind {
        ColumnKind::Integer => Box::new(values(column, ids, rows, from_str::<i64>)?),
        ColumnKind::Real => Box::new(values(column, ids, rows, from_str::<f64>)?),
        ColumnKind::Boolean => Box::new(values(column, ids, rows, from_str::<bool>)?),
        ColumnKind::Timestamp => Box::new(values(column, ids, rows, from_str::<Timestamp>)?),
        ColumnKind::Json => Box::new(values(column, ids, rows, |raw| Ok(RawText(raw)))?),
        _ => Box::new(values(column, ids, rows, from_str::<String>)?),
    })
}

/// The members that go into one column; null and what is missing are the same.
fn values<'a, T>(
    column: &Column,
    ids: &[&str],
    rows: &[Members<'a>],
    read: impl Fn(&'a str) -> serde_json::Result<T>,
) -> Result<Vec<Option<T>>> {
    let mut values = Vec::with_capacity(rows.len());
    for (id, row) in ids.iter().zip(rows) {
        let raw = row.get(column.name.as_str()).filter(|raw| raw.get() != "null");
        let value = raw.map(|raw| read(raw.get())).transpose();
        let value = value.map_err(|err| {
            let (name, kind) = (&column.name, column.kind);
            Error::serialization(format!("column \"{name}\" of view \"{id}\" must hold {kind}"))
                .with_source(err)
        })?;
        if value.is_none() && !column.nullable {
            let name = &column.name;
            return Err(Error::serialization(format!("column \"{name}\" of view \"{id}\" must not be null")));
        }
        values.push(value);
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use ermine_core::SqlName;

    use super::*;

    fn refusal(kind: ColumnKind, json: &str) -> String {
        let column = Column { name: SqlName::new("c").unwrap(), kind, nullable: false };
        let columns = Columns { name: SqlName::new("t").unwrap(), columns: vec![column] };
        let body = Body::from_json(json.to_owned()).unwrap();
        cut(&columns, &["x"], &[&body]).map(|params| params.len()).unwrap_err().to_string()
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        let must = |kind: &str| format!("column \"c\" of view \"x\" must hold {kind}");
        assert_eq!(refusal(ColumnKind::Integer, r#"{"c":1.5}"#), must("an integer"));
        assert_eq!(refusal(ColumnKind::Text, r#"{"c":5}"#), must("text"));
        assert_eq!(refusal(ColumnKind::Timestamp, r#"{"c":"yesterday"}"#), must("a timestamp"));
        assert_eq!(refusal(ColumnKind::Json, r#"{"c":null}"#), "column \"c\" of view \"x\" must not be null");
        assert_eq!(refusal(ColumnKind::Json, "{}"), "column \"c\" of view \"x\" must not be null");
        assert!(
            refusal(ColumnKind::Text, r#"{"c":"","d":1}"#)
                .ends_with("a member \"d\", for which there is no column")
        );
        assert!(refusal(ColumnKind::Text, "[]").contains("is no object"));
    }
}

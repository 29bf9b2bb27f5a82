//! Rows of flat tables: kept as JSON here, and as strict as a database.

use ermine_core::{Body, Column, ColumnKind, Columns, Error, Result, Timestamp};
use serde_json::{Map, Value as Json};

/// The row as the columns keep it: every column is there, and what it holds is in its one spelling.
pub(super) fn row(columns: &Columns, body: &Body) -> Result<Body> {
    let mut given: Map<String, Json> = body.decode().map_err(|e| {
        Error::serialization("the body of a row is an object with a member per column").with_source(e)
    })?;
    let mut row = Map::new();
    for column in &columns.columns {
        let value = given.remove(column.name.as_str()).unwrap_or_default();
        row.insert(column.name.to_string(), kept(column, value)?);
    }
    match given.keys().next() {
        Some(strange) => Err(Error::serialization(format!("there is no column \"{strange}\""))),
        None => Body::encode(&row),
    }
}

fn kept(column: &Column, value: Json) -> Result<Json> {
    let wrong = || {
        let (name, kind) = (&column.name, column.kind);
        Err(Error::serialization(format!("column \"{name}\" holds {kind}, and the row has {value} there")))
    };
    match (column.kind, &value) {
        (_, Json::Null) if column.nullable => Ok(Json::Null),
        (_, Json::Null) => Err(Error::serialization(format!("column \"{}\" must not be null", column.name))),
        (ColumnKind::Text, Json::String(_))
        | (ColumnKind::Boolean, Json::Bool(_))
        | (ColumnKind::Json, _) => Ok(value),
        (ColumnKind::Integer, Json::Number(number)) if number.is_i64() => Ok(value),
        (ColumnKind::Real, Json::Number(number)) => Ok(number.as_f64().map_or(Json::Null, Json::from)),
        (ColumnKind::Timestamp, Json::String(text)) => match text.parse::<Timestamp>() {
            Ok(moment) => Ok(format!("{moment:.6}").into()),
            Err(_) => wrong(),
        },
        _ => wrong(),
    }
}

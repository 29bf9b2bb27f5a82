//! Rows of flat tables: an object with a member per column on one side, typed columns on the other.

use ermine_core::{
    Body, Column, ColumnKind, Columns, Error, ErrorKind, SqlName, Timestamp, ViewKey, ViewTable,
};
use rusqlite::{CachedStatement, Row, types::Value as SqlValue};
use serde_json::{Map, Value as Json, json};

use crate::{
    error::{Fault, Outcome},
    time,
};

/// The columns that every table for views has.
const RESERVED: [&str; 4] = ["tenant", "id", "version", "seq"];

/// How the rows of one table are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rows {
    pub(crate) columns: Columns,
}

impl Rows {
    pub(crate) fn new(columns: &Columns) -> Outcome<Self> {
        if columns.columns.is_empty() {
            let told = format!("table {} has no columns: declare at least one", columns.name);
            return Err(Error::configuration(told).into());
        }
        match columns.columns.iter().find(|column| RESERVED.contains(&column.name.as_str())) {
            None => Ok(Self { columns: columns.clone() }),
            Some(column) => Err(Error::configuration(format!(
                "a column of table {} cannot be called \"{}\": every table has one of that name",
                columns.name, column.name
            ))
            .into()),
        }
    }

    /// The column that a path of one name means.
    pub(crate) fn find(&self, name: &str) -> Option<&Column> {
        self.columns.columns.iter().find(|column| column.name.as_str() == name)
    }

    /// The names, quoted, because some are words of SQL.
    pub(crate) fn names(&self) -> Vec<String> {
        self.columns.columns.iter().map(|column| quoted(&column.name)).collect()
    }

    /// What `create table` says of the columns.
    pub(crate) fn definitions(&self) -> Vec<String> {
        self.columns.columns.iter().map(definition).collect()
    }

    /// Binds the members of a row's object to the parameters from `first` on.
    pub(crate) fn bind(
        &self,
        statement: &mut CachedStatement<'_>,
        first: usize,
        table: &ViewTable,
        key: &ViewKey,
        body: &Body,
    ) -> Outcome<()> {
        let refused = |error: Error| {
            Error::serialization(format!("cannot store row \"{}\" of {table}", key.id)).with_source(error)
        };
        let mut given: Map<String, Json> = body.decode().map_err(|err| {
            refused(
                Error::serialization("the body of a row is an object with a member per column")
                    .with_source(err),
            )
        })?;
        for (parameter, column) in (first..).zip(&self.columns.columns) {
            let value = given.remove(column.name.as_str()).unwrap_or_default();
            statement.raw_bind_parameter(parameter, to_column(column, value).map_err(refused)?)?;
        }
        match given.keys().next() {
            Some(strange) => {
                Err(refused(Error::serialization(format!("there is no column \"{strange}\""))).into())
            }
            None => Ok(()),
        }
    }

    /// The object of a row whose columns begin at `first`.
    pub(crate) fn body(&self, row: &Row<'_>, first: usize) -> Outcome<Body> {
        let mut object = Map::new();
        for (place, column) in (first..).zip(&self.columns.columns) {
            object.insert(column.name.to_string(), from_column(column, row.get(place)?)?);
        }
        Ok(Body::encode(&object)?)
    }

    /// The layout as the store remembers it.
    pub(crate) fn to_text(&self) -> String {
        let column = |column: &Column| json!({"name": column.name.as_str(), "kind": kind_name(column.kind), "nullable": column.nullable});
        let columns: Vec<Json> = self.columns.columns.iter().map(column).collect();
        json!({"name": self.columns.name.as_str(), "columns": columns}).to_string()
    }

    pub(crate) fn parse(text: &str) -> Outcome<Self> {
        let garbled = || Fault::Garbled(format!("the layout of a table cannot be read: {text}"));
        let layout: Json = serde_json::from_str(text).map_err(|_| garbled())?;
        let name = |json: &Json| SqlName::new(json["name"].as_str().unwrap_or_default());
        let mut columns = Vec::new();
        for column in layout["columns"].as_array().ok_or_else(garbled)? {
            let kind = KINDS.iter().find(|(_, name)| column["kind"] == *name).ok_or_else(garbled)?.0;
            columns.push(Column {
                name: name(column)?,
                kind,
                nullable: column["nullable"].as_bool().unwrap_or_default(),
            });
        }
        Ok(Self { columns: Columns { name: name(&layout)?, columns } })
    }

    /// The columns that are new since `before`; refuses every other change, because it would need rows to be made anew.
    pub(crate) fn added<'s>(&'s self, before: &Self, table: &ViewTable) -> Outcome<Vec<&'s Column>> {
        let refused = |what: String| {
            let told = format!("{what} in table {table}: give the projection a new version");
            Err(Error::new(ErrorKind::Refused, told).into())
        };
        let (old, new) = (&before.columns, &self.columns);
        if old.name != new.name {
            return refused(format!("the name {} cannot become {}", old.name, new.name));
        }
        for column in &old.columns {
            match self.find(column.name.as_str()) {
                None => return refused(format!("column {} cannot go", column.name)),
                Some(now) if now != column => {
                    return refused(format!("column {} cannot change", column.name));
                }
                Some(_) => {}
            }
        }
        let added: Vec<&Column> = new.columns.iter().filter(|it| !old.columns.contains(it)).collect();
        match added.iter().find(|column| !column.nullable) {
            Some(column) => {
                refused(format!("column {} is new and has no value for the rows that are there", column.name))
            }
            None => Ok(added),
        }
    }
}

pub(crate) fn quoted(name: &SqlName) -> String {
    format!("\"{name}\"")
}

pub(crate) fn definition(column: &Column) -> String {
    let name = quoted(&column.name);
    let kind = match column.kind {
        ColumnKind::Integer | ColumnKind::Boolean => "integer",
        ColumnKind::Real => "real",
        _ => "text",
    };
    let null = if column.nullable { "" } else { " not null" };
    let check = match column.kind {
        ColumnKind::Boolean => format!(" check ({name} in (0, 1))"),
        _ => String::new(),
    };
    format!("{name} {kind}{null}{check}")
}

const KINDS: [(ColumnKind, &str); 6] = [
    (ColumnKind::Text, "text"),
    (ColumnKind::Integer, "integer"),
    (ColumnKind::Real, "real"),
    (ColumnKind::Boolean, "boolean"),
    (ColumnKind::Timestamp, "timestamp"),
    (ColumnKind::Json, "json"),
];

fn kind_name(kind: ColumnKind) -> &'static str {
    KINDS.iter().find(|(it, _)| *it == kind).map_or("unknown", |(_, name)| name)
}

fn to_column(column: &Column, value: Json) -> Result<SqlValue, Error> {
    let (name, kind) = (&column.name, column.kind);
    let wrong = |value: &Json| {
        Error::serialization(format!("column \"{name}\" holds {kind}, and the row has {value} there"))
    };
    Ok(match (kind, value) {
        (_, Json::Null) if column.nullable => SqlValue::Null,
        (_, Json::Null) => return Err(Error::serialization(format!("column \"{name}\" must not be null"))),
        (ColumnKind::Text, Json::String(text)) => text.into(),
        (ColumnKind::Boolean, Json::Bool(value)) => i64::from(value).into(),
        (ColumnKind::Integer, Json::Number(number)) if number.is_i64() => {
            number.as_i64().unwrap_or_default().into()
        }
        (ColumnKind::Real, Json::Number(number)) => number.as_f64().unwrap_or_default().into(),
        (ColumnKind::Timestamp, Json::String(text)) => match text.parse::<Timestamp>() {
            Ok(moment) => time::to_text(moment).into(),
            Err(_) => return Err(wrong(&text.into())),
        },
        (ColumnKind::Json, value) => value.to_string().into(),
        (_, value) => return Err(wrong(&value)),
    })
}

fn from_column(column: &Column, value: SqlValue) -> Outcome<Json> {
    Ok(match (column.kind, value) {
        (_, SqlValue::Null) => Json::Null,
        (ColumnKind::Boolean, SqlValue::Integer(number)) => Json::Bool(number != 0),
        (ColumnKind::Integer, SqlValue::Integer(number)) => number.into(),
        (ColumnKind::Real, SqlValue::Real(number)) => number.into(),
        (ColumnKind::Json, SqlValue::Text(text)) => serde_json::from_str(&text)
            .map_err(|err| Fault::Garbled(format!("column \"{}\" holds no JSON: {err}", column.name)))?,
        (ColumnKind::Text | ColumnKind::Timestamp, SqlValue::Text(text)) => text.into(),
        (kind, value) => {
            let told = format!("column \"{}\" is to hold {kind}, and there is {value:?}", column.name);
            return Err(Fault::Garbled(told));
        }
    })
}

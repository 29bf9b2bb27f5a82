use std::{fmt, sync::Arc};

use smol_str::SmolStr;

use crate::{Error, Result};

/// How the views of a table are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// One JSON document each.
    #[default]
    Document,
    /// One row each, in columns for plain SQL.
    Columns(Arc<Columns>),
}

/// The columns of a flat table.
///
/// To the engine a row is a view like any other: an object with a member per column. Its id is the column `id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    /// What plain SQL calls the table.
    pub name: SqlName,
    /// The columns in the order of their declaration, `id` not among them.
    pub columns: Vec<Column>,
}

/// One column of a flat table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: SqlName,
    /// What it holds.
    pub kind: ColumnKind,
    /// Whether it may hold null.
    pub nullable: bool,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ColumnKind {
    /// Text; `text` in SQL.
    Text,
    /// A whole number of 64 bits; `bigint` or `integer`.
    Integer,
    /// A floating-point number of 64 bits; `double precision` or `real`. It comes back to the last bit, but SQLite keeps no
    /// sign of a zero.
    Real,
    /// `boolean`, or `integer` 0 and 1.
    Boolean,
    /// A moment in microseconds: `timestamptz`, or `text` as in `2026-01-31T12:00:00.000000Z`. In the row's object it is
    /// that text.
    Timestamp,
    /// JSON: `jsonb`, or `text`.
    Json,
}

impl fmt::Display for ColumnKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Integer => "an integer",
            Self::Real => "a real number",
            Self::Boolean => "a boolean",
            Self::Timestamp => "a timestamp",
            Self::Json => "JSON",
        })
    }
}

/// The name of a table or column that plain SQL can write without quotes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SqlName(SmolStr);

impl SqlName {
    /// Checks a name.
    ///
    /// # Errors
    ///
    /// [`Configuration`](crate::ErrorKind::Configuration) unless it has 1 to 40 lower case letters, digits and `_`, and
    /// begins with a letter.
    pub fn new(name: impl Into<SmolStr>) -> Result<Self> {
        let name = name.into();
        let begins_well = name.starts_with(|c: char| c.is_ascii_lowercase());
        let fits = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if begins_well && fits && name.len() <= 40 {
            return Ok(Self(name));
        }
        Err(Error::configuration(format!(
            "\"{name}\" cannot be the name of a table or column: 1 to 40 lower case letters, digits and _, beginning with \
             a letter"
        )))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SqlName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

//! JSON in columns without parsing it.

use bytes::Bytes;
use ermine_core::Body;
use rusqlite::{
    Row, ToSql,
    types::{ToSqlOutput, ValueRef},
};

/// A body as a parameter: its bytes, as text.
#[derive(Debug)]
pub(crate) struct Json<'a>(pub(crate) &'a Body);

impl ToSql for Json<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(self.0.as_bytes())))
    }
}

/// The body in a column of text.
pub(crate) fn body(row: &Row<'_>, column: usize) -> rusqlite::Result<Body> {
    let text = row.get_ref(column)?.as_bytes()?;
    Ok(Body::from_store(Bytes::copy_from_slice(text)))
}

/// The body in a column of text that may be null.
pub(crate) fn optional_body(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Body>> {
    let text = row.get_ref(column)?.as_bytes_or_null()?;
    Ok(text.map(|text| Body::from_store(Bytes::copy_from_slice(text))))
}

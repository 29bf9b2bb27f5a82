//! Values on the wire: JSON without parsing it, and values whose type the server finds out.

use std::{
    borrow::{Borrow, Cow},
    error::Error,
    fmt::Debug,
};

use bytes::{BufMut, BytesMut};
use ermine_core::{Body, Timestamp, Value};
use postgres_types::{Format, FromSql, IsNull, ToSql, Type, to_sql_checked};

/// The version of the binary form of `jsonb`.
const JSONB_VERSION: u8 = 1;

type BoxError = Box<dyn Error + Sync + Send>;

/// A body as a parameter of type `json` or `jsonb`.
#[derive(Debug)]
pub(crate) struct RawJson<'a>(pub(crate) &'a Body);

impl ToSql for RawJson<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, BoxError> {
        put_json(self.0.as_bytes(), ty, out);
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        matches!(*ty, Type::JSON | Type::JSONB)
    }

    to_sql_checked!();
}

/// JSON text as a parameter of type `json` or `jsonb`.
#[derive(Debug)]
pub(crate) struct RawText<'a>(pub(crate) &'a str);

impl ToSql for RawText<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, BoxError> {
        put_json(self.0.as_bytes(), ty, out);
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        <RawJson<'_> as ToSql>::accepts(ty)
    }

    to_sql_checked!();
}

fn put_json(json: &[u8], ty: &Type, out: &mut BytesMut) {
    if *ty == Type::JSONB {
        out.put_u8(JSONB_VERSION);
    }
    out.put_slice(json);
}

/// A parameter that belongs to somebody else.
#[derive(Debug)]
pub(crate) struct Shared<'a>(pub(crate) &'a (dyn ToSql + Sync));

impl ToSql for Shared<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, BoxError> {
        self.0.to_sql_checked(ty, out)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, ty: &Type) -> Format {
        self.0.encode_format(ty)
    }

    to_sql_checked!();
}

/// A column of type `json` or `jsonb` as it came in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JsonText<'a>(pub(crate) &'a [u8]);

impl JsonText<'_> {
    pub(crate) fn to_body(self) -> Body {
        Body::from_store(bytes::Bytes::copy_from_slice(self.0))
    }
}

impl<'a> FromSql<'a> for JsonText<'a> {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, BoxError> {
        if *ty != Type::JSONB {
            return Ok(Self(raw));
        }
        match raw.split_first() {
            Some((&JSONB_VERSION, text)) => Ok(Self(text)),
            _ => Err("unknown version of jsonb".into()),
        }
    }

    fn accepts(ty: &Type) -> bool {
        matches!(*ty, Type::JSON | Type::JSONB)
    }
}

/// A value in its text form, so that the server reads it as whatever type the statement asks for there.
#[derive(Debug)]
pub(crate) struct Untyped<V>(pub(crate) V);

impl<V: Borrow<Value> + Debug> ToSql for Untyped<V> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, BoxError> {
        match self.0.borrow() {
            Value::Null => return Ok(IsNull::Yes),
            Value::Boolean(value) => out.put_slice(value.to_string().as_bytes()),
            Value::Integer(value) => out.put_slice(value.to_string().as_bytes()),
            // The shortest form that is read back as the same number, with an exponent where it is large or small.
            Value::Real(value) => out.put_slice(format!("{value:?}").as_bytes()),
            Value::Text(value) => out.put_slice(value.as_bytes()),
            Value::Timestamp(at) => out.put_slice(microseconds(*at).as_bytes()),
            Value::Json(body) => out.put_slice(body.as_bytes()),
            other => return Err(format!("a value that this store does not know: {other:?}").into()),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

/// As stores keep it: what is smaller than a microsecond is cut off, not rounded.
fn microseconds(at: Timestamp) -> String {
    format!("{at:.6}")
}

/// The same moment as it comes back from a column.
pub(crate) fn to_micros(at: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at)
}

/// The same text with another mark in place of every NUL, which no text of the server can hold.
pub(crate) fn without_nul(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: impl Into<Value>) -> Option<String> {
        let mut out = BytesMut::new();
        match Untyped(value.into()).to_sql(&Type::UNKNOWN, &mut out).unwrap() {
            IsNull::Yes => None,
            IsNull::No => Some(String::from_utf8(out.to_vec()).unwrap()),
        }
    }

    #[test]
    fn values_are_written_so_that_sql_and_json_can_read_them() {
        assert_eq!(text(Value::Null), None);
        assert_eq!(text(true).unwrap(), "true");
        assert_eq!(text(i64::MIN).unwrap(), "-9223372036854775808");
        assert_eq!(text(0.1).unwrap(), "0.1");
        assert_eq!(text(1e300).unwrap(), "1e300");
        assert_eq!(text(1e-7).unwrap(), "1e-7");
        assert_eq!(text("it's").unwrap(), "it's");
        let at: Timestamp = "2026-01-31T12:00:00.1234567Z".parse().unwrap();
        assert_eq!(text(at).unwrap(), "2026-01-31T12:00:00.123456Z");
    }

    #[test]
    fn a_text_with_nul_characters_can_be_written() {
        assert_eq!(without_nul("a\0b\0"), "a\u{fffd}b\u{fffd}");
        assert!(matches!(without_nul("a\u{fffd}b"), Cow::Borrowed(_)));
    }

    #[test]
    fn what_is_smaller_than_a_microsecond_is_cut_off() {
        let at: Timestamp = "2026-01-31T12:00:00.123456789Z".parse().unwrap();
        assert_eq!(to_micros(at).to_string(), "2026-01-31T12:00:00.123456Z");
    }
}

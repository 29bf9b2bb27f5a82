//! JSON on the wire without parsing it.

use std::error::Error;

use bytes::{BufMut, BytesMut};
use ermine_core::Body;
use postgres_types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

/// The version of the binary form of `jsonb`.
const JSONB_VERSION: u8 = 1;

type BoxError = Box<dyn Error + Sync + Send>;

/// A body as a parameter of type `json` or `jsonb`.
#[derive(Debug)]
pub(crate) struct RawJson<'a>(pub(crate) &'a Body);

impl ToSql for RawJson<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, BoxError> {
        if *ty == Type::JSONB {
            out.put_u8(JSONB_VERSION);
        }
        out.put_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        matches!(*ty, Type::JSON | Type::JSONB)
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

use jiff::Timestamp;

use crate::Body;

/// A value that goes into a column, a filter or a native statement.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// Nothing.
    Null,
    /// True or false.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction; neither infinite nor NaN where it goes into a document.
    Real(f64),
    /// Text.
    Text(String),
    /// A moment; stores keep microseconds.
    Timestamp(Timestamp),
    /// JSON.
    Json(Body),
}

macro_rules! from {
    ($($from:ty => |$value:ident| $to:expr),* $(,)?) => {$(
        impl From<$from> for Value {
            fn from($value: $from) -> Self {
                $to
            }
        }
    )*};
}

from! {
    bool => |value| Self::Boolean(value),
    i64 => |value| Self::Integer(value),
    i32 => |value| Self::Integer(value.into()),
    u32 => |value| Self::Integer(value.into()),
    u16 => |value| Self::Integer(value.into()),
    f64 => |value| Self::Real(value),
    f32 => |value| Self::Real(value.into()),
    String => |value| Self::Text(value),
    &str => |value| Self::Text(value.to_owned()),
    &String => |value| Self::Text(value.clone()),
    smol_str::SmolStr => |value| Self::Text(value.into()),
    Timestamp => |value| Self::Timestamp(value),
    Body => |value| Self::Json(value),
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

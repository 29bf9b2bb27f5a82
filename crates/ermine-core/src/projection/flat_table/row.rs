use serde_json::Value as Json;

use super::DeclaredColumn;
use crate::{ApplyError, ColumnKind, DomainEvent, Recorded, Timestamp};

/// What a rule can take out of an event.
pub(super) struct Fields {
    pub(super) data: Json,
    pub(super) recorded_at: Timestamp,
    pub(super) stream: String,
    pub(super) version: u64,
}

impl Fields {
    pub(super) fn none() -> Self {
        Self { data: Json::Null, recorded_at: Timestamp::UNIX_EPOCH, stream: String::new(), version: 0 }
    }

    /// Those of an event in its current shape: an older body may lack members that serde fills in.
    pub(super) fn of<E: DomainEvent>(event: &Recorded<E>) -> crate::Result<Self> {
        let raw = event.raw();
        let data = event.data().encode()?.decode();
        let data = data.map_err(|e| crate::Error::serialization("this body is not JSON").with_source(e))?;
        Ok(Self {
            data,
            recorded_at: raw.recorded_at,
            stream: raw.stream.to_string(),
            version: raw.version.get(),
        })
    }
}

/// `value` as the column keeps it.
pub(super) fn checked(column: &DeclaredColumn, value: &Json) -> Result<Json, ApplyError> {
    let fitting = match (column.kind, value) {
        (_, Json::Null) => Some(Json::Null),
        (ColumnKind::Text, Json::String(_))
        | (ColumnKind::Boolean, Json::Bool(_))
        | (ColumnKind::Json, _) => Some(value.clone()),
        (ColumnKind::Integer, Json::Number(number)) => number.as_i64().map(Json::from),
        (ColumnKind::Real, Json::Number(number)) => number.as_f64().map(Json::from),
        (ColumnKind::Timestamp, Json::String(text)) => text.parse::<Timestamp>().ok().map(timestamp),
        _ => None,
    };
    fitting.ok_or_else(|| {
        ApplyError::msg(format!("column \"{}\" holds {}, and this is {value}", column.name, column.kind))
    })
}

/// A moment as columns keep it: in microseconds.
pub(super) fn timestamp(at: Timestamp) -> Json {
    Json::String(format!("{at:.6}"))
}

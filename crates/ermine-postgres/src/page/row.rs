//! Events out of ordinary rows.

use ermine_core::{
    Body, Event, EventId, Metadata, Seq, SmolStr, StreamId, TenantId, TypeName, Uuid, Version,
};
use tokio_postgres::Row;

use super::Raw;
use crate::value::JsonText;

/// Reads a row; `None` for one of nulls. Names among `names` are shared instead of copied.
pub(super) fn decode(row: &Row, names: &[TypeName]) -> Result<Option<Raw>, tokio_postgres::Error> {
    let Some(seq) = row.try_get::<_, Option<i64>>(0)? else { return Ok(None) };
    let data: Option<JsonText<'_>> = row.try_get(7)?;
    let correlation: Option<&str> = row.try_get(8)?;
    let causation: Option<&str> = row.try_get(9)?;
    let headers: Option<JsonText<'_>> = row.try_get(10)?;
    let skipped: Option<&str> = row.try_get(11)?;
    let event = Event {
        seq: Seq::from_i64(seq),
        id: EventId::from(row.try_get::<_, Uuid>(3)?),
        tenant: TenantId::from_store(row.try_get(4)?),
        stream: StreamId::from_store(row.try_get(5)?),
        version: Version::from_i64(row.try_get(1)?),
        type_name: shared_name(row.try_get(6)?, names),
        body: data.map_or_else(no_body, JsonText::to_body),
        recorded_at: row.try_get(2)?,
        metadata: metadata(correlation, causation, headers.map(JsonText::to_body)),
    };
    Ok(Some(Raw { event, has_body: data.is_some(), skipped: skipped.map(SmolStr::new) }))
}

pub(super) fn no_body() -> Body {
    Body::from_store(bytes::Bytes::new())
}

pub(super) fn shared_name(text: &str, names: &[TypeName]) -> TypeName {
    match names.binary_search_by(|name| name.as_str().cmp(text)) {
        Ok(found) => names[found].clone(),
        Err(_) => TypeName::from_store(text),
    }
}

pub(super) fn metadata(
    correlation: Option<&str>,
    causation: Option<&str>,
    headers: Option<Body>,
) -> Option<Box<Metadata>> {
    if correlation.is_none() && causation.is_none() && headers.is_none() {
        return None;
    }
    Some(Box::new(Metadata {
        correlation: correlation.map(SmolStr::new),
        causation: causation.map(SmolStr::new),
        headers,
    }))
}

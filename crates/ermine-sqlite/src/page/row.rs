//! Events out of the columns seq, version, recorded_at, id, tenant, stream_id, type, correlation, causation, headers, data and,
//! in pages, skipped.

use ermine_core::{Event, EventId, Metadata, Seq, SmolStr, StreamId, TenantId, TypeName, Uuid, Version};
use rusqlite::Row;

use crate::{error::Outcome, json, time};

pub(super) fn event(row: &Row<'_>, type_name: &TypeName) -> Outcome<Event> {
    Ok(Event {
        seq: Seq::from_i64(row.get(0)?),
        id: EventId::from(Uuid::from_bytes(row.get(3)?)),
        tenant: tenant(row)?,
        stream: stream(row)?,
        version: Version::from_i64(row.get(1)?),
        type_name: type_name.clone(),
        body: json::body(row, 10)?,
        recorded_at: time::from_column(row.get(2)?)?,
        metadata: metadata(row)?,
    })
}

pub(super) fn tenant(row: &Row<'_>) -> rusqlite::Result<TenantId> {
    Ok(TenantId::from_store(row.get_ref(4)?.as_str()?))
}

pub(super) fn stream(row: &Row<'_>) -> rusqlite::Result<StreamId> {
    Ok(StreamId::from_store(row.get_ref(5)?.as_str()?))
}

pub(super) fn type_name(row: &Row<'_>) -> rusqlite::Result<TypeName> {
    Ok(TypeName::from_store(row.get_ref(6)?.as_str()?))
}

/// The type; a name among `names`, which are sorted, is shared instead of copied.
pub(super) fn shared_type_name(row: &Row<'_>, names: &[TypeName]) -> rusqlite::Result<TypeName> {
    let text = row.get_ref(6)?.as_str()?;
    Ok(match names.binary_search_by(|name| name.as_str().cmp(text)) {
        Ok(found) => names[found].clone(),
        Err(_) => TypeName::from_store(text),
    })
}

/// Why the event was marked as skipped, if it was.
pub(super) fn skipped(row: &Row<'_>) -> rusqlite::Result<Option<SmolStr>> {
    Ok(row.get_ref(11)?.as_str_or_null()?.map(SmolStr::new))
}

fn metadata(row: &Row<'_>) -> rusqlite::Result<Option<Box<Metadata>>> {
    let correlation = row.get_ref(7)?.as_str_or_null()?;
    let causation = row.get_ref(8)?.as_str_or_null()?;
    let headers = json::optional_body(row, 9)?;
    if correlation.is_none() && causation.is_none() && headers.is_none() {
        return Ok(None);
    }
    let (correlation, causation) = (correlation.map(SmolStr::new), causation.map(SmolStr::new));
    Ok(Some(Box::new(Metadata { correlation, causation, headers })))
}

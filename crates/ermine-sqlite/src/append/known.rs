//! Events that have been recorded before, by their ids.

use ermine_core::{AppendBatch, Appended, Error, ErrorKind, EventId, Position, Seq, StreamAppend, Version};
use rusqlite::{Connection, OptionalExtension, Row};

use super::duplicate;
use crate::{error::Outcome, statements as sql, time};

/// Where and when an event was recorded.
#[derive(Debug)]
pub(crate) struct Known {
    seq: Seq,
    tenant: String,
    stream: String,
    version: Version,
    recorded_at: i64,
}

pub(crate) fn find(connection: &Connection, id: EventId) -> Outcome<Option<Known>> {
    let mut statement = connection.prepare_cached(sql::EVENT_BY_ID)?;
    Ok(statement.query_row([id.as_uuid().as_bytes()], read).optional()?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Known> {
    Ok(Known {
        seq: Seq::from_i64(row.get(0)?),
        tenant: row.get(1)?,
        stream: row.get(2)?,
        version: Version::from_i64(row.get(3)?),
        recorded_at: row.get(4)?,
    })
}

impl Known {
    fn is_in(&self, append: &StreamAppend) -> bool {
        self.stream == append.stream.as_str() && self.tenant == append.tenant.as_str()
    }
}

/// The answer of the first time, where the whole of an idempotent batch is recorded already.
pub(crate) fn answer(connection: &Connection, batch: &AppendBatch) -> Outcome<Option<Appended>> {
    let mut known: Vec<EventId> = Vec::new();
    let mut elsewhere = None;
    let mut last: Option<Known> = None;
    let mut versions = Vec::with_capacity(batch.streams().len());
    for append in batch.streams() {
        let mut version = Version::ZERO;
        for new in &append.events {
            let Some(found) = find(connection, new.id())? else { continue };
            known.push(new.id());
            if !found.is_in(append) {
                elsewhere.get_or_insert(new.id());
            }
            version = version.max(found.version);
            if last.as_ref().is_none_or(|last| last.seq < found.seq) {
                last = Some(found);
            }
        }
        versions.push(version);
    }
    let Some(last) = last else { return Ok(None) };
    if let Some(id) = elsewhere {
        return Err(duplicate(id).into());
    }
    if known.len() < batch.len() {
        return Err(partly_known(known).into());
    }
    let recorded_at = time::from_column(last.recorded_at)?;
    Ok(Some(Appended { position: Position::new(last.seq), versions, recorded_at, repeated: true }))
}

fn partly_known(known: Vec<EventId>) -> Error {
    let ids: Vec<String> = known.iter().map(ToString::to_string).collect();
    let doing =
        format!("only some events of this idempotent append are recorded already: {}", ids.join(", "));
    Error::new(ErrorKind::PartlyKnown { known }, doing)
}

/// Whether an event of this id is recorded.
pub(crate) fn is_known(connection: &Connection, id: EventId) -> Outcome<bool> {
    Ok(find(connection, id)?.is_some())
}

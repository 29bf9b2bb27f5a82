//! Events out of the binary form of COPY, without copying their bodies.

use bytes::{Buf, Bytes, BytesMut};
use ermine_core::{Body, Event, EventId, Seq, StreamId, TenantId, Timestamp, TypeName, Uuid, Version};

use super::{
    Raw,
    row::{metadata, no_body, shared_name},
};

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
/// Signature, flags and the length of an extension that is not there.
const HEADER_BYTES: usize = SIGNATURE.len() + 8;
const COLUMNS: i16 = 11;
/// From 1970 to 2000, where PostgreSQL's time begins.
const EPOCH_MICROSECONDS: i64 = 946_684_800_000_000;

/// Cuts chunks of a COPY stream into events. The server sends a row per chunk, but nothing promises that.
pub(super) struct Decoder<'a> {
    names: &'a [TypeName],
    pending: Bytes,
    header_seen: bool,
    ended: bool,
}

impl<'a> Decoder<'a> {
    pub(super) const fn new(names: &'a [TypeName]) -> Self {
        Self { names, pending: Bytes::new(), header_seen: false, ended: false }
    }

    pub(super) fn feed(&mut self, chunk: Bytes) {
        if self.pending.is_empty() {
            self.pending = chunk;
        } else {
            let mut joined = BytesMut::with_capacity(self.pending.len() + chunk.len());
            joined.extend_from_slice(&self.pending);
            joined.extend_from_slice(&chunk);
            self.pending = joined.freeze();
        }
    }

    /// The next row; `None` when more has to be fed first, `Some(None)` for a row of nulls.
    pub(super) fn next_row(&mut self) -> Result<Option<Option<Raw>>, String> {
        if !self.header_seen {
            if self.pending.len() < HEADER_BYTES {
                return Ok(None);
            }
            if !self.pending.starts_with(SIGNATURE) {
                return Err("this is not the binary form of COPY".into());
            }
            self.pending.advance(HEADER_BYTES);
            self.header_seen = true;
        }
        let mut fields = Fields { rest: self.pending.clone() };
        if self.ended || fields.rest.len() < 2 {
            return Ok(None);
        }
        match fields.rest.get_i16() {
            -1 => {
                self.ended = true;
                return Ok(None);
            }
            COLUMNS => {}
            other => return Err(format!("a row of {other} columns instead of {COLUMNS}")),
        }
        let Some(columns) = fields.row()? else { return Ok(None) };
        self.pending = fields.rest;
        decode(columns, self.names).map(Some)
    }
}

struct Fields {
    rest: Bytes,
}

type Columns = [Option<Bytes>; COLUMNS as usize];

impl Fields {
    /// The columns of a row, or `None` when its end is not there yet.
    fn row(&mut self) -> Result<Option<Columns>, String> {
        let mut columns: Columns = [const { None }; COLUMNS as usize];
        for column in &mut columns {
            if self.rest.len() < 4 {
                return Ok(None);
            }
            let length = self.rest.get_i32();
            if length < 0 {
                continue;
            }
            let length = usize::try_from(length).map_err(|err| err.to_string())?;
            if self.rest.len() < length {
                return Ok(None);
            }
            *column = Some(self.rest.split_to(length));
        }
        Ok(Some(columns))
    }
}

fn decode(columns: Columns, names: &[TypeName]) -> Result<Option<Raw>, String> {
    let [seq, version, recorded_at, id, tenant, stream, type_name, data, correlation, causation, headers] =
        columns;
    let Some(seq) = seq else { return Ok(None) };
    let recorded_at = number(recorded_at.as_ref())?.saturating_add(EPOCH_MICROSECONDS);
    let correlation = correlation.as_ref().map(|it| text(Some(it))).transpose()?;
    let causation = causation.as_ref().map(|it| text(Some(it))).transpose()?;
    let event = Event {
        seq: Seq::from_i64(number(Some(&seq))?),
        id: EventId::from(Uuid::from_slice(&id.unwrap_or_default()).map_err(|err| err.to_string())?),
        tenant: TenantId::from_store(text(tenant.as_ref())?),
        stream: StreamId::from_store(text(stream.as_ref())?),
        version: Version::from_i64(number(version.as_ref())?),
        type_name: shared_name(text(type_name.as_ref())?, names),
        body: data.clone().map_or_else(no_body, Body::from_store),
        recorded_at: Timestamp::from_microsecond(recorded_at).map_err(|err| err.to_string())?,
        metadata: metadata(correlation, causation, headers.map(Body::from_store)),
    };
    Ok(Some(Raw { event, has_body: data.is_some() }))
}

fn number(column: Option<&Bytes>) -> Result<i64, String> {
    let bytes: [u8; 8] = column
        .and_then(|bytes| bytes.as_ref().try_into().ok())
        .ok_or_else(|| "a number that is not 8 bytes long".to_owned())?;
    Ok(i64::from_be_bytes(bytes))
}

fn text(column: Option<&Bytes>) -> Result<&str, String> {
    let bytes = column.ok_or_else(|| "a text that is null".to_owned())?;
    std::str::from_utf8(bytes).map_err(|err| err.to_string())
}

#[cfg(test)]
mod tests;

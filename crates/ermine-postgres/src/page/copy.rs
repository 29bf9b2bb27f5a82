//! Events out of the binary form of COPY, without copying their bodies.

use std::ops::Range;

use bytes::{Buf, Bytes, BytesMut};
use ermine_core::{
    Body, Event, EventId, Seq, SmolStr, StreamId, TenantId, Timestamp, TypeName, Uuid, Version,
};

use super::{
    Raw,
    row::{metadata, no_body, shared_name},
};

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
/// Signature, flags and the length of an extension that is not there.
const HEADER_BYTES: usize = SIGNATURE.len() + 8;
const COLUMNS: i16 = 12;
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
        if self.ended || self.pending.len() < 2 {
            return Ok(None);
        }
        match i16::from_be_bytes([self.pending[0], self.pending[1]]) {
            -1 => {
                self.ended = true;
                return Ok(None);
            }
            COLUMNS => {}
            other => return Err(format!("a row of {other} columns instead of {COLUMNS}")),
        }
        let Some((columns, end)) = columns(&self.pending)? else { return Ok(None) };
        let row = decode(&self.pending, &columns, self.names)?;
        self.pending.advance(end);
        Ok(Some(row))
    }
}

type Columns = [Option<Range<usize>>; COLUMNS as usize];

/// Where the columns of the row stand, and where it ends; `None` when its end is not there yet. Only places, because
/// a share of the bytes for each column would cost more than everything else here.
fn columns(row: &[u8]) -> Result<Option<(Columns, usize)>, String> {
    let mut columns: Columns = [const { None }; COLUMNS as usize];
    let mut at = 2;
    for column in &mut columns {
        let Some(length) = row.get(at..).and_then(<[u8]>::first_chunk) else { return Ok(None) };
        at += 4;
        let length = i32::from_be_bytes(*length);
        if length < 0 {
            continue;
        }
        let length = usize::try_from(length).map_err(|err| err.to_string())?;
        if row.len() - at < length {
            return Ok(None);
        }
        *column = Some(at..at + length);
        at += length;
    }
    Ok(Some((columns, at)))
}

fn decode(row: &Bytes, columns: &Columns, names: &[TypeName]) -> Result<Option<Raw>, String> {
    let column = |at: usize| columns[at].clone().map(|place| &row[place]);
    let json = |at: usize| columns[at].clone().map(|place| Body::from_store(row.slice(place)));
    let Some(seq) = column(0) else { return Ok(None) };
    let recorded_at = number(column(2))?.saturating_add(EPOCH_MICROSECONDS);
    let correlation = column(8).map(|it| text(Some(it))).transpose()?;
    let causation = column(9).map(|it| text(Some(it))).transpose()?;
    let skipped = column(11).map(|it| text(Some(it)).map(SmolStr::new)).transpose()?;
    let body = json(7);
    let has_body = body.is_some();
    let event = Event {
        seq: Seq::from_i64(number(Some(seq))?),
        id: EventId::from(Uuid::from_slice(column(3).unwrap_or_default()).map_err(|err| err.to_string())?),
        tenant: TenantId::from_store(text(column(4))?),
        stream: StreamId::from_store(text(column(5))?),
        version: Version::from_i64(number(column(1))?),
        type_name: shared_name(text(column(6))?, names),
        body: body.unwrap_or_else(no_body),
        recorded_at: Timestamp::from_microsecond(recorded_at).map_err(|err| err.to_string())?,
        metadata: metadata(correlation, causation, json(10)),
    };
    Ok(Some(Raw { event, has_body, skipped }))
}

fn number(column: Option<&[u8]>) -> Result<i64, String> {
    let bytes: [u8; 8] = column
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| "a number that is not 8 bytes long".to_owned())?;
    Ok(i64::from_be_bytes(bytes))
}

fn text(column: Option<&[u8]>) -> Result<&str, String> {
    let bytes = column.ok_or_else(|| "a text that is null".to_owned())?;
    std::str::from_utf8(bytes).map_err(|err| err.to_string())
}

#[cfg(test)]
mod tests;

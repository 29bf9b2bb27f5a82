//! Letters into rows and out of them.

use std::borrow::Cow;

use ermine_core::{
    DeadLetter, Error, ErrorClass, LetterId, LetterState, ParkKey, Seq, ShardName, StreamId, TenantId,
    Timestamp, TypeName, Version,
};
use rusqlite::{Connection, Row, params};

use crate::{
    error::{Fault, Outcome},
    json::{self, Json},
    statements as sql, time,
};

/// Puts a letter in place of the one of the same id.
pub(super) fn write(connection: &Connection, letter: &DeadLetter) -> Outcome<()> {
    let (shard, seq, kind, key_tenant, key_id) = letter.id.order();
    let state = &letter.state;
    connection.prepare_cached(sql::LETTER_WRITE)?.execute(params![
        shard,
        seq.as_i64(),
        kind,
        key_tenant,
        key_id,
        letter.id.shard.projection().as_str(),
        letter.tenant.as_str(),
        letter.stream.as_str(),
        letter.version.as_i64(),
        letter.type_name.as_str(),
        letter.class.map(ErrorClass::as_str),
        without_nul(&letter.error),
        letter.attempts,
        letter.first_at.as_microsecond(),
        letter.last_at.as_microsecond(),
        state.status().as_str(),
        state.by().map(without_nul),
        state.reason().map(without_nul),
        state.settled_at().map(Timestamp::as_microsecond),
        Json(&letter.body),
    ])?;
    Ok(())
}

/// A letter out of the columns of `letters_read`.
pub(super) fn letter(row: &Row<'_>) -> Outcome<DeadLetter> {
    let class = optional_text(row, 9)?.map(str::parse).transpose().map_err(garbled)?;
    let settled_at: Option<i64> = row.get(17)?;
    let settled_at = settled_at.map(time::from_column).transpose()?;
    let status = text(row, 14)?.parse().map_err(garbled)?;
    Ok(DeadLetter {
        id: LetterId {
            shard: text(row, 0)?.parse::<ShardName>().map_err(garbled)?,
            seq: Seq::from_i64(row.get(1)?),
            key: key(row, 2)?,
        },
        tenant: TenantId::from_store(text(row, 5)?),
        stream: StreamId::from_store(text(row, 6)?),
        version: Version::from_i64(row.get(7)?),
        type_name: TypeName::from_store(text(row, 8)?),
        body: json::body(row, 18)?,
        class,
        error: row.get(10)?,
        attempts: row.get(11)?,
        first_at: time::from_column(row.get(12)?)?,
        last_at: time::from_column(row.get(13)?)?,
        state: LetterState::from_store(status, settled_at, optional_text(row, 15)?, optional_text(row, 16)?),
    })
}

/// A key out of its kind, tenant and id, of which the first is in the column named.
pub(super) fn key(row: &Row<'_>, first: usize) -> Outcome<Option<ParkKey>> {
    let kind = text(row, first)?;
    let key = ParkKey::from_parts(kind, text(row, first + 1)?, text(row, first + 2)?);
    if key.is_none() && !kind.is_empty() {
        return Err(Fault::Garbled(format!("nothing of the kind \"{kind}\" can have events behind it")));
    }
    Ok(key)
}

/// Text as everybody can read it: SQLite keeps NUL, but its functions and its shell end there.
pub(crate) fn without_nul(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text.into() }
}

fn text<'r>(row: &'r Row<'_>, column: usize) -> rusqlite::Result<&'r str> {
    Ok(row.get_ref(column)?.as_str()?)
}

fn optional_text<'r>(row: &'r Row<'_>, column: usize) -> rusqlite::Result<Option<&'r str>> {
    Ok(row.get_ref(column)?.as_str_or_null()?)
}

fn garbled(error: Error) -> Fault {
    error.context("reading a dead letter").into()
}

//! Letters and keys out of rows.

use ermine_core::{
    Body, DeadLetter, Error, ErrorClass, LetterId, LetterState, ParkKey, Result, Seq, StreamId, TenantId,
    TypeName, Version,
};
use tokio_postgres::Row;

pub(super) fn letter(row: &Row) -> Result<DeadLetter> {
    decode(row).map_err(|err| err.context("reading a dead letter"))
}

fn decode(row: &Row) -> Result<DeadLetter> {
    let shard: &str = get(row, 0)?;
    let key = ParkKey::from_parts(get(row, 2)?, get(row, 3)?, get(row, 4)?);
    let id = LetterId { shard: shard.parse()?, seq: Seq::from_i64(get(row, 1)?), key };
    let (body, status): (String, &str) = (get(row, 9)?, get(row, 15)?);
    let class: Option<&str> = get(row, 11)?;
    let settled = get(row, 18)?;
    Ok(DeadLetter {
        id,
        tenant: TenantId::from_store(get(row, 5)?),
        stream: StreamId::from_store(get(row, 6)?),
        version: Version::from_i64(get(row, 7)?),
        type_name: TypeName::from_store(get(row, 8)?),
        body: Body::from_store(body.into()),
        class: class.map(str::parse::<ErrorClass>).transpose()?,
        error: get(row, 10)?,
        attempts: u32::try_from(get::<i64>(row, 12)?).unwrap_or(u32::MAX),
        first_at: get(row, 13)?,
        last_at: get(row, 14)?,
        state: LetterState::from_store(status.parse()?, settled, get(row, 16)?, get(row, 17)?),
    })
}

pub(super) fn parked_key(row: &Row) -> Result<(ParkKey, u64)> {
    let (kind, tenant, id): (&str, &str, &str) = (get(row, 0)?, get(row, 1)?, get(row, 2)?);
    let key = ParkKey::from_parts(kind, tenant, id)
        .ok_or_else(|| Error::fatal(format!("\"{kind}\" is nothing that events wait behind")))?;
    Ok((key, get::<i64>(row, 3)?.unsigned_abs()))
}

fn get<'r, T: postgres_types::FromSql<'r>>(row: &'r Row, column: usize) -> Result<T> {
    row.try_get(column).map_err(|err| Error::fatal("a column is not what it should be").with_source(err))
}

//! Places in the log and in streams.

use ermine_core::{
    Error, LogEntry, LogPoint, Result, Seq, StreamHeads, StreamId, TenantId, Timestamp, Version,
};

use crate::{Store, error::Effect};

pub(super) async fn heads(store: &Store, streams: &[(TenantId, StreamId)]) -> Result<StreamHeads> {
    let doing = || format!("reading the versions of {} streams", streams.len());
    let loan = store.loan().await.map_err(|err| err.context(doing()))?;
    let sql = &store.inner.sql;
    let rows = if let [(tenant, stream)] = streams {
        loan.query(&sql.read_head, &[&tenant.as_str(), &stream.as_str()]).await
    } else {
        let tenants: Vec<&str> = streams.iter().map(|(tenant, _)| tenant.as_str()).collect();
        let ids: Vec<&str> = streams.iter().map(|(_, stream)| stream.as_str()).collect();
        loan.query(&sql.read_heads, &[&tenants, &ids]).await
    };
    let rows = rows.map_err(|fault| fault.into_error(doing(), Effect::Reads))?;
    let row = rows.first().ok_or_else(|| Error::fatal(doing()))?;
    let read = (|| {
        let versions = if streams.len() == 1 { vec![row.try_get(0)?] } else { row.try_get(0)? };
        Ok::<(Vec<i64>, Timestamp), tokio_postgres::Error>((versions, row.try_get(1)?))
    })();
    let (versions, at) = read.map_err(|err| Error::fatal(doing()).with_source(err))?;
    Ok(StreamHeads { versions: versions.into_iter().map(Version::from_i64).collect(), at })
}

pub(super) async fn entry(store: &Store, point: LogPoint) -> Result<Option<LogEntry>> {
    let doing = || match point {
        LogPoint::After(seq) => format!("looking for the first event after {seq}"),
        LogPoint::Since(at) => format!("looking for the first event since {at}"),
    };
    let loan = store.loan().await.map_err(|err| err.context(doing()))?;
    let rows = match point {
        LogPoint::After(seq) => loan.query(&store.inner.sql.locate_after, &[&seq.as_i64()]).await,
        LogPoint::Since(at) => loan.query(&store.inner.sql.locate_since, &[&whole_microseconds(at)]).await,
    };
    let rows = rows.map_err(|fault| fault.into_error(doing(), Effect::Reads))?;
    let Some(row) = rows.first() else { return Ok(None) };
    let read = (|| Ok::<_, tokio_postgres::Error>((row.try_get(0)?, row.try_get(1)?)))();
    let (seq, recorded_at) = read.map_err(|err| Error::fatal(doing()).with_source(err))?;
    Ok(Some(LogEntry { seq: Seq::from_i64(seq), recorded_at }))
}

/// The server keeps microseconds; a moment between two of them is the later one, because what was recorded at the
/// earlier one was recorded before.
fn whole_microseconds(at: Timestamp) -> Timestamp {
    let floor = at.as_microsecond();
    let exact = Timestamp::from_microsecond(floor).is_ok_and(|floor| floor >= at);
    let ceiling = Timestamp::from_microsecond(floor.saturating_add(i64::from(!exact)));
    ceiling.unwrap_or(at)
}

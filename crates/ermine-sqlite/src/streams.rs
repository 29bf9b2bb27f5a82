use async_trait::async_trait;
use ermine_core::{
    Appended, Body, Error, ErrorKind, NewEvent, Position, Result, Seq, StreamId, TenantId, Version,
    ports::{StreamAdmin, archived_type},
};
use rusqlite::params;

use crate::{
    Store,
    append::{Clock, Log},
    error::{Fault, Outcome},
    statements as sql, time,
    writer::Session,
};

#[async_trait]
impl StreamAdmin for Store {
    async fn archive_stream(&self, tenant: &TenantId, stream: &StreamId) -> Result<Appended> {
        let doing = || format!("archiving stream \"{stream}\"");
        let (tenant, stream) = (tenant.clone(), stream.clone());
        self.change(doing, move |session| archive(session, &tenant, &stream)).await
    }

    async fn skip_events(&self, events: &[Seq], reason: &str) -> Result<u64> {
        let doing = || format!("marking {} events as skipped", events.len());
        let (events, reason) = (events.to_vec(), reason.to_owned());
        self.change(doing, move |session| {
            let mut statement = session.connection.prepare_cached(sql::EVENT_SKIP)?;
            let mut marked = 0;
            for seq in &events {
                marked += statement.execute(params![seq.as_i64(), reason])? as u64;
            }
            Ok(marked)
        })
        .await
    }
}

fn archive(session: &mut Session, tenant: &TenantId, stream: &StreamId) -> Outcome<Appended> {
    let mut log = Log::open(&session.connection, tenant, stream)?;
    if log.version == Version::ZERO {
        let told = format!("stream \"{stream}\" has no events: there is nothing to archive");
        return Err(Error::new(ErrorKind::NotFound, told).into());
    }
    if let Some(last) = log.archived {
        return first_time(session, &log, last);
    }
    let event = NewEvent::new(archived_type(), Body::from_json("{}")?);
    let clock = Clock::read(&session.connection)?;
    let last = log.write(&session.connection, clock, None, [&event])?;
    let archived = params![tenant.as_str(), stream.as_str(), last.as_i64()];
    session.connection.prepare_cached(sql::STREAM_ARCHIVE)?.execute(archived)?;
    session.appended = Some(last);
    Ok(answer(last, &log, clock.now, false))
}

fn first_time(session: &Session, log: &Log<'_>, last: Seq) -> Outcome<Appended> {
    let mut statement = session.connection.prepare_cached(sql::EVENT_FROM)?;
    let recorded_at = statement.query_row([last.as_i64()], |row| row.get(1)).map_err(Fault::from)?;
    Ok(answer(last, log, time::from_column(recorded_at)?, true))
}

fn answer(last: Seq, log: &Log<'_>, recorded_at: ermine_core::Timestamp, repeated: bool) -> Appended {
    Appended { position: Position::new(last), versions: vec![log.version], recorded_at, repeated }
}

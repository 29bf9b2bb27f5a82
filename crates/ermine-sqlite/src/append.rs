//! Appending: everything is checked before the first event is written.

mod known;

use std::sync::Arc;

use async_trait::async_trait;
use ermine_core::{
    AppendBatch, Appended, Body, Error, ErrorKind, EventId, NewEvent, Operation, Position, Result, Seq,
    StreamAppend, StreamId, StreamType, TenantId, Timestamp, Version, VersionConflict, ViewConflict, ViewPin,
    ports::EventAppender,
};
pub(crate) use known::is_known;
use rusqlite::{Connection, OptionalExtension, params};

use crate::{
    Store,
    error::{Fault, Outcome},
    json::Json,
    operations, statements as sql,
    time::now,
    view_sql::{ViewSql, ViewSqls},
    writer::Session,
};

#[async_trait]
impl EventAppender for Store {
    async fn append(&self, batch: AppendBatch) -> Result<Appended> {
        batch.check()?;
        let events = batch.streams().iter().flat_map(|append| &append.events);
        events.into_iter().try_for_each(check_texts)?;
        if batch.operations().iter().any(|it| matches!(it, Operation::Append { .. } | Operation::Publish(_)))
        {
            return Err(Error::configuration("an append cannot append or publish by its operations"));
        }
        let (batch, views) = (Arc::new(batch), Arc::clone(&self.inner.views));
        let work = Arc::clone(&batch);
        self.change(|| describe(&batch), move |session| record(session, &views, &work)).await
    }
}

fn record(session: &mut Session, views: &ViewSqls, batch: &AppendBatch) -> Outcome<Appended> {
    if batch.is_idempotent()
        && let Some(first_time) = known::answer(&session.connection, batch)?
    {
        return Ok(first_time);
    }
    let mut logs = Vec::with_capacity(batch.streams().len());
    for append in batch.streams() {
        let log = Log::open(&session.connection, &append.tenant, &append.stream)?;
        log.check(append)?;
        logs.push(log);
    }
    for pin in batch.pins() {
        check_pin(&session.connection, views, pin)?;
    }
    operations::apply(session, views, batch.operations())?;
    let clock = Clock::read(&session.connection)?;
    let mut last = Seq::ZERO;
    for (log, append) in logs.iter_mut().zip(batch.streams()) {
        let stream_type = append.stream_type.as_ref();
        last = log.write(&session.connection, clock, stream_type, &append.events)?;
    }
    session.appended = Some(last);
    let versions = logs.iter().map(|log| log.version).collect();
    Ok(Appended { position: Position::new(last), versions, recorded_at: clock.now, repeated: false })
}

/// A body is checked to be JSON before it comes here, but not that the texts in it are UTF-8; whoever reads the column as
/// text has to rely on it.
pub(crate) fn check_texts(new: &NewEvent) -> Result<()> {
    let headers = new.metadata().and_then(|metadata| metadata.headers.as_ref());
    let checked =
        [Some(new.body()), headers].into_iter().flatten().map(Body::as_bytes).map(std::str::from_utf8);
    checked.into_iter().try_for_each(|text| text.map(drop)).map_err(|err| {
        Error::serialization(format!("the body or the headers of event {} are not UTF-8", new.id()))
            .with_source(err)
    })
}

fn check_pin(connection: &Connection, views: &ViewSqls, pin: &ViewPin) -> Outcome<()> {
    let view = views.of(connection, &pin.table)?;
    let key = params![pin.key.tenant.as_str(), pin.key.id.as_str()];
    let actual = connection.prepare_cached(&view.version)?.query_row(key, |row| row.get(0)).optional()?;
    let actual = actual.map(Version::from_i64);
    if actual == pin.version && has_body(connection, &view, pin)? {
        return Ok(());
    }
    Err(Error::view_conflict(ViewConflict {
        table: pin.table.clone(),
        key: pin.key.clone(),
        expected: pin.version,
        actual,
    })
    .into())
}

/// Whether the view is the document that was read, where that was pinned.
fn has_body(connection: &Connection, sql: &ViewSql, pin: &ViewPin) -> Outcome<bool> {
    let Some(pinned) = &pin.body else { return Ok(true) };
    let mut load = connection.prepare_cached(&sql.load)?;
    let mut rows = load.query([pin.key.tenant.as_str(), pin.key.id.as_str()])?;
    let stored = rows.next()?.map(|row| sql.view(row)).transpose()?;
    Ok(stored.is_some_and(|stored| stored.body == *pinned))
}

/// The time of a transaction, and the latest that the log has seen, where that is later.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    pub(crate) now: Timestamp,
    latest: Option<i64>,
}

impl Clock {
    pub(crate) fn read(connection: &Connection) -> Outcome<Self> {
        let now = now();
        let latest: Option<i64> =
            connection.prepare_cached(sql::LATEST_TIME)?.query_row([], |row| row.get(0)).optional()?;
        Ok(Self { now, latest: latest.filter(|latest| *latest > now.as_microsecond()) })
    }
}

/// One stream as the transaction sees it.
#[derive(Debug)]
pub(crate) struct Log<'a> {
    tenant: &'a TenantId,
    stream: &'a StreamId,
    pub(crate) version: Version,
    /// The event that has ended it.
    pub(crate) archived: Option<Seq>,
}

impl<'a> Log<'a> {
    pub(crate) fn open(connection: &Connection, tenant: &'a TenantId, stream: &'a StreamId) -> Outcome<Self> {
        let state = connection
            .prepare_cached(sql::STREAM_STATE)?
            .query_row(params![tenant.as_str(), stream.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let (version, archived): (i64, Option<i64>) = state.unwrap_or_default();
        Ok(Self {
            tenant,
            stream,
            version: Version::from_i64(version),
            archived: archived.map(Seq::from_i64),
        })
    }

    /// Refuses whatever may not follow.
    fn check(&self, append: &StreamAppend) -> Outcome<()> {
        self.check_open()?;
        if append.expected.admits(self.version) {
            return Ok(());
        }
        Err(Error::conflict(VersionConflict {
            tenant: self.tenant.clone(),
            stream: self.stream.clone(),
            expected: append.expected,
            actual: self.version,
        })
        .into())
    }

    pub(crate) fn check_open(&self) -> Outcome<()> {
        match self.archived {
            None => Ok(()),
            Some(_) => Err(Error::archived(self.stream.clone()).into()),
        }
    }

    /// Writes events behind what is there; answers with the number of the last one.
    pub(crate) fn write<'e>(
        &mut self,
        connection: &Connection,
        clock: Clock,
        stream_type: Option<&StreamType>,
        events: impl IntoIterator<Item = &'e NewEvent>,
    ) -> Outcome<Seq> {
        let mut insert = connection.prepare_cached(sql::APPEND_EVENT)?;
        for new in events {
            self.version = self.version.plus(1);
            let metadata = new.metadata();
            let inserted = insert.execute(params![
                self.version.as_i64(),
                clock.now.as_microsecond(),
                clock.latest,
                new.id().as_uuid().as_bytes(),
                self.tenant.as_str(),
                self.stream.as_str(),
                new.type_name().as_str(),
                metadata.and_then(|it| it.correlation.as_deref()),
                metadata.and_then(|it| it.causation.as_deref()),
                metadata.and_then(|it| it.headers.as_ref()).map(Json),
                Json(new.body()),
            ]);
            inserted.map_err(|error| self.refusal(connection, new, error.into()))?;
        }
        let last = connection.last_insert_rowid();
        connection.prepare_cached(sql::STREAM_ADVANCE)?.execute(params![
            self.tenant.as_str(),
            self.stream.as_str(),
            self.version.as_i64(),
            stream_type.map(StreamType::as_str),
        ])?;
        Ok(Seq::from_i64(last))
    }

    /// Why an event could not be written.
    fn refusal(&self, connection: &Connection, new: &NewEvent, fault: Fault) -> Fault {
        if !fault.is_taken() {
            return fault;
        }
        match known::find(connection, new.id()) {
            Ok(Some(_)) => duplicate(new.id()).into(),
            Ok(None) => Error::new(
                ErrorKind::Refused,
                format!(
                    "the log holds events of stream \"{}\" that its row in streams does not count, because somebody inserted \
                     them directly: set streams.version to the highest version in events",
                    self.stream
                ),
            )
            .into(),
            Err(other) => other,
        }
    }
}

fn duplicate(id: EventId) -> Error {
    let doing = format!("event id {id} is recorded already: every event needs an id of its own");
    Error::new(ErrorKind::DuplicateEvent { id: Some(id) }, doing)
}

fn describe(batch: &AppendBatch) -> String {
    match batch.streams() {
        [one] => format!("appending {} events to stream \"{}\"", one.events.len(), one.stream),
        many => format!("appending {} events to {} streams", batch.len(), many.len()),
    }
}

//! Reading events.

mod row;

use std::{collections::HashMap, num::NonZeroUsize};

use async_trait::async_trait;
use ermine_core::{
    Admission, Error, Event, EventFilter, EventPage, EventRange, LogEntry, LogPoint, PageRequest, Result,
    Seq, SkippedEvent, SmolStr, StreamHeads, StreamId, StreamType, TenantId, UnknownEvent, Uuid, Version,
    ports::EventReader,
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::{
    Store,
    error::Outcome,
    query::as_i64,
    statements as sql,
    time::{self, now},
};

#[async_trait]
impl EventReader for Store {
    async fn load_page(&self, request: PageRequest) -> Result<EventPage> {
        let range = request.range;
        self.read(|| format!("loading events {range}"), move |connection| load(connection, &request)).await
    }

    async fn read_stream(
        &self,
        tenant: &TenantId,
        stream: &StreamId,
        after: Version,
        limit: NonZeroUsize,
    ) -> Result<Vec<Event>> {
        let doing = || format!("reading stream \"{stream}\"");
        let (tenant, stream) = (tenant.clone(), stream.clone());
        self.read(doing, move |connection| {
            let mut statement = connection.prepare_cached(sql::READ_STREAM)?;
            let bound = params![tenant.as_str(), stream.as_str(), after.as_i64(), as_i64(limit.get())];
            let mut rows = statement.query(bound)?;
            let mut events = Vec::new();
            while let Some(row) = rows.next()? {
                events.push(row::event(row, &row::type_name(row)?)?);
            }
            Ok(events)
        })
        .await
    }

    async fn read_heads(&self, streams: &[(TenantId, StreamId)]) -> Result<StreamHeads> {
        let doing = || format!("reading how far {} streams have come", streams.len());
        let streams = streams.to_vec();
        self.read(doing, move |connection| {
            let snapshot = connection.transaction()?;
            let mut statement = snapshot.prepare_cached(sql::STREAM_STATE)?;
            let version = |(tenant, stream): &(TenantId, StreamId)| {
                let version = statement.query_row([tenant.as_str(), stream.as_str()], |row| row.get(0));
                Ok(Version::from_i64(version.optional()?.unwrap_or_default()))
            };
            let versions = streams.iter().map(version).collect::<Outcome<_>>()?;
            Ok(StreamHeads { versions, at: now() })
        })
        .await
    }

    async fn locate(&self, point: LogPoint) -> Result<Option<LogEntry>> {
        let doing = || match point {
            LogPoint::After(seq) => format!("locating the event after {seq}"),
            LogPoint::Since(moment) => format!("locating the first event since {moment}"),
        };
        self.read(doing, move |connection| match point {
            LogPoint::After(seq) => Ok(first_from(connection, seq.next())?.map(|found| found.entry)),
            LogPoint::Since(moment) => {
                let snapshot = connection.transaction()?;
                first_since(&snapshot, time::ceiling(moment))
            }
        })
        .await
    }
}

/// The events of these numbers that there are, in order.
pub(crate) fn by_number(connection: &mut Connection, mut seqs: Vec<Seq>) -> Outcome<Vec<Event>> {
    seqs.sort_unstable();
    seqs.dedup();
    let snapshot = connection.transaction()?;
    let mut statement = snapshot.prepare_cached(sql::EVENT_BY_NUMBER)?;
    let mut events = Vec::new();
    for seq in seqs {
        let mut rows = statement.query([seq.as_i64()])?;
        if let Some(row) = rows.next()? {
            events.push(row::event(row, &row::type_name(row)?)?);
        }
    }
    Ok(events)
}

fn load(connection: &mut Connection, request: &PageRequest) -> Outcome<EventPage> {
    let snapshot = connection.transaction()?;
    let token: Option<[u8; 16]> =
        snapshot.prepare_cached(sql::TOKEN)?.query_row([], |row| row.get(0)).optional()?;
    if token.map(Uuid::from_bytes) != Some(request.incarnation.0) {
        return Err(Error::rewound().into());
    }
    let mut statement = snapshot.prepare_cached(sql::LOAD_PAGE)?;
    let (floor, ceiling) = (request.range.floor().as_i64(), request.range.ceiling().as_i64());
    let mut rows = statement.query([floor, ceiling])?;
    let mut page = Builder::new(request, &snapshot);
    while let Some(row) = rows.next()? {
        if !page.take(row)? {
            break;
        }
    }
    Ok(page.page)
}

/// Puts a page together, and knows when it is full.
struct Builder<'a> {
    request: &'a PageRequest,
    page: EventPage,
    bytes: usize,
    streams: Streams<'a>,
}

impl<'a> Builder<'a> {
    fn new(request: &'a PageRequest, connection: &'a Connection) -> Self {
        let streams = Streams { connection, wanted: request.filter.stream_type(), known: HashMap::new() };
        Self { request, page: EventPage::empty(request.range), bytes: 0, streams }
    }

    /// Takes a row; whether there is room for another.
    fn take(&mut self, row: &Row<'_>) -> Outcome<bool> {
        let filter: &EventFilter = &self.request.filter;
        let type_name = row::shared_type_name(row, filter.wanted())?;
        let seq = Seq::from_i64(row.get(0)?);
        match (filter.admit(&type_name), row::skipped(row)?) {
            (Admission::Other, _) => return Ok(true),
            (Admission::Wanted, _) if !self.streams.wants(row)? => return Ok(true),
            (Admission::Wanted | Admission::Unknown, Some(reason)) => {
                self.page.skipped.push(SkippedEvent { seq, stream: row::stream(row)?, reason });
            }
            (Admission::Wanted, None) => {
                let event = row::event(row, &type_name)?;
                self.bytes += event.body.len();
                self.page.events.push(event);
            }
            (Admission::Unknown, None) => {
                self.page.unknown.push(UnknownEvent { seq, stream: row::stream(row)?, type_name });
            }
        }
        let seen = self.page.events.len() + self.page.unknown.len() + self.page.skipped.len();
        let full = seen >= self.request.events_max.get() || self.bytes >= self.request.bytes_max;
        if full && let Some(range) = EventRange::new(self.request.range.floor(), seq) {
            self.page.range = range;
        }
        Ok(!full)
    }
}

/// The streams of one type, as far as a page has met them.
struct Streams<'a> {
    connection: &'a Connection,
    wanted: Option<&'a StreamType>,
    known: HashMap<(TenantId, StreamId), bool>,
}

impl Streams<'_> {
    /// Whether the event of a row belongs to a stream that is wanted.
    fn wants(&mut self, row: &Row<'_>) -> Outcome<bool> {
        let Some(wanted) = self.wanted else { return Ok(true) };
        let key = (row::tenant(row)?, row::stream(row)?);
        if let Some(known) = self.known.get(&key) {
            return Ok(*known);
        }
        let mut statement = self.connection.prepare_cached(sql::STREAM_STATE)?;
        let stream_type: Option<Option<SmolStr>> = statement
            .query_row([key.0.as_str(), key.1.as_str()], |row| {
                Ok(row.get_ref(2)?.as_str_or_null()?.map(SmolStr::new))
            })
            .optional()?;
        let is_wanted = stream_type.flatten().is_some_and(|it| it == wanted.as_str());
        self.known.insert(key, is_wanted);
        Ok(is_wanted)
    }
}

/// An event, and the latest time of all events up to it.
struct Found {
    entry: LogEntry,
    latest: i64,
}

fn first_from(connection: &Connection, seq: Seq) -> Outcome<Option<Found>> {
    let mut statement = connection.prepare_cached(sql::EVENT_FROM)?;
    let found = statement.query_row([seq.as_i64()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    let Some((seq, recorded_at, latest)): Option<(i64, i64, i64)> = found.optional()? else {
        return Ok(None);
    };
    let entry = LogEntry { seq: Seq::from_i64(seq), recorded_at: time::from_column(recorded_at)? };
    Ok(Some(Found { entry, latest }))
}

/// The first event at `moment` or later: the first one up to which the latest time is that late. That time never goes
/// back, so halving the log finds it.
fn first_since(connection: &Connection, moment: i64) -> Outcome<Option<LogEntry>> {
    let last: i64 = connection.prepare_cached(sql::LAST_NUMBER)?.query_row([], |row| row.get(0))?;
    let (mut low, mut high) = (1, last.saturating_add(1));
    let mut found = None;
    while low < high {
        let middle = low + (high - low) / 2;
        match first_from(connection, Seq::from_i64(middle))? {
            Some(later) if later.latest < moment => low = later.entry.seq.as_i64().saturating_add(1),
            Some(later) => {
                high = middle;
                found = Some(later.entry);
            }
            None => high = middle,
        }
    }
    Ok(found)
}

//! Reading events: small pages by a prepared query, large ones by COPY.

mod builder;
mod by_number;
mod copy;
mod locate;
mod row;

use std::{num::NonZeroUsize, pin::pin};

use async_trait::async_trait;
use builder::Builder;
pub(crate) use by_number::by_number;
use ermine_core::{
    Error, Event, EventPage, LogEntry, LogPoint, PageRequest, Result, SmolStr, StreamHeads, StreamId,
    StreamType, TenantId, TypeName, Version, ports::EventReader,
};
use futures_util::TryStreamExt;
use postgres_types::ToSql;

use crate::{
    Store,
    connection::{Connection, Ready},
    error::{Effect, Fault},
    sql::{Sql, complete, quote_text, quote_texts},
};

/// From this many events on COPY is faster, although it takes a round trip more.
const COPY_FROM_EVENTS: usize = 2_000;

/// A row of a page, before anybody has looked whether its type is wanted.
struct Raw {
    event: Event,
    has_body: bool,
    /// Why it was marked as skipped.
    skipped: Option<SmolStr>,
}

#[async_trait]
impl EventReader for Store {
    async fn load_page(&self, request: PageRequest) -> Result<EventPage> {
        let doing = || format!("loading events {}", request.range);
        let loan = self.loan().await.map_err(|err| err.context(doing()))?;
        let large = request.events_max.get() >= COPY_FROM_EVENTS
            && usize::try_from(request.range.span()).unwrap_or(usize::MAX) >= COPY_FROM_EVENTS;
        let mut page = Builder::new(&request);
        let read = loan.within_deadline(async {
            if large && self.inner.may_copy {
                copy_rows(self, &loan, &request, &mut page).await
            } else {
                query_rows(self, &loan, &request, &mut page).await
            }
        });
        match read.await {
            Ok(()) => page.finish(),
            Err(ReadFault::Connection(fault)) => Err(fault.into_error(doing(), Effect::Reads)),
            Err(ReadFault::Garbled(what)) => Err(Error::fatal(doing()).with_source(what)),
        }
    }

    async fn read_stream(
        &self,
        tenant: &TenantId,
        stream: &StreamId,
        after: Version,
        limit: NonZeroUsize,
    ) -> Result<Vec<Event>> {
        let doing = || format!("reading stream \"{stream}\"");
        let loan = self.loan().await.map_err(|err| err.context(doing()))?;
        let limit = as_i64(limit.get());
        let rows = loan
            .query(
                &self.inner.sql.read_stream,
                &[&tenant.as_str(), &stream.as_str(), &after.as_i64(), &limit],
            )
            .await
            .map_err(|fault| fault.into_error(doing(), Effect::Reads))?;
        let mut events = Vec::with_capacity(rows.len());
        for row in &rows {
            let raw = row::decode(row, &[]).map_err(|err| Error::fatal(doing()).with_source(err))?;
            events.extend(raw.map(|raw| raw.event));
        }
        Ok(events)
    }

    async fn read_heads(&self, streams: &[(TenantId, StreamId)]) -> Result<StreamHeads> {
        locate::heads(self, streams).await
    }

    async fn locate(&self, point: LogPoint) -> Result<Option<LogEntry>> {
        locate::entry(self, point).await
    }
}

/// Why a page could not be read.
enum ReadFault {
    Connection(Fault),
    Garbled(String),
}

impl From<Fault> for ReadFault {
    fn from(fault: Fault) -> Self {
        Self::Connection(fault)
    }
}

async fn query_rows(
    store: &Store,
    connection: &Connection,
    request: &PageRequest,
    page: &mut Builder<'_>,
) -> Result<(), ReadFault> {
    let (floor, ceiling) = (request.range.floor().as_i64(), request.range.ceiling().as_i64());
    let limit = as_i64(request.events_max.get());
    let filter = &request.filter;
    let (wanted, known): (Vec<&str>, Vec<&str>);
    let stream_type = filter.stream_type().map(StreamType::as_str);
    let mut params: Vec<&(dyn ToSql + Sync)> = vec![&floor, &ceiling, &limit, &request.incarnation.0];
    let sql = if filter.wants_all_known() && stream_type.is_none() {
        &store.inner.sql.load_page
    } else {
        wanted = filter.wanted().iter().map(TypeName::as_str).collect();
        known = filter.known().iter().map(TypeName::as_str).collect();
        params.push(&wanted);
        params.push(&known);
        if stream_type.is_some() {
            params.push(&stream_type);
            &store.inner.sql.load_page_of_type
        } else {
            &store.inner.sql.load_page_filtered
        }
    };
    let ready = connection.ready(sql).await?;
    let lost = |error| ReadFault::Connection(connection.judge(Fault::Driver(error)));
    let rows = match &ready {
        Ready::Named(statement) => connection.client().query_raw(statement, params).await,
        Ready::Unnamed(_) | Ready::Untyped(_) => {
            let typed = params.into_iter().zip(sql.types().iter().cloned());
            connection.client().query_typed_raw(sql.text(), typed).await
        }
    };
    let mut rows = pin!(rows.map_err(lost)?);
    while let Some(row) = rows.try_next().await.map_err(lost)? {
        let raw = row::decode(&row, filter.wanted()).map_err(|err| ReadFault::Garbled(err.to_string()))?;
        if !page.take(raw)? {
            break;
        }
    }
    Ok(())
}

async fn copy_rows(
    store: &Store,
    connection: &Connection,
    request: &PageRequest,
    page: &mut Builder<'_>,
) -> Result<(), ReadFault> {
    let lost = |error| ReadFault::Connection(connection.judge(Fault::Driver(error)));
    let text = copy_statement(store, request);
    let mut stream = pin!(connection.client().copy_out(text.as_str()).await.map_err(lost)?);
    let mut decoder = copy::Decoder::new(request.filter.wanted());
    while let Some(chunk) = stream.try_next().await.map_err(lost)? {
        decoder.feed(chunk);
        while let Some(raw) = decoder.next_row().map_err(ReadFault::Garbled)? {
            if !page.take(raw)? {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn copy_statement(store: &Store, request: &PageRequest) -> String {
    let filter = &request.filter;
    let stream_type = filter.stream_type().map(|name| quote_text(name.as_str()));
    let all = filter.wants_all_known() && stream_type.is_none();
    let sql: &Sql = match &stream_type {
        Some(_) => &store.inner.sql.copy_page_of_type,
        None if all => &store.inner.sql.copy_page,
        None => &store.inner.sql.copy_page_filtered,
    };
    let names = |names: &[TypeName]| match all {
        true => String::new(),
        false => quote_texts(names.iter().map(TypeName::as_str)),
    };
    complete(
        sql.text(),
        &[
            ("floor", &request.range.floor().to_string()),
            ("ceiling", &request.range.ceiling().to_string()),
            ("limit", &request.events_max.to_string()),
            ("incarnation", &request.incarnation.0.to_string()),
            ("wanted", &names(filter.wanted())),
            ("known", &names(filter.known())),
            ("stream_type", &stream_type.unwrap_or_default()),
        ],
    )
}

fn as_i64(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

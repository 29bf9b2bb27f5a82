//! Appending: one call of one function, so one round trip.

mod flat;
mod with_view;
mod with_views;

use async_trait::async_trait;
use ermine_core::{
    AppendBatch, Appended, Error, ErrorKind, ExpectedVersion, Position, Result, Seq, StreamAppend,
    StreamType, Uuid, Version, VersionConflict, ViewConflict, ports::EventAppender,
};
use flat::Flat;
use postgres_types::ToSql;
use tokio_postgres::{Row, Transaction};
use with_view::WithView;

use crate::{
    Store,
    error::{Effect, Fault},
    sql::Sql,
    value::RawJson,
    view_sql::table_name,
};

#[async_trait]
impl EventAppender for Store {
    async fn append(&self, batch: AppendBatch) -> Result<Appended> {
        batch.check()?;
        let call = if !changes_views(&batch) {
            Call::of(&batch)?
        } else if let Some(call) = WithView::of(self, &batch)? {
            Call::View(Box::new(call))
        } else {
            return self.append_with_views(&batch).await;
        };
        let loan = self.loan().await.map_err(|err| err.context(describe(&batch)))?;
        let sql = call.sql(self);
        // Preparing changes nothing, so a connection that is lost there leaves nothing open.
        let ready =
            loan.ready(sql).await.map_err(|fault| fault.into_error(describe(&batch), Effect::Reads))?;
        // Whoever drops this future may leave the statement waiting for a stream; nobody else shall wait behind it.
        let taint = loan.taint();
        let rows = loan.answer(loan.run(&ready, &call.params())).await;
        if rows.as_ref().err().is_none_or(|fault| !fault.spoils_session()) {
            taint.lift();
        }
        let rows = rows.map_err(|fault| refusal(fault, &batch))?;
        call.answer(&batch, &rows)
    }
}

impl Store {
    /// Appends within a transaction of yours: the events become visible with it, or not at all.
    ///
    /// The transaction holds the mark from this call on until it ends, so end it soon. At any isolation level; above
    /// read committed a concurrent append to the same stream fails it with a serialization error, and whether a pinned view
    /// is absent is seen as of the transaction's snapshot.
    ///
    /// # Errors
    ///
    /// Those of [`EventAppender::append`]. A batch with views that fails leaves nothing behind, and the transaction goes on;
    /// after an error of any other batch PostgreSQL only lets it (or the savepoint around the call) be rolled back.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves open whether the events are part of the transaction: roll it back.
    pub async fn append_in(&self, transaction: &Transaction<'_>, batch: AppendBatch) -> Result<Appended> {
        batch.check()?;
        if changes_views(&batch) {
            return self.append_with_views_in(transaction, &batch).await;
        }
        let call = Call::of(&batch)?;
        let sql = call.sql(self);
        let typed: Vec<_> = call.params().into_iter().zip(sql.types().iter().cloned()).collect();
        let rows = transaction.query_typed(sql.text(), &typed).await;
        let rows = rows.map_err(|err| refusal(Fault::Driver(err), &batch))?;
        call.answer(&batch, &rows)
    }
}

fn changes_views(batch: &AppendBatch) -> bool {
    !batch.pins().is_empty() || !batch.operations().is_empty()
}

/// Which function is called, and with what.
enum Call<'a> {
    /// One stream, no metadata, not idempotent.
    Stream(Single<'a>),
    /// The same with one view.
    View(Box<WithView<'a>>),
    Events(Box<Flat<'a>>),
}

impl<'a> Call<'a> {
    fn of(batch: &'a AppendBatch) -> Result<Self> {
        Ok(match batch.streams() {
            [one] if is_plain(batch) => Self::Stream(Single::of(one)),
            _ => Self::Events(Box::new(Flat::of(batch)?)),
        })
    }

    fn sql<'s>(&'s self, store: &'s Store) -> &'s Sql {
        match self {
            Self::Stream(_) => &store.inner.sql.append_stream,
            Self::View(view) => view.sql(),
            Self::Events(_) => &store.inner.sql.append_events,
        }
    }

    fn params(&self) -> Vec<&(dyn ToSql + Sync)> {
        match self {
            Self::Stream(single) => single.params(),
            Self::View(view) => view.params(),
            Self::Events(flat) => flat.params(),
        }
    }

    fn answer(&self, batch: &AppendBatch, rows: &[Row]) -> Result<Appended> {
        answer_of(batch, rows, |row| match self {
            Self::Stream(_) | Self::View(_) => stream_answer(row),
            Self::Events(flat) => flat.answer(row),
        })
    }
}

/// Whether there is nothing to record but bodies, once.
fn is_plain(batch: &AppendBatch) -> bool {
    let mut events = batch.streams().iter().flat_map(|append| &append.events);
    !batch.is_idempotent() && events.all(|event| event.metadata().is_none())
}

fn answer_of(
    batch: &AppendBatch,
    rows: &[Row],
    read: impl FnOnce(&Row) -> Result<Appended, tokio_postgres::Error>,
) -> Result<Appended> {
    let row = rows.first().ok_or_else(|| Error::fatal("an append was not answered"))?;
    read(row).map_err(|err| {
        Error::new(ErrorKind::OutcomeUnknown, format!("reading the answer to {}", describe(batch)))
            .with_source(err)
    })
}

/// The events of one stream as columns.
struct Single<'a> {
    tenant: &'a str,
    stream: &'a str,
    expected: Option<i64>,
    ids: Vec<Uuid>,
    types: Vec<&'a str>,
    bodies: Vec<RawJson<'a>>,
    stream_type: Option<&'a str>,
}

impl<'a> Single<'a> {
    fn of(append: &'a StreamAppend) -> Self {
        Self {
            tenant: append.tenant.as_str(),
            stream: append.stream.as_str(),
            expected: expected(append.expected),
            ids: append.events.iter().map(|event| *event.id().as_uuid()).collect(),
            types: append.events.iter().map(|event| event.type_name().as_str()).collect(),
            bodies: append.events.iter().map(|event| RawJson(event.body())).collect(),
            stream_type: append.stream_type.as_ref().map(StreamType::as_str),
        }
    }

    fn params(&self) -> Vec<&(dyn ToSql + Sync)> {
        vec![
            &self.tenant,
            &self.stream,
            &self.expected,
            &self.ids,
            &self.types,
            &self.bodies,
            &self.stream_type,
        ]
    }
}

fn stream_answer(row: &Row) -> Result<Appended, tokio_postgres::Error> {
    Ok(Appended {
        position: Position::new(Seq::from_i64(row.try_get(0)?)),
        versions: vec![Version::from_i64(row.try_get(1)?)],
        recorded_at: row.try_get(2)?,
        repeated: false,
    })
}

/// Null stands for any version, 0 for a stream without events.
const fn expected(expected: ExpectedVersion) -> Option<i64> {
    match expected {
        ExpectedVersion::Any => None,
        ExpectedVersion::NoStream => Some(0),
        ExpectedVersion::Exact(version) => Some(version.as_i64()),
    }
}

fn describe(batch: &AppendBatch) -> String {
    match batch.streams() {
        [one] => format!("appending {} events to stream \"{}\"", one.events.len(), one.stream),
        many => format!("appending {} events to {} streams", batch.len(), many.len()),
    }
}

fn refusal(fault: Fault, batch: &AppendBatch) -> Error {
    if let Some(conflict) = conflict(&fault, batch) {
        return conflict;
    }
    let mut doing = describe(batch);
    doing.push_str(misplaced(&fault));
    fault.into_error(doing, Effect::Writes)
}

/// What else there is to say when a version is taken that the row of the stream knows nothing of.
fn misplaced(fault: &Fault) -> &'static str {
    match fault.db().and_then(|db| db.constraint()) {
        Some("events_tenant_stream_id_version_key") => {
            ": the log holds events of it that its row in streams does not count, because somebody inserted them \
             directly: set streams.version to the highest version in events"
        }
        _ => "",
    }
}

/// What the append was refused for, where that was a version.
fn conflict(fault: &Fault, batch: &AppendBatch) -> Option<Error> {
    match fault.code()? {
        "EM003" => version_conflict(fault, batch).map(Error::conflict),
        "EM004" => view_conflict(fault, batch).map(Error::view_conflict),
        _ => None,
    }
}

fn version_conflict(fault: &Fault, batch: &AppendBatch) -> Option<VersionConflict> {
    let detail: serde_json::Value = serde_json::from_str(fault.db()?.detail()?).ok()?;
    let (tenant, stream) = (detail["tenant"].as_str()?, detail["stream"].as_str()?);
    let append =
        batch.streams().iter().find(|it| it.tenant.as_str() == tenant && it.stream.as_str() == stream)?;
    Some(VersionConflict {
        tenant: append.tenant.clone(),
        stream: append.stream.clone(),
        expected: append.expected,
        actual: Version::from_i64(detail["actual"].as_i64()?),
    })
}

fn view_conflict(fault: &Fault, batch: &AppendBatch) -> Option<ViewConflict> {
    let detail: serde_json::Value = serde_json::from_str(fault.db()?.detail()?).ok()?;
    let (table, tenant, id) = (detail["table"].as_str()?, detail["tenant"].as_str()?, detail["id"].as_str()?);
    let pin = batch.pins().iter().find(|pin| {
        pin.key.tenant.as_str() == tenant && pin.key.id.as_str() == id && table_name(&pin.table) == table
    })?;
    Some(ViewConflict {
        table: pin.table.clone(),
        key: pin.key.clone(),
        expected: pin.version,
        actual: detail["actual"].as_i64().map(Version::from_i64),
    })
}

//! What a batch wants changed, one operation after the other.

use ermine_core::{
    EffectId, Filter, Message, NewEvent, Operation, StoredView, StreamId, TenantId, ViewId, ViewKey,
    ViewTable,
};
use rusqlite::{CachedStatement, params};

use crate::{
    append::{Clock, Log, is_known},
    error::{Fault, Outcome},
    json::Json,
    native, query, statements as sql,
    view_sql::{ViewSql, ViewSqls},
    writer::Session,
};

/// Does what the operations say, within the transaction that is open.
pub(crate) fn apply(session: &mut Session, views: &ViewSqls, operations: &[Operation]) -> Outcome<()> {
    apply_each(session, views, operations).map_err(Fault::of_operation)
}

fn apply_each(session: &mut Session, views: &ViewSqls, operations: &[Operation]) -> Outcome<()> {
    let mut rest = operations;
    while let Some((operation, others)) = rest.split_first() {
        match operation {
            Operation::Store { table, .. } | Operation::Delete { table, .. } => {
                let of_table = |it: &&Operation| it.view().is_some_and(|(other, _)| other == table);
                let run = rest.iter().take_while(of_table).count();
                put(session, views, table, &rest[..run])?;
                rest = &rest[run..];
                continue;
            }
            Operation::DeleteWhere { table, tenant, filter } => {
                delete_where(session, views, table, tenant, filter)?;
            }
            Operation::Append { tenant, stream, events } => append(session, tenant, stream, events)?,
            Operation::Publish(message) => publish(session, message)?,
            Operation::Native(native) => native::run(session, views, native)?,
            other => return Err(unknown(other).into()),
        }
        rest = others;
    }
    Ok(())
}

fn unknown(operation: &Operation) -> ermine_core::Error {
    ermine_core::Error::configuration(format!("the SQLite store cannot do {operation:?}"))
}

/// Stores and deletes views of one table, each in its turn.
fn put(session: &Session, views: &ViewSqls, table: &ViewTable, run: &[Operation]) -> Outcome<()> {
    let view_sql = views.of(&session.connection, table)?;
    let mut store: Option<CachedStatement<'_>> = None;
    for operation in run {
        let Some((_, key)) = operation.view() else { continue };
        match operation.result() {
            Some(view) => {
                let statement = match &mut store {
                    Some(statement) => statement,
                    None => store.insert(session.connection.prepare_cached(&view_sql.store)?),
                };
                put_one(&view_sql, statement, table, key, view)?;
            }
            None => delete(session, &view_sql, &key.tenant, &key.id)?,
        }
    }
    Ok(())
}

fn put_one(
    sql: &ViewSql,
    statement: &mut CachedStatement<'_>,
    table: &ViewTable,
    key: &ViewKey,
    view: &StoredView,
) -> Outcome<()> {
    statement.raw_bind_parameter(1, key.tenant.as_str())?;
    statement.raw_bind_parameter(2, key.id.as_str())?;
    statement.raw_bind_parameter(3, view.version.as_i64())?;
    statement.raw_bind_parameter(4, view.seq.as_i64())?;
    match &sql.columns {
        None => statement.raw_bind_parameter(5, Json(&view.body))?,
        Some(columns) => columns.bind(statement, 5, table, key, &view.body)?,
    }
    statement.raw_execute()?;
    Ok(())
}

fn delete(session: &Session, sql: &ViewSql, tenant: &TenantId, id: &ViewId) -> Outcome<()> {
    let mut statement = session.connection.prepare_cached(&sql.delete)?;
    statement.execute(params![tenant.as_str(), id.as_str()])?;
    Ok(())
}

fn delete_where(
    session: &Session,
    views: &ViewSqls,
    table: &ViewTable,
    tenant: &TenantId,
    filter: &Filter,
) -> Outcome<()> {
    let connection = &session.connection;
    let matching = |sql: &ViewSql| query::matching(connection, sql, tenant, filter);
    let ids = views.with(connection, table, matching)?;
    let sql = views.of(connection, table)?;
    for id in ids {
        delete(session, &sql, tenant, &id)?;
    }
    Ok(())
}

/// Appends the events that are not recorded yet.
fn append(session: &mut Session, tenant: &TenantId, stream: &StreamId, events: &[NewEvent]) -> Outcome<()> {
    let mut left = Vec::with_capacity(events.len());
    for new in events {
        crate::append::check_texts(new)?;
        let twice = left.iter().any(|other: &&NewEvent| other.id() == new.id());
        if !twice && !is_known(&session.connection, new.id())? {
            left.push(new);
        }
    }
    if left.is_empty() {
        return Ok(());
    }
    let mut log = Log::open(&session.connection, tenant, stream)?;
    log.check_open()?;
    let clock = Clock::read(&session.connection)?;
    session.appended = Some(log.write(&session.connection, clock, None, left)?);
    Ok(())
}

fn publish(session: &Session, message: &Message) -> Outcome<()> {
    let Message { id: EffectId(id), projection, seq, tenant, topic, body } = message;
    session.connection.prepare_cached(sql::PUBLISH)?.execute(params![
        id.as_bytes(),
        projection.as_str(),
        seq.as_i64(),
        tenant.as_str(),
        topic.as_str(),
        Json(body)
    ])?;
    Ok(())
}

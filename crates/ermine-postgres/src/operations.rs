//! Operations as statements. They take effect as if one by one; what cannot tell the difference is put together.
//!
//! Between two native statements, which may look at anything, tables do not see each other, nor the log or the outbox. So
//! there each table has its own operations in their order, then come the events, then the messages: the one order of locks.

mod changes;
mod columns;
mod rows;

use std::collections::{BTreeMap, HashSet};

use changes::Changes;
pub(crate) use changes::cells;
use ermine_core::{
    Error, Filter, Native, Operation, Result, TenantId, Value, Version, ViewKey, ViewPin, ViewTable,
};
use rows::{Events, Messages};

use crate::{
    Store, filter,
    job::{Job, Param},
    native, sql,
    value::{RawJson, Untyped},
    view_sql,
};

/// Views that an append has read to be absent.
pub(crate) type Absent<'a> = HashSet<(&'a ViewTable, &'a ViewKey)>;

/// What happens to one table: either some views of it, the last word on each, or all that match.
enum Run<'a> {
    Changes(Changes<'a>),
    DeleteWhere(&'a TenantId, &'a Filter),
}

/// Operations between two native statements.
#[derive(Default)]
struct Segment<'a> {
    tables: BTreeMap<&'a ViewTable, Vec<Run<'a>>>,
    events: Events<'a>,
    messages: Messages<'a>,
}

/// The statements for `operations`. A view that was read to be absent is inserted where it is stored first, and refused if
/// it is there by then: its lock keeps out whoever has read the same, but not those who have read nothing.
pub(crate) fn jobs<'a>(
    store: &Store,
    operations: &'a [Operation],
    mut absent: Absent<'a>,
) -> Result<Vec<Job<'a>>> {
    let mut jobs = Vec::new();
    let appended = operations.iter().filter_map(|operation| match operation {
        Operation::Append { tenant, stream, .. } => Some((tenant.as_str(), stream.as_str())),
        _ => None,
    });
    let (tenants, streams): (Vec<&str>, Vec<&str>) = appended.unzip();
    if !streams.is_empty() {
        let sql = store.inner.sql.lock_streams.clone();
        jobs.push(Job::ours(sql, vec![Box::new(tenants), Box::new(streams)]));
    }
    let mut segment = Segment::default();
    for operation in operations {
        if let Operation::Native(statement) = operation {
            std::mem::take(&mut segment).finish(store, &mut absent, &mut jobs)?;
            jobs.push(native_job(store, statement)?);
            jobs.push(Job::ours(store.inner.sql.still_in_batch.clone(), Vec::new()));
            // It may have made a view of its own, which is not somebody else's then.
            absent.clear();
        } else {
            segment.add(operation)?;
        }
    }
    segment.finish(store, &mut absent, &mut jobs)?;
    Ok(jobs)
}

/// The statements that lock the views of `pins`, those first that are not there, and refuse those that have changed.
pub(crate) fn pins<'a>(store: &Store, pins: &'a [ViewPin]) -> Vec<Job<'a>> {
    let mut tables: BTreeMap<&ViewTable, BTreeMap<&ViewKey, &ViewPin>> = BTreeMap::new();
    for pin in pins {
        tables.entry(&pin.table).or_default().insert(&pin.key, pin);
    }
    let job = |(table, keys): (&ViewTable, BTreeMap<&'a ViewKey, &'a ViewPin>)| {
        let tenants: Vec<&str> = keys.keys().map(|key| key.tenant.as_str()).collect();
        let ids: Vec<&str> = keys.keys().map(|key| key.id.as_str()).collect();
        let versions: Vec<Option<i64>> = keys.values().map(|pin| pin.version.map(Version::as_i64)).collect();
        let bodies: Vec<Option<RawJson<'_>>> =
            keys.values().map(|pin| pin.body.as_ref().map(RawJson)).collect();
        let params: Vec<Param<'_>> =
            vec![Box::new(tenants), Box::new(ids), Box::new(versions), Box::new(bodies)];
        Job::ours(store.view_sql(table).pin.clone(), params)
    };
    let mut jobs = Vec::new();
    let absent: Vec<&ViewPin> = pins.iter().filter(|pin| pin.version.is_none()).collect();
    if !absent.is_empty() {
        let names: Vec<String> = absent.iter().map(|pin| view_sql::table_name(&pin.table)).collect();
        let tenants: Vec<&str> = absent.iter().map(|pin| pin.key.tenant.as_str()).collect();
        let ids: Vec<&str> = absent.iter().map(|pin| pin.key.id.as_str()).collect();
        let sql = store.inner.sql.lock_absent.clone();
        jobs.push(Job::ours(sql, vec![Box::new(names), Box::new(tenants), Box::new(ids)]));
    }
    jobs.extend(tables.into_iter().map(job));
    jobs
}

impl<'a> Segment<'a> {
    fn add(&mut self, operation: &'a Operation) -> Result<()> {
        match operation {
            Operation::Store { table, key, .. } | Operation::Delete { table, key } => {
                let runs = self.tables.entry(table).or_default();
                if !matches!(runs.last(), Some(Run::Changes(_))) {
                    runs.push(Run::Changes(Changes::default()));
                }
                if let Some(Run::Changes(changes)) = runs.last_mut() {
                    changes.put(key, operation.result());
                }
            }
            Operation::DeleteWhere { table, tenant, filter } => {
                self.tables.entry(table).or_default().push(Run::DeleteWhere(tenant, filter));
            }
            Operation::Append { tenant, stream, events } => self.events.add(tenant, stream, events),
            Operation::Publish(message) => self.messages.add(message),
            other => {
                return Err(Error::configuration(format!("the PostgreSQL store cannot do {other:?}")));
            }
        }
        Ok(())
    }

    fn finish(self, store: &Store, absent: &mut Absent<'a>, jobs: &mut Vec<Job<'a>>) -> Result<()> {
        for (table, runs) in self.tables {
            let sql = store.view_sql(table);
            for run in runs {
                match run {
                    Run::Changes(changes) => changes.finish(table, &sql, absent, jobs)?,
                    Run::DeleteWhere(tenant, filter) => {
                        let mut values = vec![Value::Text(tenant.as_str().to_owned())];
                        let condition = filter::condition(table.layout(), filter, &mut values);
                        let text = sql::complete(&sql.delete_where, &[("filter", &condition)]);
                        jobs.push(Job::made(
                            text,
                            values
                                .into_iter()
                                .map(|value| -> Param<'_> { Box::new(Untyped(value)) })
                                .collect(),
                        ));
                    }
                }
            }
        }
        if let Some(params) = self.events.params() {
            jobs.push(Job::ours(store.inner.sql.append_missing.clone(), params));
        }
        if let Some(params) = self.messages.params() {
            jobs.push(Job::ours(store.inner.sql.publish.clone(), params));
        }
        Ok(())
    }
}

fn native_job<'a>(store: &Store, native: &'a Native) -> Result<Job<'a>> {
    native::check(native)?;
    let schema = store.schema();
    let table = store.view_sql(&native.table).full_name(schema);
    let values = [("schema", schema.quoted()), ("table", table)];
    let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
    // The table comes with its schema; who has written the schema before it means the same.
    let statement = native.statement.replace("{schema}.{table}", "{table}");
    let text = sql::complete(&statement, &values);
    let params = native.parameters.iter().map(|value| -> Param<'_> { Box::new(Untyped(value)) }).collect();
    Ok(Job::native(text, native, params))
}

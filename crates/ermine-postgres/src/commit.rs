//! Committing a batch: views and progress in one transaction and one round trip.

use std::collections::BTreeMap;

use ermine_core::{Error, ErrorKind, Operation, Result, ShardBatch, StoredView, ViewKey, ViewTable};
use postgres_types::ToSql;

use crate::{
    Store,
    connection::{Connection, Ready},
    error::{Effect, Fault},
    pipeline::{self, Step},
    value::RawJson,
};

/// What is left to do to one table: the last word on every key, in the one order of locks.
type Changes<'a> = BTreeMap<&'a ViewKey, Option<&'a StoredView>>;

impl Store {
    pub(crate) async fn commit_batch(&self, batch: &ShardBatch) -> Result<()> {
        if batch.to < batch.from {
            return Err(Error::configuration(format!(
                "a batch of shard {} would move progress back from {} to {}",
                batch.shard, batch.from, batch.to
            )));
        }
        let doing = || match batch.range() {
            Some(range) => format!("committing {range} of {}", batch.shard),
            None => format!("committing at {} of {}", batch.from, batch.shard),
        };
        let tables = regroup(&batch.operations)?;
        let columns: Vec<(&ViewTable, Stores<'_>, Deletes<'_>)> = tables
            .into_iter()
            .map(|(table, changes)| (table, Stores::of(&changes), Deletes::of(&changes)))
            .collect();
        let loan = self.loan().await.map_err(|err| err.context(doing()))?;
        let prepared = self.prepare(&loan, &columns).await;
        let prepared = prepared.map_err(|fault| fault.into_error(doing(), Effect::Reads))?;
        let answer = self.send(&loan, batch, &columns, &prepared).await;
        answer.map_err(|fault| refusal(fault, batch, doing()))
    }

    /// Everything is prepared before the transaction begins, so that preparing cannot leave one open.
    async fn prepare(
        &self,
        connection: &Connection,
        columns: &[(&ViewTable, Stores<'_>, Deletes<'_>)],
    ) -> Result<Prepared, Fault> {
        let advance = connection.ready(&self.inner.sql.advance).await?;
        let mut tables = Vec::with_capacity(columns.len());
        for (table, stores, deletes) in columns {
            let sql = self.view_sql(table);
            let delete =
                if deletes.ids.is_empty() { None } else { Some(connection.ready(&sql.delete).await?) };
            let store = if stores.ids.is_empty() { None } else { Some(connection.ready(&sql.store).await?) };
            tables.push((delete, store));
        }
        Ok(Prepared { advance, tables })
    }

    async fn send(
        &self,
        connection: &Connection,
        batch: &ShardBatch,
        columns: &[(&ViewTable, Stores<'_>, Deletes<'_>)],
        prepared: &Prepared,
    ) -> Result<(), Fault> {
        let shard = batch.shard.to_string();
        let (from, to, epoch) = (batch.from.as_i64(), batch.to.as_i64(), batch.epoch.0);
        let unknown = i64::try_from(batch.unknown_events).unwrap_or(i64::MAX);
        let advance: [&(dyn ToSql + Sync); 6] = [&shard, &from, &to, &epoch, &batch.incarnation.0, &unknown];
        let statements: Vec<(&Ready, Vec<&(dyn ToSql + Sync)>)> = columns
            .iter()
            .zip(&prepared.tables)
            .flat_map(|((_, stores, deletes), (delete, store))| {
                let delete = delete.as_ref().map(|ready| (ready, deletes.params()));
                let store = store.as_ref().map(|ready| (ready, stores.params()));
                delete.into_iter().chain(store)
            })
            .collect();
        let client = connection.client();
        let mut steps: Vec<Step<'_>> = Vec::with_capacity(statements.len() + 3);
        steps.push(Box::pin(client.batch_execute(self.inner.sql.begin_batch.text())));
        steps.push(Box::pin(async { connection.run(&prepared.advance, &advance).await.map(drop) }));
        for (ready, params) in &statements {
            steps.push(Box::pin(async move { connection.run(ready, params).await.map(drop) }));
        }
        // After an error this rolls back.
        steps.push(Box::pin(client.batch_execute("commit")));
        let taint = connection.taint();
        let answer = connection.answer(pipeline::run(steps, |error| error.as_db_error().is_none())).await;
        // The answer to COMMIT has come only when the server has answered all along.
        if answer.as_ref().err().is_none_or(|fault| fault.db().is_some() && !fault.spoils_session()) {
            taint.lift();
        }
        answer
    }
}

struct Prepared {
    advance: Ready,
    tables: Vec<(Option<Ready>, Option<Ready>)>,
}

/// Operations by table and key. Only the last one on a key counts, because each replaces the whole view.
fn regroup(operations: &[Operation]) -> Result<BTreeMap<&ViewTable, Changes<'_>>> {
    let mut tables: BTreeMap<&ViewTable, Changes<'_>> = BTreeMap::new();
    for operation in operations {
        if !matches!(operation, Operation::Store { .. } | Operation::Delete { .. }) {
            return Err(Error::configuration(format!("the PostgreSQL store cannot do {operation:?}")));
        }
        tables.entry(operation.table()).or_default().insert(operation.key(), operation.result());
    }
    Ok(tables)
}

#[derive(Default)]
struct Stores<'a> {
    tenants: Vec<&'a str>,
    ids: Vec<&'a str>,
    bodies: Vec<RawJson<'a>>,
    versions: Vec<i64>,
    seqs: Vec<i64>,
}

impl<'a> Stores<'a> {
    fn of(changes: &Changes<'a>) -> Self {
        let mut stores = Self::default();
        for (key, view) in changes.iter().filter_map(|(key, view)| Some((key, (*view)?))) {
            stores.tenants.push(key.tenant.as_str());
            stores.ids.push(key.id.as_str());
            stores.bodies.push(RawJson(&view.body));
            stores.versions.push(view.version.as_i64());
            stores.seqs.push(view.seq.as_i64());
        }
        stores
    }

    fn params(&self) -> Vec<&(dyn ToSql + Sync)> {
        vec![&self.tenants, &self.ids, &self.bodies, &self.versions, &self.seqs]
    }
}

#[derive(Default)]
struct Deletes<'a> {
    tenants: Vec<&'a str>,
    ids: Vec<&'a str>,
}

impl<'a> Deletes<'a> {
    fn of(changes: &Changes<'a>) -> Self {
        let mut deletes = Self::default();
        for (key, _) in changes.iter().filter(|(_, view)| view.is_none()) {
            deletes.tenants.push(key.tenant.as_str());
            deletes.ids.push(key.id.as_str());
        }
        deletes
    }

    fn params(&self) -> Vec<&(dyn ToSql + Sync)> {
        vec![&self.tenants, &self.ids]
    }
}

fn refusal(fault: Fault, batch: &ShardBatch, doing: String) -> Error {
    let error = fault.into_error(doing, Effect::Writes);
    match *error.kind() {
        ErrorKind::Fenced { epoch } => Error::fenced(&batch.shard, batch.epoch, epoch).with_source(error),
        ErrorKind::OutOfOrder { at } => Error::out_of_order(&batch.shard, batch.from, at).with_source(error),
        ErrorKind::Rewound => Error::rewound().with_source(error),
        _ => error,
    }
}

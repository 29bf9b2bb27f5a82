use std::time::Duration;

use ermine_core::{Error, ErrorKind, Result, Uuid, ViewTable, ports::Registration};
use tokio_postgres::Row;

use super::tables::{self, Relations, TablePlan};
use crate::{
    Store,
    connection::Connection,
    error::{Effect, Fault},
    migrations::{self, Applied, Migration},
    sql,
};

/// Covers a migration that rewrites a large table, and the wait for another node that is doing it.
const DEADLINE: Duration = Duration::from_secs(600);
/// One lock for all stores of a database, because lock classes are drawn under it. Its key spells `ermine`.
const LOCK: &str = "select pg_advisory_xact_lock(111520797356645)";

/// What a store still needs.
pub(super) struct Plan {
    pub(super) schema_there: bool,
    pub(super) may_create: bool,
    pub(super) role: String,
    pub(super) steps: &'static [Migration],
    /// Whether any migration has been applied.
    pub(super) there: bool,
    /// Tables for views that something is missing of.
    pub(super) tables: Vec<TablePlan>,
}

impl Plan {
    pub(super) fn is_done(&self) -> bool {
        self.steps.is_empty() && self.tables.is_empty()
    }
}

impl Store {
    pub(super) async fn migrate_store(&self, registration: &Registration) -> Result<()> {
        let doing = || format!("migrating the store at {}", self.place());
        let loan = self.loan().await.map_err(|err| err.context(doing()))?;
        let plan = self.plan(&loan, registration).await?;
        if plan.is_done() {
            return Ok(());
        }
        if !plan.schema_there && !plan.may_create {
            return Err(Error::new(
                ErrorKind::Refused,
                format!(
                    "{}: role \"{}\" may not create the schema; run the migration with a role that may",
                    doing(),
                    plan.role
                ),
            ));
        }
        let taint = loan.taint();
        while !self.migrate_in_transaction(&loan, registration).await.map_err(|err| err.context(doing()))? {}
        taint.lift();
        drop(loan);
        // The control connection was opened before there was a store; from now on it listens.
        let line = self.inner.control.line().await?;
        if !line.is_ready() {
            self.inner.control.renew(&line).await?;
        }
        Ok(())
    }

    /// Whether it is done then, or goes on in another transaction.
    async fn migrate_in_transaction(
        &self,
        connection: &Connection,
        registration: &Registration,
    ) -> Result<bool> {
        self.batch(
            connection,
            "begin isolation level read committed; set local statement_timeout = 0; set local lock_timeout = 0",
        )
        .await?;
        self.batch(connection, LOCK).await?;
        // Another node may have done it while we waited.
        let plan = self.plan(connection, registration).await?;
        if !plan.schema_there {
            self.batch(connection, &format!("create schema {}", self.inner.schema.quoted())).await?;
        }
        if !plan.there {
            self.batch(connection, self.inner.sql.migrations_create.text()).await?;
        }
        let class = if plan.steps.is_empty() {
            String::new()
        } else {
            self.lock_class(connection).await?.to_string()
        };
        // A new store is empty, so no step takes long.
        let count = if plan.there { migrations::together(plan.steps) } else { plan.steps.len() };
        let (steps, later) = plan.steps.split_at(count);
        for step in steps {
            let text = sql::render(step.sql, &self.inner.schema, &[("class", &class)]);
            self.batch(connection, &text)
                .await
                .map_err(|err| err.context(format!("applying {}", step.name)))?;
            let params: crate::connection::Params<'_> = &[&step.number, &step.name, &step.checksum()];
            connection.query_once(&self.inner.sql.migration_record, params).await.map_err(recording)?;
        }
        if !later.is_empty() {
            self.batch(connection, "commit").await?;
            return Ok(false);
        }
        for plan in &plan.tables {
            for (_, text) in &plan.steps {
                self.batch(connection, text).await?;
            }
            if plan.is_new {
                self.register(connection, &plan.table).await?;
            }
        }
        self.batch(connection, "commit").await?;
        Ok(true)
    }

    async fn register(&self, connection: &Connection, table: &ViewTable) -> Result<()> {
        let sql = self.view_sql(table);
        let (name, version, generation) =
            (table.projection().as_str(), i64::from(table.version()), i64::from(table.generation()));
        let params: crate::connection::Params<'_> = &[&name, &version, &generation, &sql.name];
        connection.query_once(&self.inner.sql.view_register, params).await.map(drop).map_err(recording)
    }

    pub(super) async fn reset_store(&self, registration: &Registration) -> Result<()> {
        self.migrate_store(registration).await?;
        let doing = || format!("resetting the store at {}", self.place());
        let loan = self.loan().await.map_err(|err| err.context(doing()))?;
        let taint = loan.taint();
        self.batch(&loan, self.inner.sql.reset.text()).await.map_err(|err| err.context(doing()))?;
        taint.lift();
        Ok(())
    }

    async fn batch(&self, connection: &Connection, text: &str) -> Result<()> {
        let answer = connection.answer_within(DEADLINE, connection.client().batch_execute(text)).await;
        answer.map_err(|fault| fault.into_error("changing the schema", Effect::Writes))
    }

    /// What is missing, looked at without changing anything.
    pub(super) async fn plan(&self, connection: &Connection, registration: &Registration) -> Result<Plan> {
        let reading = |fault: Fault| fault.into_error("reading the state of the schema", Effect::Reads);
        let state = connection.query_once(&self.inner.sql.store_state, &[]).await.map_err(reading)?;
        let state = state.first().ok_or_else(|| Error::fatal("reading the state of the schema"))?;
        let garbled = |err| Error::fatal("reading the state of the schema").with_source(err);
        let there: bool = state.try_get(1).map_err(garbled)?;
        let applied = if there {
            let rows =
                connection.query_once(&self.inner.sql.migrations_applied, &[]).await.map_err(reading)?;
            rows.iter().map(applied).collect::<Result<Vec<_>, _>>().map_err(garbled)?
        } else {
            Vec::new()
        };
        let specs = tables::merged(registration)?;
        let names = tables::names(&specs);
        let rows = connection.query_once(&self.inner.sql.view_relations, &[&names]).await.map_err(reading)?;
        let relations = Relations::read(&rows).map_err(garbled)?;
        let mut tables = Vec::new();
        for spec in &specs {
            let sql = self.view_sql(&spec.table);
            tables.extend(tables::plan(&self.inner.schema, &sql, spec, &relations)?);
        }
        Ok(Plan {
            schema_there: state.try_get(0).map_err(garbled)?,
            may_create: state.try_get(2).map_err(garbled)?,
            role: state.try_get(3).map_err(garbled)?,
            steps: migrations::missing(&applied)?,
            there,
            tables,
        })
    }

    /// The lock class of this store; a new one, unlike any other's in the database, when it has none yet.
    async fn lock_class(&self, connection: &Connection) -> Result<i32> {
        let reading = |fault: Fault| fault.into_error("drawing a lock class", Effect::Reads);
        let garbled = |err| Error::fatal("drawing a lock class").with_source(err);
        let own = format!("select to_regclass('{}.store') is not null", self.inner.schema.quoted());
        let own = connection.query_once(&sql::Sql::new(own, &[]), &[]).await.map_err(reading)?;
        if own.first().is_some_and(|row| row.try_get(0).unwrap_or(false)) {
            let rows = connection.query_once(&self.inner.sql.lock_class, &[]).await.map_err(reading)?;
            let row = rows
                .first()
                .ok_or_else(|| Error::new(ErrorKind::Refused, "the store's own table is empty"))?;
            return row.try_get(0).map_err(garbled);
        }
        let rows = connection.query_once(&self.inner.sql.lock_classes, &[]).await.map_err(reading)?;
        let taken: Vec<i64> =
            rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>().map_err(garbled)?;
        loop {
            let class = (Uuid::new_v4().as_fields().0 >> 1).cast_signed();
            if class > 0 && !taken.contains(&i64::from(class)) {
                return Ok(class);
            }
        }
    }
}

fn applied(row: &Row) -> Result<Applied, tokio_postgres::Error> {
    Ok(Applied { number: row.try_get(0)?, name: row.try_get(1)?, checksum: row.try_get(2)? })
}

fn recording(fault: Fault) -> Error {
    fault.into_error("recording a migration", Effect::Writes)
}

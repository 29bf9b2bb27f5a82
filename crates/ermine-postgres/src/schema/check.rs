use ermine_core::{
    Error, ErrorKind, Result,
    ports::{Check, Registration},
};
use tokio_postgres::Row;

use super::migrate::Plan;
use crate::{
    Store,
    control::Line,
    error::{Effect, Fault},
    sql::Sql,
};

impl Store {
    pub(super) async fn check_store(&self, registration: &Registration) -> Result<Vec<Check>> {
        let doing = || format!("checking the store at {}", self.place());
        let plan = {
            let loan = self.loan().await.map_err(|err| err.context(doing()))?;
            self.plan(&loan, registration).await.map_err(|err| err.context(doing()))?
        };
        self.migrated(&plan)?;
        let line = self.line().await?;
        let mut checks = vec![
            held("the store is migrated", "to the newest version"),
            self.direct(&line).await?,
            held("every view has its table", format!("{} tables", registration.tables.len())),
        ];
        let rows = line
            .query_once(&self.inner.sql.check_store)
            .await
            .map_err(|fault| fault.into_error(doing(), Effect::Reads))?;
        let mut broken = Vec::new();
        for row in &rows {
            let (check, holds, remedy) = read(row).map_err(|err| Error::fatal(doing()).with_source(err))?;
            if holds {
                checks.push(check);
            } else {
                broken.push(format!("not so: {} ({}); {remedy}", check.what, check.detail));
            }
        }
        if broken.is_empty() {
            return Ok(checks);
        }
        Err(Error::new(
            ErrorKind::Refused,
            format!("the store at {} does not keep its promises: {}", self.place(), broken.join(". ")),
        ))
    }

    fn migrated(&self, plan: &Plan) -> Result<()> {
        let what = if !plan.there {
            "there is no store".to_owned()
        } else if let Some(step) = plan.steps.first() {
            format!("migration {} ({}) has not been applied to the store", step.number, step.name)
        } else if let Some((missing, _)) = plan.tables.iter().flat_map(|table| &table.steps).next() {
            missing.clone()
        } else {
            return Ok(());
        };
        Err(Error::new(
            ErrorKind::Refused,
            format!("{what} at {}: run the migration, or start with a role that may", self.place()),
        ))
    }

    /// A pooler in transaction mode hands each statement to any of its sessions, and forgets what was listened to. While
    /// it has nobody else to serve, it may use the same session every time; a second client then gets that one, too.
    async fn direct(&self, line: &Line) -> Result<Check> {
        let doing = "checking the control connection";
        let failed = |fault: Fault| fault.into_error(doing, Effect::Reads);
        let pid = Sql::new("select pg_backend_pid()", &[]);
        let listening = Sql::new("select count(*) > 0 from pg_listening_channels()", &[]);
        let second = match line.is_alone() {
            true => None,
            false => Some(self.inner.control.second().await.map_err(|err| err.context(doing))?),
        };
        let (mut own, mut others): (Vec<i32>, Vec<i32>) = Default::default();
        let number = |rows: Vec<Row>| rows.first().and_then(|row| row.try_get::<_, i32>(0).ok());
        for _ in 0..3 {
            own.extend(number(line.query_once(&pid).await.map_err(failed)?));
            if let Some(second) = &second {
                others.extend(number(second.query_once(&pid, &[]).await.map_err(failed)?));
            }
        }
        let rows = line.query_once(&listening).await.map_err(failed)?;
        let listens = rows.first().is_some_and(|row| row.try_get(0).unwrap_or(false));
        let is_same = own.windows(2).all(|two| two[0] == two[1]);
        if is_same && listens && !own.iter().any(|pid| others.contains(pid)) {
            line.was_seen_alone();
            return Ok(held("the control connection is direct", format!("server process {}", own[0])));
        }
        Err(Error::new(
            ErrorKind::Refused,
            format!(
                "the control connection to {} goes through a pooler in transaction mode, which loses LISTEN and mixes sessions: give a direct URL as `control`",
                self.inner.control_target
            ),
        ))
    }
}

fn held(what: &str, detail: impl Into<String>) -> Check {
    Check { what: what.into(), detail: detail.into() }
}

fn read(row: &Row) -> Result<(Check, bool, String), tokio_postgres::Error> {
    let holds: Option<bool> = row.try_get(1)?;
    let detail: Option<String> = row.try_get(2)?;
    let remedy: Option<String> = row.try_get(3)?;
    let check = Check { what: row.try_get(0)?, detail: detail.unwrap_or_default() };
    Ok((check, holds.unwrap_or_default(), remedy.unwrap_or_default()))
}

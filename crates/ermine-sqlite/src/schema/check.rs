use ermine_core::{
    Error, ErrorKind, Result,
    ports::{Check, Registration},
};
use rusqlite::{Connection, Row};

use super::state::{self, Names};
use crate::{Store, error::Outcome, statements as sql};

/// One promise, and whether it holds.
struct Promise {
    check: Check,
    holds: bool,
    remedy: String,
}

impl Store {
    pub(super) async fn check_store(&self, registration: &Registration) -> Result<Vec<Check>> {
        let path = self.path().display().to_string();
        let doing = || "checking the store".to_owned();
        let (wanted, place) = (registration.clone(), path.clone());
        // Before anything is read: it may be another file.
        let mut promises = vec![self.is_in_place()];
        if promises[0].holds {
            let looked = self.read(doing, move |connection| look(connection, &wanted, &place)).await?;
            promises.extend(looked);
        }
        let (kept, broken): (Vec<Promise>, Vec<Promise>) =
            promises.into_iter().partition(|promise| promise.holds);
        if broken.is_empty() {
            return Ok(kept.into_iter().map(|promise| promise.check).collect());
        }
        let told: Vec<String> = broken
            .into_iter()
            .map(|Promise { check, remedy, .. }| {
                format!("not so: {} ({}); {remedy}", check.what, check.detail)
            })
            .collect();
        let told = format!("the store in {path} does not keep its promises: {}", told.join(". "));
        Err(Error::new(ErrorKind::Refused, told))
    }

    /// Whoever opens the path finds the file that is open here.
    fn is_in_place(&self) -> Promise {
        promise(
            "the file is where it was opened",
            self.inner.file.is_in_place(),
            self.path().display().to_string(),
            "the file was removed or another one was put in its place: start the application again",
        )
    }
}

fn look(connection: &mut Connection, registration: &Registration, path: &str) -> Outcome<Vec<Promise>> {
    let refused = |what: String| {
        let told = format!("{what} in {path}: run the migration, or start with a process that may");
        Err(Error::new(ErrorKind::Refused, told).into())
    };
    let snapshot = connection.transaction()?;
    let names = Names::read(&snapshot)?;
    if !names.are_of_a_store() {
        return refused("there is no store".into());
    }
    if let Some(step) = state::steps(&snapshot, &names)?.first() {
        return refused(format!(
            "migration {} ({}) has not been applied to the store",
            step.number, step.name
        ));
    }
    if let Some(table) = state::unready(&snapshot, &names, registration)? {
        return refused(format!("the table for views of {table} is not there, or not as it is registered,"));
    }
    let mut promises = vec![
        promise("the store is migrated", true, "to the newest version", ""),
        promise("every view has its table", true, format!("{} tables", registration.tables.len()), ""),
    ];
    let mode: String = snapshot.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    promises.push(promise(
        "readers and the writer do not wait for each other",
        mode == "wal",
        format!("journal mode {mode}"),
        "somebody has changed the journal mode: pragma journal_mode = wal",
    ));
    let mut statement = snapshot.prepare_cached(sql::CHECK_STORE)?;
    let rows = statement.query_map([], read)?;
    promises.extend(rows.collect::<rusqlite::Result<Vec<_>>>()?);
    Ok(promises)
}

fn promise(what: &str, holds: bool, detail: impl Into<String>, remedy: &str) -> Promise {
    Promise { check: Check { what: what.into(), detail: detail.into() }, holds, remedy: remedy.into() }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Promise> {
    let check = Check { what: row.get(0)?, detail: row.get(2)? };
    Ok(Promise { check, holds: row.get(1)?, remedy: row.get(3)? })
}

//! What a file has been brought to.

use std::path::Path;

use ermine_core::{Error, ErrorKind, Uuid, ViewTable, ports::Registration};
use rusqlite::Connection;

use super::tables;
use crate::{
    error::Outcome,
    migrations::{self, Applied, Migration},
    statements as sql,
};

/// Stands in the header of every file that is made here: "Ermn". The first ones have none.
pub(super) const APPLICATION_ID: i32 = i32::from_be_bytes(*b"Ermn");

/// Refuses a file of another application, and only reads to find out.
pub(crate) fn refuse_foreign(connection: &Connection, path: &Path) -> Outcome<()> {
    let id: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    match id {
        APPLICATION_ID => Ok(()),
        0 => Names::read(connection)?.refuse_strangers(&path.display().to_string()),
        other => {
            let told = format!(
                "{} belongs to another application (its id is {other}): give the store a file of its own",
                path.display()
            );
            Err(Error::new(ErrorKind::Refused, told).into())
        }
    }
}

/// Everything in the file that has a name, SQLite's own left out.
#[derive(Debug)]
pub(super) struct Names(Vec<String>);

impl Names {
    pub(super) fn read(connection: &Connection) -> Outcome<Self> {
        let mut statement = connection.prepare_cached(sql::SCHEMA_NAMES)?;
        let names = statement.query_map([], |row| row.get(0))?;
        Ok(Self(names.collect::<rusqlite::Result<_>>()?))
    }

    pub(super) fn contain(&self, name: &str) -> bool {
        self.0.iter().any(|it| it.eq_ignore_ascii_case(name))
    }

    /// Whether the file was made by Ermine. Others have a table of migrations as well.
    pub(super) fn are_of_a_store(&self) -> bool {
        ["migrations", "meta", "events"].iter().all(|name| self.contain(name))
    }

    /// Refuses what Ermine has not made; `file` says where it was found.
    pub(super) fn refuse_strangers(&self, file: &str) -> Outcome<()> {
        match self.0.first() {
            Some(stranger) if !self.are_of_a_store() => {
                let told = format!(
                    "{file} holds \"{stranger}\", which is not Ermine's: give the store a file of its own"
                );
                Err(Error::new(ErrorKind::Refused, told).into())
            }
            _ => Ok(()),
        }
    }
}

/// The steps that are still to do; an error when the file is newer, or was made in another way.
pub(super) fn steps(connection: &Connection, names: &Names) -> Outcome<&'static [Migration]> {
    if !names.are_of_a_store() {
        return Ok(migrations::ALL);
    }
    let mut statement = connection.prepare_cached(sql::MIGRATIONS_APPLIED)?;
    let applied = statement.query_map([], |row| {
        Ok(Applied { number: row.get(0)?, name: row.get(1)?, checksum: Uuid::from_bytes(row.get(2)?) })
    })?;
    Ok(migrations::missing(&applied.collect::<rusqlite::Result<Vec<_>>>()?)?)
}

/// Whether there is nothing left to do.
pub(super) fn is_done(connection: &mut Connection, registration: &Registration) -> Outcome<bool> {
    let snapshot = connection.transaction()?;
    let names = Names::read(&snapshot)?;
    Ok(steps(&snapshot, &names)?.is_empty() && unready(&snapshot, &names, registration)?.is_none())
}

/// The first table that is not there, or not as it is registered.
pub(super) fn unready<'r>(
    connection: &Connection,
    names: &Names,
    registration: &'r Registration,
) -> Outcome<Option<&'r ViewTable>> {
    for spec in &registration.tables {
        if !tables::is_ready(connection, names, spec)? {
            return Ok(Some(&spec.table));
        }
    }
    Ok(None)
}

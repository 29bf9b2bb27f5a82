//! What a file has been brought to.

use ermine_core::{Uuid, ViewTable, ports::Registration};
use rusqlite::Connection;

use super::tables;
use crate::{
    error::Outcome,
    migrations::{self, Applied, Migration},
    statements as sql,
};

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

    /// Whether the file was made by Ermine.
    pub(super) fn are_of_a_store(&self) -> bool {
        self.contain("migrations")
    }

    /// Something that Ermine has not made.
    pub(super) fn stranger(&self) -> Option<&str> {
        if self.are_of_a_store() { None } else { self.0.first().map(String::as_str) }
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

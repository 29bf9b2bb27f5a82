use ermine_core::{Uuid, ports::Registration};

use super::{migrate, state::Names};
use crate::{Synchronous, error::Outcome, statements as sql, writer::Session};

/// Takes everything out of the file but the marks of its migrations.
const EMPTIED: [&str; 8] =
    ["events", "streams", "progress", "outbox", "projections", "dead_letters", "parked_events", "wishes"];

pub(super) fn run(
    session: &mut Session,
    registration: &Registration,
    synchronous: Synchronous,
) -> Outcome<()> {
    let connection = &session.connection;
    let names = Names::read(connection)?;
    if names.are_of_a_store() {
        let mut statement = connection.prepare_cached(sql::VIEW_TABLES)?;
        let tables = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let tables = tables.collect::<rusqlite::Result<Vec<(String, Option<String>)>>>()?;
        for (table, sql_name) in tables {
            if let Some(name) = sql_name {
                connection.execute_batch(&format!("drop view if exists \"{name}\""))?;
            }
            connection.execute_batch(&format!("drop table if exists {table}"))?;
        }
        // One that an older version has made may lack some.
        for table in EMPTIED.into_iter().filter(|table| names.contain(table)) {
            connection.execute(&format!("delete from {table}"), [])?;
        }
        connection.execute("delete from sqlite_sequence", [])?;
        connection.execute(sql::TOKEN_RENEW, [Uuid::new_v4().as_bytes()])?;
    }
    migrate::run(session, registration, synchronous)?;
    session.emptied = true;
    Ok(())
}

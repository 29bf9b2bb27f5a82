use ermine_core::{Uuid, ports::Registration};
use rusqlite::{Connection, params};

use super::{
    state::{self, APPLICATION_ID, Names},
    tables,
};
use crate::{
    Synchronous,
    error::{Fault, Outcome},
    incarnation::first_boot,
    migrations::Migration,
    statements as sql,
    time::now,
    writer::Session,
};

/// Brings the file to this version within the transaction that is open: whoever comes second waits, and finds it done.
pub(super) fn run(
    session: &mut Session,
    registration: &Registration,
    synchronous: Synchronous,
) -> Outcome<()> {
    let connection = &session.connection;
    let names = Names::read(connection)?;
    names.refuse_strangers("the file")?;
    let steps = state::steps(connection, &names)?;
    connection.execute_batch(sql::MIGRATIONS_CREATE)?;
    for step in steps {
        apply(connection, step, synchronous)
            .map_err(|fault| fault.within(format!("applying {}", step.name)))?;
    }
    registration.tables.iter().try_for_each(|spec| tables::make(connection, spec))
}

fn apply(connection: &Connection, step: &Migration, synchronous: Synchronous) -> Outcome<()> {
    connection.execute_batch(step.sql)?;
    let now = now().as_microsecond();
    if step.number == 1 {
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;
        let token = Uuid::new_v4();
        connection.execute(sql::META_CREATE, params![token.as_bytes(), first_boot(synchronous), now])?;
    }
    let checksum = step.checksum();
    let record = params![step.number, step.name, checksum.as_bytes(), now];
    connection.execute(sql::MIGRATION_RECORD, record).map(drop).map_err(Fault::from)
}

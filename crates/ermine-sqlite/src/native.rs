//! Statements in SQLite's own language.

use std::sync::Arc;

use ermine_core::{Error, Native, Operation, Value, ViewTable};
use rusqlite::{
    Batch, CachedStatement, Connection, ErrorCode, ToSql,
    fallible_iterator::FallibleIterator as _,
    hooks::{AuthAction, AuthContext, Authorization},
    params_from_iter,
    types::{ToSqlOutput, ValueRef},
};

use crate::{
    error::{Fault, Outcome},
    time,
    view_sql::ViewSqls,
    writer::Session,
};

/// What [`Store::kind`](ermine_core::ports::Store::kind) says.
pub(crate) const KIND: &str = "sqlite";

/// An operation that runs one SQL statement in the transaction of its batch.
///
/// `{table}` in the statement stands for the table of `table`: `tenant`, `id`, `version`, `seq`, and either `data`, which is
/// JSON text, or the declared columns. `{schema}` stands for `main`. The parameters are `?1`, `?2` and so on: booleans are 0
/// and 1, moments are text as in `2026-01-31T12:00:00.000000Z`, JSON is text.
///
/// The statement must change something and be only one: what reads, begins or ends transactions or is a pragma is refused. Where a
/// constraint or a trigger refuses what it writes, the batch is [`Rejected`](ermine_core::ErrorKind::Rejected); any other
/// error of it is one that needs a person, unless its code says that it passes.
///
/// ```
/// use ermine_core::{ProjectionName, Value, ViewTable};
///
/// let trips = ViewTable::new(ProjectionName::new("Trip")?, 1);
/// let renamed = ermine_sqlite::sql(
///     &trips,
///     "update {table} set data = json_set(data, '$.driver', ?2) where tenant = '' and data ->> '$.driver' = ?1",
///     [Value::from("ada"), Value::from("Ada")],
/// );
/// # let _ = renamed;
/// # Ok::<(), ermine_core::Error>(())
/// ```
#[must_use]
pub fn sql(
    table: &ViewTable,
    statement: impl Into<Arc<str>>,
    parameters: impl IntoIterator<Item = Value>,
) -> Operation {
    Operation::Native(Native {
        adapter: KIND.into(),
        statement: statement.into(),
        parameters: parameters.into_iter().collect(),
        table: table.clone(),
    })
}

pub(crate) fn run(session: &mut Session, views: &ViewSqls, native: &Native) -> Outcome<()> {
    if native.adapter != KIND {
        return Err(Error::foreign_statement(&native.adapter, KIND).into());
    }
    let table = views.of(&session.connection, &native.table)?;
    let text = native.statement.replace("{schema}", "main").replace("{table}", &table.name);
    let failed = |fault: Fault| {
        let doing = format!("a statement of the projection {} failed", native.table.projection());
        fault.within(doing)
    };
    check(session, &text).map_err(failed)?;
    let mut statement = session.connection.prepare_cached(&text).map_err(|err| failed(err.into()))?;
    if statement.readonly() {
        return Err(refused(&text, "changes nothing: use one that inserts, updates or deletes"));
    }
    execute(&mut statement, &native.parameters).map_err(failed)
}

/// Rows that the statement returns are of no interest, but it is done only when all have been seen.
fn execute(statement: &mut CachedStatement<'_>, parameters: &[Value]) -> Outcome<()> {
    let mut rows = statement.query(params_from_iter(parameters.iter().map(Parameter)))?;
    while rows.next()?.is_some() {}
    Ok(())
}

/// Refuses what is not one statement, of which SQLite would run the first and say nothing of the others, and what would
/// change how the connection works, which is everybody's.
fn check(session: &mut Session, text: &str) -> Outcome<()> {
    if session.single_statements.contains(text) {
        return Ok(());
    }
    // Some pragmas take effect while SQLite only looks at them, so they have to be kept from that.
    session.connection.authorizer(Some(only_data))?;
    let is_one = is_one_statement(&session.connection, text);
    session.connection.authorizer(None::<fn(AuthContext<'_>) -> Authorization>)?;
    match is_one {
        Ok(true) => {}
        Ok(false) => return Err(refused(text, "is not one statement: make an operation of each")),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::AuthorizationForStatementDenied) => {
            return Err(refused(text, "changes how the store works: leave that to it"));
        }
        Err(error) => return Err(error.into()),
    }
    if session.single_statements.len() >= STATEMENTS_MAX {
        session.single_statements.clear();
    }
    session.single_statements.insert(text.to_owned());
    Ok(())
}

const STATEMENTS_MAX: usize = 256;

fn is_one_statement(connection: &Connection, text: &str) -> rusqlite::Result<bool> {
    let mut statements = Batch::new(connection, text);
    let first = statements.next()?.is_some();
    Ok(first && statements.next().is_ok_and(|second| second.is_none()))
}

fn only_data(context: AuthContext<'_>) -> Authorization {
    match context.action {
        AuthAction::Pragma { .. } | AuthAction::Attach { .. } | AuthAction::Detach { .. } => {
            Authorization::Deny
        }
        _ => Authorization::Allow,
    }
}

fn refused(text: &str, what: &str) -> Fault {
    let shown: String = text.chars().take(80).collect();
    Error::configuration(format!("the native statement \"{shown}\" {what}")).into()
}

struct Parameter<'v>(&'v Value);

impl ToSql for Parameter<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0 {
            Value::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            Value::Boolean(value) => ToSqlOutput::Owned(i64::from(*value).into()),
            Value::Integer(value) => ToSqlOutput::Owned((*value).into()),
            Value::Real(value) => ToSqlOutput::Owned((*value).into()),
            Value::Text(value) => ToSqlOutput::Borrowed(ValueRef::Text(value.as_bytes())),
            Value::Timestamp(value) => ToSqlOutput::Owned(time::to_text(*value).into()),
            Value::Json(value) => ToSqlOutput::Borrowed(ValueRef::Text(value.as_bytes())),
            other => {
                let told = format!("a parameter of this kind is unknown: {other:?}");
                return Err(rusqlite::Error::ToSqlConversionFailure(told.into()));
            }
        })
    }
}

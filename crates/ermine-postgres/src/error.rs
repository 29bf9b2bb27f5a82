//! What PostgreSQL's codes mean for Ermine: the one place that knows.

mod passing;

use std::{fmt, time::Duration};

use ermine_core::{Epoch, Error, ErrorKind, EventId, Seq, StreamId, Uuid};
pub(crate) use passing::is_passing;
use tokio_postgres::error::{DbError, SqlState};

/// What went wrong between us and the server.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The server or the connection said so.
    Driver(tokio_postgres::Error),
    /// There was no answer for so long.
    Silence(Duration),
}

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Driver(error)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // The driver's own text only says "db error".
            Self::Driver(error) => match error.as_db_error() {
                Some(db) => describe(db, f),
                None => error.fmt(f),
            },
            Self::Silence(waited) => write!(f, "no answer within {waited:?}"),
        }
    }
}

impl std::error::Error for Fault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Driver(error) if error.as_db_error().is_none() => error.source(),
            _ => None,
        }
    }
}

fn describe(db: &DbError, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{} ({})", db.message(), db.code().code())?;
    if let Some(detail) = db.detail().filter(|_| !db.code().code().starts_with("EM")) {
        write!(f, "; {detail}")?;
    }
    match db.hint() {
        Some(hint) => write!(f, "; {hint}"),
        None => Ok(()),
    }
}

/// Whether a statement changes anything: then a lost connection leaves the outcome open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Reads,
    Writes,
    /// It writes what a projection has made of events: what the server refuses of it is about one of these.
    Commits,
}

impl Fault {
    pub(crate) fn db(&self) -> Option<&DbError> {
        match self {
            Self::Driver(error) => error.as_db_error(),
            Self::Silence(_) => None,
        }
    }

    pub(crate) fn code(&self) -> Option<&str> {
        self.db().map(|db| db.code().code())
    }

    /// Whether the session must not be used again: a prepared statement of it no longer fits, or nobody knows its state.
    pub(crate) fn spoils_session(&self) -> bool {
        match self {
            Self::Silence(_) => true,
            Self::Driver(error) => match error.code() {
                Some(code) => {
                    *code == SqlState::FEATURE_NOT_SUPPORTED || *code == SqlState::INVALID_SQL_STATEMENT_NAME
                }
                None => true,
            },
        }
    }

    /// This fault as an error of Ermine's; `doing` says what was being done.
    pub(crate) fn into_error(self, doing: impl Into<String>, effect: Effect) -> Error {
        let kind = self.kind(effect);
        let doing = doing.into();
        let doing = match self.db() {
            Some(db) if is_missing(db.code()) => format!(
                "{doing}: a part of the store is not there; migrate it, with a role that may change the schema"
            ),
            Some(db) if *db.code() == SqlState::INSUFFICIENT_PRIVILEGE => {
                format!("{doing}: the role lacks a privilege (roles.sql grants what Ermine needs)")
            }
            _ => doing,
        };
        Error::new(kind, doing).with_source(self)
    }

    /// The same for a statement of somebody else's, where what is missing is not a part of the store.
    pub(crate) fn into_native_error(self, doing: impl Into<String>, effect: Effect) -> Error {
        let kind = match self.code() {
            // Syntax, and names that nothing has.
            Some(code) if code.starts_with("42") && code != "42501" => ErrorKind::Configuration,
            _ => self.kind(effect),
        };
        Error::new(kind, doing).with_source(self)
    }

    fn kind(&self, effect: Effect) -> ErrorKind {
        match self {
            Self::Silence(_) => effect.lost(),
            Self::Driver(error) => kind(error, effect),
        }
    }
}

impl Effect {
    /// What it is when the connection is lost before the answer comes.
    const fn lost(self) -> ErrorKind {
        match self {
            Self::Reads => ErrorKind::Transient,
            Self::Writes | Self::Commits => ErrorKind::OutcomeUnknown,
        }
    }
}

fn kind(error: &tokio_postgres::Error, effect: Effect) -> ErrorKind {
    match error.as_db_error() {
        Some(db) => kind_of(db, effect),
        // Not from the server: a value that cannot be sent or read, or the connection.
        None if is_connection_lost(error) => effect.lost(),
        None => ErrorKind::Fatal,
    }
}

fn is_connection_lost(error: &tokio_postgres::Error) -> bool {
    use std::error::Error as _;
    error.is_closed()
        || error
            .source()
            .and_then(|source| source.downcast_ref::<std::io::Error>())
            // Invalid input is what could not be encoded, and never left this process.
            .is_some_and(|io| io.kind() != std::io::ErrorKind::InvalidInput)
        // The driver ends with an unexpected message when the stream is cut in the middle of one.
        || error.to_string().starts_with("unexpected message")
}

fn is_missing(code: &SqlState) -> bool {
    [SqlState::UNDEFINED_TABLE, SqlState::UNDEFINED_FUNCTION, SqlState::INVALID_SCHEMA_NAME].contains(code)
}

/// The table of codes. Transient is a list of codes, not of classes.
fn kind_of(db: &DbError, effect: Effect) -> ErrorKind {
    let detail = || db.detail().and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok());
    let number = |field: &str| detail().and_then(|json| json.get(field)?.as_i64()).unwrap_or_default();
    match db.code().code() {
        "EM001" => ErrorKind::Fenced { epoch: Epoch(number("epoch")) },
        "EM002" => ErrorKind::OutOfOrder { at: Seq::from_i64(number("at")) },
        "EM005" => ErrorKind::Refused,
        "EM006" => ErrorKind::Rewound,
        "EM007" => archived(detail().as_ref()),
        "EM008" => {
            ErrorKind::PartlyKnown { known: detail().map(|json| ids(&json["known"])).unwrap_or_default() }
        }
        "EM009" => ErrorKind::DuplicateEvent { id: detail().and_then(|json| id(&json["id"])) },
        "23505" if db.constraint() == Some("events_id_key") => {
            ErrorKind::DuplicateEvent { id: db.detail().and_then(id_in_detail) }
        }
        // The server ended the session: a commit may just have been done.
        // The session has ended or its connection is gone, so nobody knows whether a write was made.
        "57P01" | "57P02" | "57P05" | "25P03" => effect.lost(),
        code if code.starts_with("08") => effect.lost(),
        "40001" | "40P01" | "55006" | "55P03" | "57P03" | "57014" | "58000" | "58030" => ErrorKind::Transient,
        code if code.starts_with("53") => ErrorKind::Transient,
        // A statement that no longer fits its table; the next session prepares it anew.
        "26000" => ErrorKind::Transient,
        "0A000" if db.message().contains("cached plan") => ErrorKind::Transient,
        "42P01" | "42883" | "3F000" | "42501" | "25006" => ErrorKind::Refused,
        "28000" | "28P01" | "3D000" => ErrorKind::Configuration,
        "23505" if db.constraint() == Some("events_tenant_stream_id_version_key") => ErrorKind::Refused,
        code if effect == Effect::Commits && is_refusal(code) => ErrorKind::Rejected,
        // A view without a member that its column must have, or with one that does not fit.
        "23502" => ErrorKind::Serialization { seq: None },
        code if code.starts_with("22") => ErrorKind::Serialization { seq: None },
        _ => ErrorKind::Fatal,
    }
}

/// Values that do not fit, constraints, limits of the server, and what functions and triggers raise: the same would be refused
/// again.
fn is_refusal(code: &str) -> bool {
    ["22", "23", "44", "54", "P0"].iter().any(|class| code.starts_with(class))
}

fn archived(detail: Option<&serde_json::Value>) -> ErrorKind {
    match detail.and_then(|json| json.get("stream")?.as_str()) {
        Some(stream) => ErrorKind::Archived { stream: StreamId::from_store(stream) },
        None => ErrorKind::Fatal,
    }
}

fn ids(json: &serde_json::Value) -> Vec<EventId> {
    json.as_array().map(|all| all.iter().filter_map(id).collect()).unwrap_or_default()
}

fn id(json: &serde_json::Value) -> Option<EventId> {
    json.as_str()?.parse::<Uuid>().ok().map(EventId::from)
}

/// `Key (id)=(0190..) already exists.`
fn id_in_detail(detail: &str) -> Option<EventId> {
    let (_, after) = detail.split_once("=(")?;
    after.split_once(')')?.0.parse::<Uuid>().ok().map(EventId::from)
}

/// A failed attempt to connect, which several callers may have been waiting for.
#[derive(Clone, Debug)]
pub(crate) struct ConnectFailure {
    kind: ErrorKind,
    doing: String,
    cause: Option<String>,
    missing: bool,
}

impl ConnectFailure {
    pub(crate) fn of(error: &Error) -> Self {
        let doing = error.to_string();
        let chain = error.chain();
        let cause = chain.strip_prefix(&doing).and_then(|rest| rest.strip_prefix(": ")).map(str::to_owned);
        let fault = std::error::Error::source(error).and_then(|source| source.downcast_ref::<Fault>());
        let missing = fault.and_then(Fault::db).is_some_and(|db| is_missing(db.code()));
        Self { kind: error.kind().clone(), doing, cause, missing }
    }

    /// Whether it was for want of a store.
    pub(crate) const fn is_missing(&self) -> bool {
        self.missing
    }

    pub(crate) fn to_error(&self) -> Error {
        let error = Error::new(self.kind.clone(), self.doing.clone());
        match &self.cause {
            Some(cause) => error.with_source(cause.clone()),
            None => error,
        }
    }
}

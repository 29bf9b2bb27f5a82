//! What SQLite's codes mean for Ermine: the one place that knows.

use std::{fmt, path::Path, sync::Arc};

use ermine_core::{Error, ErrorKind};
use rusqlite::ErrorCode;

/// Why a call came to nothing.
#[derive(Debug)]
pub(crate) enum Fault {
    /// SQLite said so before anything was committed.
    Sqlite(Arc<rusqlite::Error>),
    /// SQLite said so when it was told to commit.
    Commit(Arc<rusqlite::Error>),
    /// SQLite refused what an operation wanted to write, and would again.
    Rejected(Arc<rusqlite::Error>),
    /// Ermine's own answer, complete.
    Answer(Error),
    /// A part of the call failed, and this is which.
    Within(String, Box<Fault>),
    /// What was read is not what was written.
    Garbled(String),
    /// The work panicked.
    Panicked,
    /// The threads of the store have ended.
    Closed,
}

/// Inside the crate.
pub(crate) type Outcome<T> = Result<T, Fault>;

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(Arc::new(error))
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Answer(error)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(error) | Self::Commit(error) | Self::Rejected(error) => error.fmt(f),
            Self::Answer(error) => error.fmt(f),
            Self::Within(_, fault) => fault.fmt(f),
            Self::Garbled(what) => f.write_str(what),
            Self::Panicked => f.write_str("the work panicked"),
            Self::Closed => f.write_str("the store is closed"),
        }
    }
}

impl std::error::Error for Fault {}

impl Fault {
    pub(crate) fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Sqlite(error) | Self::Commit(error) | Self::Rejected(error) => error.sqlite_error_code(),
            _ => None,
        }
    }

    pub(crate) fn is_busy(&self) -> bool {
        matches!(self.code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
    }

    /// Whether a unique index stood in the way.
    pub(crate) fn is_taken(&self) -> bool {
        match self {
            Self::Sqlite(error) => {
                let code = error.sqlite_extended_error_code();
                code == Some(rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE)
                    || code == Some(rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY)
            }
            _ => false,
        }
    }

    /// The fault of an operation, which is told apart where what it wanted to write is the cause.
    pub(crate) fn of_operation(self) -> Self {
        match self {
            Self::Sqlite(error) if is_refusal(&error) => Self::Rejected(error),
            Self::Within(doing, fault) => Self::Within(doing, Box::new(fault.of_operation())),
            other => other,
        }
    }

    /// Whether a table or an index is not there.
    pub(crate) fn is_missing(&self) -> bool {
        match self {
            Self::Sqlite(error) => {
                let told = error.to_string();
                told.contains("no such table") || told.contains("no such index")
            }
            _ => false,
        }
    }

    /// What was being done inside of the call, where only that tells what went wrong. Ermine's own answers tell it themselves.
    pub(crate) fn within(self, doing: String) -> Self {
        match self {
            Self::Sqlite(_) | Self::Rejected(_) => Self::Within(doing, Box::new(self)),
            other => other,
        }
    }

    /// This fault as an error of Ermine's; `doing` says what was being done, `path` to which file.
    pub(crate) fn into_error(self, doing: impl Into<String>, path: &Path) -> Error {
        let doing = doing.into();
        match self {
            Self::Answer(error) => error,
            Self::Within(part, fault) => {
                let part = fault.judged(part, path);
                let kind = part.kind().clone();
                Error::new(kind, doing).with_source(part)
            }
            Self::Closed => Error::new(ErrorKind::Stopped, format!("{doing}: the store is closed")),
            Self::Sqlite(_) if self.is_missing() => {
                let told =
                    format!("{doing}: a part of the store in {} is not there; migrate it", path.display());
                Error::new(ErrorKind::Refused, told).with_source(self)
            }
            fault => fault.judged(doing, path),
        }
    }

    fn judged(self, doing: String, path: &Path) -> Error {
        let (kind, remedy) = self.verdict();
        let told = match remedy {
            Some(remedy) => format!("{doing} ({}): {remedy}", path.display()),
            None => doing,
        };
        Error::new(kind, told).with_source(self)
    }

    fn verdict(&self) -> (ErrorKind, Option<&'static str>) {
        let Some(code) = self.code() else { return (ErrorKind::Fatal, None) };
        match self {
            Self::Rejected(_) => (ErrorKind::Rejected, None),
            // A promise that may be kept until the end of the transaction was not.
            Self::Commit(error) if is_refusal(error) => (ErrorKind::Rejected, None),
            // The frames of the commit may be in the file or not; a crash would tell.
            Self::Commit(_) if code == ErrorCode::SystemIoFailure => (ErrorKind::OutcomeUnknown, None),
            _ => verdict(code),
        }
    }
}

/// Whether SQLite refuses what was to be written, and always will.
pub(crate) fn is_refusal(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(code, Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig))
}

/// Whether an error, or one of its causes, is one of SQLite's that passes.
pub(crate) fn is_passing(error: &(dyn std::error::Error + 'static)) -> bool {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let mut codes = causes.filter_map(|cause| cause.downcast_ref::<rusqlite::Error>()?.sqlite_error_code());
    codes.any(|code| verdict(code).0 == ErrorKind::Transient)
}

/// The table of codes.
fn verdict(code: ErrorCode) -> (ErrorKind, Option<&'static str>) {
    use ErrorCode as Code;
    match code {
        Code::DatabaseBusy | Code::DatabaseLocked | Code::FileLockingProtocolFailed => {
            (ErrorKind::Transient, Some("another process keeps the file locked"))
        }
        Code::DiskFull => (ErrorKind::Transient, Some("the disk is full: make room")),
        Code::SystemIoFailure | Code::OutOfMemory | Code::OperationInterrupted | Code::SchemaChanged => {
            (ErrorKind::Transient, None)
        }
        Code::NotADatabase => {
            (ErrorKind::Refused, Some("the file is not an SQLite database: name another file"))
        }
        Code::DatabaseCorrupt => (ErrorKind::Refused, Some("the file is damaged: restore it from a backup")),
        Code::ReadOnly | Code::PermissionDenied => (
            ErrorKind::Refused,
            Some("the file may only be read: give this process the right to write to it and its directory"),
        ),
        Code::CannotOpen => (
            ErrorKind::Refused,
            Some(
                "the file cannot be opened: look at the rights of the file and its directory, and at how many files this process may open",
            ),
        ),
        Code::TooBig => (ErrorKind::Serialization { seq: None }, Some("a text is too large for SQLite")),
        _ => (ErrorKind::Fatal, None),
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    fn error(code: i32) -> Fault {
        rusqlite::Error::SqliteFailure(ffi::Error::new(code), None).into()
    }

    fn kind(fault: Fault) -> ErrorKind {
        fault.into_error("appending", Path::new("trips.db")).kind().clone()
    }

    #[test]
    fn what_passes_is_transient_and_what_needs_a_person_is_refused() {
        for code in [ffi::SQLITE_BUSY, ffi::SQLITE_BUSY_RECOVERY, ffi::SQLITE_LOCKED, ffi::SQLITE_PROTOCOL] {
            assert_eq!(kind(error(code)), ErrorKind::Transient, "{code}");
        }
        for code in [ffi::SQLITE_FULL, ffi::SQLITE_IOERR, ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_NOMEM] {
            assert_eq!(kind(error(code)), ErrorKind::Transient, "{code}");
        }
        for code in [ffi::SQLITE_CORRUPT, ffi::SQLITE_NOTADB, ffi::SQLITE_READONLY, ffi::SQLITE_CANTOPEN] {
            assert_eq!(kind(error(code)), ErrorKind::Refused, "{code}");
        }
        assert_eq!(kind(error(ffi::SQLITE_MISMATCH)), ErrorKind::Fatal);
    }

    #[test]
    fn a_commit_that_the_disk_did_not_confirm_leaves_the_outcome_open() {
        let failed = || rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_IOERR_FSYNC), None);
        assert_eq!(kind(Fault::Commit(Arc::new(failed()))), ErrorKind::OutcomeUnknown);
        assert_eq!(kind(failed().into()), ErrorKind::Transient, "nothing was to be committed yet");
    }

    #[test]
    fn what_an_operation_writes_can_be_rejected_and_nothing_else() {
        let codes = [
            ffi::SQLITE_CONSTRAINT,
            ffi::SQLITE_CONSTRAINT_CHECK,
            ffi::SQLITE_CONSTRAINT_NOTNULL,
            ffi::SQLITE_CONSTRAINT_UNIQUE,
            ffi::SQLITE_CONSTRAINT_PRIMARYKEY,
            ffi::SQLITE_CONSTRAINT_FOREIGNKEY,
            ffi::SQLITE_CONSTRAINT_TRIGGER,
            ffi::SQLITE_CONSTRAINT_DATATYPE,
            ffi::SQLITE_MISMATCH,
            ffi::SQLITE_TOOBIG,
        ];
        for code in codes {
            assert_eq!(kind(error(code).of_operation()), ErrorKind::Rejected, "{code}");
            let within = error(code).within("a statement failed".into()).of_operation();
            assert_eq!(kind(within), ErrorKind::Rejected, "{code}");
            assert_ne!(kind(error(code)), ErrorKind::Rejected, "{code} of a table of Ermine's own");
        }
        assert_eq!(kind(error(ffi::SQLITE_FULL).of_operation()), ErrorKind::Transient);
        assert_eq!(kind(error(ffi::SQLITE_ERROR).of_operation()), ErrorKind::Fatal);
    }

    #[test]
    fn a_locked_file_inside_of_user_code_passes() {
        let sqlite = |code| rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        for code in [ffi::SQLITE_BUSY, ffi::SQLITE_BUSY_SNAPSHOT, ffi::SQLITE_LOCKED] {
            assert!(is_passing(&sqlite(code)), "{code}");
            let deep = Error::fatal("writing to the ledger").with_source(sqlite(code));
            assert!(is_passing(&deep.context("applying an event")), "{code}");
        }
        for code in [ffi::SQLITE_CONSTRAINT_CHECK, ffi::SQLITE_CORRUPT, ffi::SQLITE_ERROR] {
            assert!(!is_passing(&Error::fatal("writing to the ledger").with_source(sqlite(code))), "{code}");
        }
        assert!(!is_passing(&rusqlite::Error::QueryReturnedNoRows));
        assert!(!is_passing(&Error::fatal("writing to the ledger")));
    }

    #[test]
    fn the_message_names_file_and_remedy() {
        let told = error(ffi::SQLITE_FULL).into_error("appending", Path::new("trips.db")).to_string();
        assert_eq!(told, "appending (trips.db): the disk is full: make room");
    }
}

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
    /// The transaction that several calls shared was lost, for this reason.
    Lost(String),
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
            Self::Sqlite(error) | Self::Commit(error) => error.fmt(f),
            Self::Lost(told) => write!(f, "the transaction that it shared was lost: {told}"),
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
            Self::Sqlite(error) | Self::Commit(error) => error.sqlite_error_code(),
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
            Self::Sqlite(_) => Self::Within(doing, Box::new(self)),
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
            Self::Lost(_) => Error::transient(doing).with_source(self),
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

    /// The table of codes.
    fn verdict(&self) -> (ErrorKind, Option<&'static str>) {
        use ErrorCode as Code;
        let Some(code) = self.code() else { return (ErrorKind::Fatal, None) };
        match code {
            Code::DatabaseBusy | Code::DatabaseLocked | Code::FileLockingProtocolFailed => {
                (ErrorKind::Transient, Some("another process keeps the file locked"))
            }
            // The frames of the commit may be in the file or not; a crash would tell.
            Code::SystemIoFailure if matches!(self, Self::Commit(_)) => (ErrorKind::OutcomeUnknown, None),
            Code::DiskFull => (ErrorKind::Transient, Some("the disk is full: make room")),
            Code::SystemIoFailure | Code::OutOfMemory | Code::OperationInterrupted | Code::SchemaChanged => {
                (ErrorKind::Transient, None)
            }
            Code::NotADatabase => {
                (ErrorKind::Refused, Some("the file is not an SQLite database: name another file"))
            }
            Code::DatabaseCorrupt => {
                (ErrorKind::Refused, Some("the file is damaged: restore it from a backup"))
            }
            Code::ReadOnly | Code::PermissionDenied => (
                ErrorKind::Refused,
                Some(
                    "the file may only be read: give this process the right to write to it and its directory",
                ),
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
    fn the_message_names_file_and_remedy() {
        let told = error(ffi::SQLITE_FULL).into_error("appending", Path::new("trips.db")).to_string();
        assert_eq!(told, "appending (trips.db): the disk is full: make room");
    }
}

//! Opening the file.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use ermine_core::{Error, ErrorKind};
use rusqlite::{Connection, OpenFlags};

use crate::{SqliteOptions, error::Outcome, schema};

/// The file that a store has opened.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) options: SqliteOptions,
    identity: Option<Identity>,
}

/// What tells one file from another that has taken its path, where the system has such a thing.
type Identity = (u64, u64);

impl File {
    /// The file, just after it was opened.
    fn opened(options: SqliteOptions) -> Self {
        let identity = identity(&options);
        Self { options, identity }
    }

    /// Refuses to go on in a file that nobody else would find: what is written to it is lost.
    pub(crate) fn check_in_place(&self) -> Outcome<()> {
        if self.is_in_place() { Ok(()) } else { Err(self.displaced().into()) }
    }

    /// Whether whoever opens the path gets the file that was opened.
    pub(crate) fn is_in_place(&self) -> bool {
        let now = identity(&self.options);
        now.is_some() && now == self.identity
    }

    /// A connection that cannot change anything. Each is opened when it is needed, and must not be to another file.
    pub(crate) fn reader(&self) -> Outcome<Connection> {
        self.check_in_place()?;
        let connection = open(&self.options, OpenFlags::empty())?;
        connection.busy_timeout(self.options.busy_timeout)?;
        connection.pragma_update(None, "query_only", true)?;
        connection.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
        Ok(connection)
    }

    fn displaced(&self) -> Error {
        let told = format!(
            "{} was removed, or another file was put in its place: start the application again",
            self.options.path.display()
        );
        Error::new(ErrorKind::Refused, told)
    }
}

/// How many pages the write-ahead log may have before they are brought into the file. More than SQLite's 1,000: a page that
/// changes often is then written back once instead of several times.
const CHECKPOINT_PAGES: u32 = 4_000;
/// To what the write-ahead log is cut after it has been larger.
const LOG_BYTES_KEPT: u32 = 64 << 20;
const WRITER_CACHE_KIB: i64 = 64 << 10;
const READER_CACHE_KIB: i64 = 8 << 10;
/// The statements of the log, and those of some dozens of view tables.
const STATEMENTS_KEPT: usize = 256;

/// The one connection of a store that changes anything, and its file, which is made when it is not there.
pub(crate) fn writer(options: SqliteOptions) -> Outcome<(Connection, File)> {
    let connection = open(&options, OpenFlags::SQLITE_OPEN_CREATE)?;
    let file = File::opened(options);
    let options = &file.options;
    // Whoever waits for the lock does so in a loop of our own, which looks more often.
    connection.busy_timeout(Duration::ZERO)?;
    patiently(options.busy_timeout, || use_write_ahead_log(&connection, options))?;
    // What savepoints keep is small.
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.pragma_update(None, "synchronous", options.synchronous.name())?;
    // On macOS the disk is really waited for only then; elsewhere it makes no difference.
    connection.pragma_update(None, "fullfsync", !options.synchronous.is_lossy())?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update_and_check(None, "journal_size_limit", LOG_BYTES_KEPT, |_| Ok(()))?;
    connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    Ok((connection, file))
}

fn open(options: &SqliteOptions, further: OpenFlags) -> Outcome<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | further;
    let connection = Connection::open_with_flags(&options.path, flags)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    Ok(connection)
}

/// The mode is a property of the file: the first one that opens it sets it, and everybody looks.
fn use_write_ahead_log(connection: &Connection, options: &SqliteOptions) -> Outcome<()> {
    let mode =
        |connection: &Connection| connection.pragma_query_value(None, "journal_mode", |row| row.get(0));
    let mut now: String = mode(connection)?;
    if connection.is_readonly("main")? {
        return Err(Error::new(
            ErrorKind::Refused,
            format!(
                "{} may only be read: give this process the right to write to the file and its directory",
                options.path.display()
            ),
        )
        .into());
    }
    // To switch the mode is to change the file.
    schema::refuse_foreign(connection, &options.path)?;
    if now != "wal" {
        now = connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    }
    if now == "wal" {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Refused,
        format!(
            "{} cannot have a write-ahead log (its journal mode stays \"{now}\"): keep it on a disk of this machine",
            options.path.display()
        ),
    )
    .into())
}

/// Tries again while somebody else keeps the file locked, for at most `limit`.
///
/// Waiting ends soon after the lock is free: a writer that is busy leaves it free for moments only.
pub(crate) fn patiently<T>(limit: Duration, mut attempt: impl FnMut() -> Outcome<T>) -> Outcome<T> {
    const PAUSE_FIRST: Duration = Duration::from_micros(50);
    const PAUSE_MAX: Duration = Duration::from_millis(1);
    let deadline = Instant::now() + limit;
    let mut pause = PAUSE_FIRST;
    loop {
        match attempt() {
            Err(fault) if fault.is_busy() && Instant::now() < deadline => thread::sleep(pause),
            outcome => return outcome,
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

#[cfg(unix)]
fn identity(options: &SqliteOptions) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(&options.path).ok().map(|file| (file.dev(), file.ino()))
}

#[cfg(not(unix))]
fn identity(options: &SqliteOptions) -> Option<Identity> {
    fs::metadata(&options.path).ok().map(|_| (0, 0))
}

//! The embedded adapter of Ermine: a [`Store`] that implements every port of `ermine-core` on one SQLite file, without a
//! server.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("trips.db");
//! use ermine_core::ports::{Registration, SchemaAdmin};
//! use ermine_sqlite::{SqliteOptions, Store, Synchronous};
//!
//! let store = SqliteOptions::new(&path).synchronous(Synchronous::Normal).open().await?;
//! store.migrate(&Registration::default()).await?;
//!
//! // The same by URL, as another process would open it.
//! let same = Store::open(&format!("sqlite:{}?synchronous=normal", path.display())).await?;
//! same.check(&Registration::default()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # The file
//!
//! It belongs to Ermine alone, stands on a disk of this machine, and has a write-ahead log beside it (`-wal` and `-shm`)
//! while somebody has it open; copy it when nobody has, or with SQLite's own backup. Several processes may use it at the
//! same time: they take turns in writing, wake each other within milliseconds, and a second daemon is fenced off as on any
//! other store. No process may use the file through two different copies of the SQLite library, because file locks belong to
//! the process.
//!
//! # Threads
//!
//! SQLite's calls block, so none is made on the threads of the runtime. One thread writes; changes that come while it waits
//! for the disk are committed together. A few threads read, as many again answer queries, each with a connection of its own, and one
//! looks for appends of other processes while the daemon sleeps. All of them end with the last clone of the store, after the
//! change that is under way; [`Store::close`] waits for that.
//!
//! # The mark
//!
//! Numbers are drawn by the one transaction that may write, and a rollback gives them back. So the log has no gaps, and what
//! is visible is settled.

mod alive;
mod append;
mod bell;
mod columns;
mod commit;
mod connection;
mod error;
mod highwater;
mod incarnation;
mod json;
mod letters;
mod location;
mod lookout;
mod migrations;
mod native;
mod operations;
mod options;
mod outbox;
mod page;
mod progress;
mod query;
mod readers;
mod schema;
mod statements;
mod store;
mod streams;
mod time;
mod view_sql;
mod views;
mod wakeup;
mod wishes;
mod writer;

pub use native::sql;
pub use options::{SqliteOptions, Synchronous};
pub use store::Store;

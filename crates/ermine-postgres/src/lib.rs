//! The PostgreSQL adapter of Ermine: a [`Store`] that implements every port of `ermine-core` on PostgreSQL 14 or newer.
//!
//! ```no_run
//! # async fn open() -> ermine_core::Result<()> {
//! use ermine_core::ports::{Registration, SchemaAdmin};
//! use ermine_postgres::Store;
//!
//! let store = Store::builder("postgres://app@localhost/app").schema("ermine").pool_size(8).connect().await?;
//! store.migrate(&Registration::default()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Appending
//!
//! Three ways lead into the log, and the mark is exact for all of them:
//!
//! - [`EventAppender::append`](ermine_core::ports::EventAppender::append): one round trip, a transaction of its own.
//! - [`Store::append_in`]: inside your own [`tokio_postgres::Transaction`], together with your own tables.
//! - In SQL, from any program: `select ermine.append('trip-1', null, array['Started'], array['{"km":1}']::json[])`
//!   answers with the number of the last event. The second argument is the version that the stream must have: `null` for
//!   any, `0` for a new stream. A conflict raises `EM003` with tenant, stream and actual version as JSON in its detail, an
//!   archived stream `EM007`. With all of six arguments, tenant and type of the stream among them, a new stream gets a type.
//!
//! Inserting into `ermine.events` directly (COPY, too) is safe for the mark as well, but then `ermine.streams` must be
//! kept in step by the writer: later appends take a stream's version from there. A session that is going to
//! `PREPARE TRANSACTION` sets `ermine.no_bell = on`, because PostgreSQL refuses to prepare a transaction that notifies.
//!
//! # Views
//!
//! The views of a projection are rows of a table of their own: `jsonb` documents, or columns where the projection has
//! declared them. Plain SQL reads the latter by the declared name, `ermine.mileage` (of version 2 `ermine.mileage_v2`), with
//! `tenant`, `id` and the columns. Indexes on fields are made by the migration, and filters use them. What no operation
//! says, a native statement does, made by [`sql()`]; [`EventAppender::append`](ermine_core::ports::EventAppender::append)
//! changes views in the transaction of the append.
//!
//! # Connections
//!
//! Appends, pages and commits share a pool. One more connection, the *control* connection, observes the log and listens;
//! it needs a session of the server to itself ([`PostgresOptions::control`]): direct, or through a pooler in session mode.
//! The pool may go through a pooler in transaction mode ([`PostgresOptions::transaction_pooler`]).
//!
//! # Roles
//!
//! The role that migrates owns the store. `roles.sql` beside this crate's manifest grants three others what they need and
//! no more: one that appends, one that reads, one that runs the daemon.

mod append;
mod commit;
mod connect;
mod connection;
mod control;
mod error;
mod filter;
mod highwater;
mod job;
mod letters;
mod migrations;
mod native;
mod operations;
mod options;
mod outbox;
mod page;
mod pipeline;
mod pool;
mod progress;
mod question;
mod schema;
mod schema_name;
mod silences;
mod sql;
mod store;
mod streams;
mod target;
mod tls;
mod value;
mod view_sql;
mod views;
mod wakeup;
mod wishes;

pub use native::sql;
pub use options::{MarkStrategy, PostgresOptions};
pub use schema_name::SchemaName;
pub use store::Store;
pub use tokio_postgres;

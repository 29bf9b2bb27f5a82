//! PostgreSQL for tests: found on this machine, started by the first test, gone shortly after the last.
//!
//! All test processes of a run share one [`Cluster`], and every test gets a [`TestDatabase`] of its own on it. A test
//! that holds transactions open, crashes the server or counts its statements takes an [`OwnServer`] instead, because
//! snapshots and statistics look at every database of a cluster.
//!
//! Two environment variables: `ERMINE_TEST_PG` is the connection string of a superuser on a server to use instead of
//! the shared cluster, and `ERMINE_PG_BIN` the directory of the PostgreSQL programs to start.

mod account;
mod address;
mod client;
mod cluster;
mod database;
mod install;
mod launch;
mod pooler;
mod server;
pub(crate) mod supervisor;

pub use address::Address;
pub use client::OwnedClient;
pub use cluster::Cluster;
pub use database::TestDatabase;
pub use install::{NotFound, find};
pub use pooler::Pooler;
pub use server::{OwnServer, Settings, Stop};

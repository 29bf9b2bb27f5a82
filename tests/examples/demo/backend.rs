//! Where the demo keeps its events, and how it takes some of them back there.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use ermine::{
    core::{
        EventId,
        ports::{self, EventAppender},
    },
    memory::MemoryStore,
    postgres,
    prelude::*,
    sqlite::{self, SqliteOptions},
};
use ermine_testkit::pg::{OwnedClient, TestDatabase};
use tempfile::TempDir;

/// A store of a kind on which the demo knows how to take back an append.
///
/// `lasting`: somebody else's, in which an earlier run may have left trips.
pub(crate) enum Backend {
    Memory(MemoryStore),
    Postgres { store: postgres::Store, url: String, lasting: bool },
    Sqlite { store: sqlite::Store, lasting: bool },
}

/// What is removed when the demo is over.
pub(crate) enum Throwaway {
    Nothing,
    Database { _database: TestDatabase },
    File { _directory: TempDir },
}

impl Backend {
    /// Opens what `--store` names, else an SQLite file that lives as long as the first value.
    pub(crate) async fn open(store: Option<&str>) -> Result<(Throwaway, Self)> {
        match store {
            None => {
                let directory = tempfile::tempdir()?;
                let store = SqliteOptions::new(directory.path().join("demo.db")).open().await?;
                Ok((Throwaway::File { _directory: directory }, Self::Sqlite { store, lasting: false }))
            }
            Some("memory" | "memory:") => Ok((Throwaway::Nothing, Self::Memory(MemoryStore::new()))),
            Some("postgres") => {
                let database = TestDatabase::create().await;
                let backend = Self::postgres(&database.url(), false).await?;
                Ok((Throwaway::Database { _database: database }, backend))
            }
            Some(url) if url.starts_with("sqlite:") => {
                let store = sqlite::Store::open(url).await?;
                Ok((Throwaway::Nothing, Self::Sqlite { store, lasting: true }))
            }
            Some(url) => Ok((Throwaway::Nothing, Self::postgres(url, true).await?)),
        }
    }

    async fn postgres(url: &str, lasting: bool) -> Result<Self> {
        Ok(Self::Postgres { store: postgres::Store::connect(url).await?, url: url.to_owned(), lasting })
    }

    pub(crate) fn describe(&self) -> &'static str {
        match self {
            Self::Memory(_) => "the memory of this process",
            Self::Postgres { lasting: true, .. } => "the PostgreSQL that --store names",
            Self::Postgres { lasting: false, .. } => "a throwaway PostgreSQL",
            Self::Sqlite { lasting: true, .. } => "the SQLite file that --store names",
            Self::Sqlite { lasting: false, .. } => "a throwaway SQLite file",
        }
    }

    /// What becomes of appends that shall not be.
    pub(crate) const fn taken_back(&self) -> &'static str {
        match self {
            Self::Memory(_) | Self::Postgres { .. } => "rolled back",
            Self::Sqlite { .. } => "refused",
        }
    }

    /// The store for SQLite lends nobody its transaction. What it can show is that an append which is refused leaves nothing
    /// behind.
    pub(crate) const fn why_not_rolled_back(&self) -> &'static str {
        match self {
            Self::Memory(_) | Self::Postgres { .. } => "",
            Self::Sqlite { .. } => ", since on SQLite no application has one open that it could roll back",
        }
    }

    pub(crate) fn store(&self) -> Arc<dyn ports::Store> {
        match self {
            Self::Memory(store) => Arc::new(store.clone()),
            Self::Postgres { store, .. } => Arc::new(store.clone()),
            Self::Sqlite { store, .. } => Arc::new(store.clone()),
        }
    }

    /// What streams and drivers of this run begin with, so that it sees nothing of earlier ones.
    pub(crate) fn run_name(&self) -> String {
        match self {
            Self::Postgres { lasting: true, .. } | Self::Sqlite { lasting: true, .. } => {
                let id = uuid::Uuid::new_v4().simple().to_string();
                format!("{}-", &id[..6])
            }
            _ => String::new(),
        }
    }

    /// A session of an application, with its own idea of when a transaction ends.
    pub(crate) async fn appender(&self) -> Result<Appender> {
        Ok(match self {
            Self::Memory(store) => Appender::Memory(store.clone()),
            Self::Postgres { store, url, .. } => {
                let client = OwnedClient::connect(url).await.context("connecting as the application")?;
                Appender::Postgres { store: store.clone(), client: Box::new(client) }
            }
            Self::Sqlite { store, .. } => Appender::Sqlite(store.clone()),
        })
    }
}

/// Appends what shall not last.
pub(crate) enum Appender {
    Memory(MemoryStore),
    Postgres { store: postgres::Store, client: Box<OwnedClient> },
    Sqlite(sqlite::Store),
}

impl Appender {
    /// Appends and then thinks better of it: numbers are drawn, and no event comes of them. On SQLite the append is one of two
    /// streams, and refused because of the second.
    pub(crate) async fn take_back(&mut self, batch: AppendBatch) -> Result<()> {
        match self {
            Self::Memory(store) => {
                let mut open = store.begin();
                open.append(batch).await?;
                open.rollback();
            }
            Self::Postgres { store, client } => {
                let transaction = client.transaction().await?;
                store.append_in(&transaction, batch).await?;
                transaction.rollback().await?;
            }
            Self::Sqlite(store) => {
                let events = batch.streams().iter().flat_map(|append| append.events.clone());
                let events = events.map(|event| event.with_id(EventId::random())).collect();
                let second = StreamAppend::new(StreamId::new("never-there")?, events);
                let expected = ExpectedVersion::Exact(Version::FIRST);
                let refused = store.append(batch.stream(second.expecting(expected))).await;
                ensure!(refused.is_err_and(|error| error.as_conflict().is_some()), "it was not refused");
            }
        }
        Ok(())
    }
}

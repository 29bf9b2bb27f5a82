//! Where the demo keeps its events, and how it rolls some of them back there.

use std::sync::Arc;

use anyhow::{Context, Result};
use ermine::{core::ports, memory::MemoryStore, postgres, prelude::*};
use ermine_testkit::pg::{OwnedClient, TestDatabase};

/// A store of a kind that the demo knows how to roll back on.
pub(crate) enum Backend {
    Memory(MemoryStore),
    /// `lasting`: somebody else's database, in which an earlier run may have left trips.
    Postgres {
        store: postgres::Store,
        url: String,
        lasting: bool,
    },
}

impl Backend {
    /// Opens what `--store` names, else a throwaway database, which lives as long as the first value.
    pub(crate) async fn open(store: Option<&str>) -> Result<(Option<TestDatabase>, Self)> {
        let (url, throwaway) = match store {
            Some("memory" | "memory:") => return Ok((None, Self::Memory(MemoryStore::new()))),
            Some(url) => (url.to_owned(), None),
            None => {
                let database = TestDatabase::create().await;
                (database.url(), Some(database))
            }
        };
        let store = postgres::Store::connect(url.as_str()).await?;
        let lasting = throwaway.is_none();
        Ok((throwaway, Self::Postgres { store, url, lasting }))
    }

    pub(crate) fn describe(&self) -> &'static str {
        match self {
            Self::Memory(_) => "the memory of this process",
            Self::Postgres { lasting: true, .. } => "the PostgreSQL that --store names",
            Self::Postgres { lasting: false, .. } => "a throwaway PostgreSQL",
        }
    }

    pub(crate) fn store(&self) -> Arc<dyn ports::Store> {
        match self {
            Self::Memory(store) => Arc::new(store.clone()),
            Self::Postgres { store, .. } => Arc::new(store.clone()),
        }
    }

    /// What streams and drivers of this run begin with, so that it sees nothing of earlier ones.
    pub(crate) fn run_name(&self) -> String {
        match self {
            Self::Postgres { lasting: true, .. } => {
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
        })
    }
}

/// Appends inside a transaction of the application's own.
pub(crate) enum Appender {
    Memory(MemoryStore),
    Postgres { store: postgres::Store, client: Box<OwnedClient> },
}

impl Appender {
    /// Appends and then thinks better of it: numbers are drawn, and no event comes of them.
    pub(crate) async fn roll_back(&mut self, batch: AppendBatch) -> Result<()> {
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
        }
        Ok(())
    }
}

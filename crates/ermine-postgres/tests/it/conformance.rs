//! The contracts of the ports.

use std::sync::Arc;

use async_trait::async_trait;
use ermine_conformance::{Harness, HeldAppend};
use ermine_core::{
    AppendBatch, Result,
    ports::{self, HighWaterSource, ProgressStore},
};
use ermine_postgres::{MarkStrategy, PostgresOptions, Store};
use ermine_testkit::{
    eventually,
    pg::{OwnServer, OwnedClient, Stop, TestDatabase},
};
use tokio::sync::Mutex;

use crate::{
    common::{DEADLINE, DURABLE, LEAVE},
    held::Held,
};

type Options = fn(PostgresOptions) -> PostgresOptions;

/// A database on the shared server, which nobody may crash.
struct Shared {
    store: Store,
    options: Options,
    database: TestDatabase,
}

impl Shared {
    async fn with(options: Options) -> Self {
        let database = TestDatabase::create().await;
        let store = options(Store::builder(database.url())).connect().await.unwrap();
        Self { store, options, database }
    }
}

#[async_trait]
impl Harness for Shared {
    fn store(&self) -> Arc<dyn ports::Store> {
        Arc::new(self.store.clone())
    }

    async fn other_node(&self) -> Result<Option<Arc<dyn ports::Store>>> {
        let store = (self.options)(Store::builder(self.database.url())).connect().await?;
        Ok(Some(Arc::new(store)))
    }

    async fn hold_append(&self, batch: AppendBatch) -> Result<Option<Box<dyn HeldAppend>>> {
        let client = self.database.connect().await;
        Ok(Some(Box::new(Held::open(self.store.clone(), client, batch).await?)))
    }
}

mod floors {
    use super::*;

    ermine_conformance::suite!(|| Shared::with(|options| options));
}

mod sequence_lock {
    use super::*;

    ermine_conformance::suite!(|| Shared::with(|options| options.strategy(MarkStrategy::SequenceLock)));
}

/// Statements as they must be behind a pooler in transaction mode.
mod unnamed {
    use super::*;

    ermine_conformance::suite!(|| Shared::with(|options| options.transaction_pooler(true)));
}

/// The cases that crash or restart the server.
mod crash {
    use super::*;

    struct Own {
        store: Store,
        server: Mutex<OwnServer>,
        url: String,
    }

    impl Own {
        async fn new() -> Self {
            let server = OwnServer::start(DURABLE).await;
            let url = server.url("postgres");
            let store = Store::connect(url.as_str()).await.unwrap();
            Self { store, server: Mutex::new(server), url }
        }

        /// Every connection of the store is gone; each port finds out by itself.
        async fn is_back(&self) {
            eventually(DEADLINE, || async { self.store.observe(LEAVE).await.map_err(|err| err.chain()) })
                .await;
            eventually(DEADLINE, || async { self.store.read_progress().await.map_err(|err| err.chain()) })
                .await;
        }
    }

    #[async_trait]
    impl Harness for Own {
        fn store(&self) -> Arc<dyn ports::Store> {
            Arc::new(self.store.clone())
        }

        async fn hold_append(&self, batch: AppendBatch) -> Result<Option<Box<dyn HeldAppend>>> {
            let client = OwnedClient::connect(&self.url).await.unwrap();
            Ok(Some(Box::new(Held::open(self.store.clone(), client, batch).await?)))
        }

        async fn crash(&self) -> bool {
            let mut server = self.server.lock().await;
            server.stop(Stop::Immediate).await;
            server.start_again().await;
            self.is_back().await;
            true
        }

        async fn restart(&self) -> bool {
            self.server.lock().await.restart().await;
            self.is_back().await;
            true
        }
    }

    #[test]
    fn a_page_of_another_incarnation_is_rewound() {
        ermine_conformance::run("read", "a_page_of_another_incarnation_is_rewound", Own::new);
    }

    #[test]
    fn progress_survives_a_restart() {
        ermine_conformance::run("progress", "progress_survives_a_restart", Own::new);
    }

    #[test]
    fn letters_and_progress_survive_a_restart_together() {
        ermine_conformance::run("letters", "letters_and_progress_become_visible_together", Own::new);
    }

    #[test]
    fn a_wish_survives_a_restart() {
        ermine_conformance::run(
            "wishes",
            "a_wish_takes_the_place_of_the_earlier_and_survives_a_restart",
            Own::new,
        );
    }

    #[test]
    fn the_incarnation_changes_with_a_loss_and_stays_otherwise() {
        ermine_conformance::run(
            "highwater",
            "the_incarnation_changes_with_a_loss_and_stays_otherwise",
            Own::new,
        );
    }
}

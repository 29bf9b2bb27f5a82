//! The contracts of the ports.

use std::sync::Arc;

use async_trait::async_trait;
use ermine_conformance::Harness;
use ermine_core::{Result, ports};
use ermine_sqlite::{SqliteOptions, Synchronous};

use crate::{common::Place, reopened::Reopened};

/// A file, and a store on it that can be closed and opened again.
struct File {
    store: Arc<Reopened>,
    options: SqliteOptions,
    place: Place,
}

impl File {
    async fn with(synchronous: Synchronous) -> Self {
        let place = Place::new();
        let options = SqliteOptions::new(place.file()).synchronous(synchronous);
        Self { store: Arc::new(Reopened::open(options.clone()).await), options, place }
    }
}

#[async_trait]
impl Harness for File {
    fn store(&self) -> Arc<dyn ports::Store> {
        Arc::<Reopened>::clone(&self.store)
    }

    async fn other_node(&self) -> Result<Option<Arc<dyn ports::Store>>> {
        Ok(Some(Arc::new(self.options.clone().open().await?)))
    }

    async fn restart(&self) -> bool {
        self.store.close().await;
        self.store.open_again().await;
        true
    }
}

mod full {
    use super::*;

    ermine_conformance::suite!(|| File::with(Synchronous::Full));
}

/// Commits that a power loss may take.
mod normal {
    use super::*;

    /// What a power loss means to a file is done to it by hand: it was last open in another boot of the machine.
    struct Machine(File);

    #[async_trait]
    impl Harness for Machine {
        fn store(&self) -> Arc<dyn ports::Store> {
            self.0.store()
        }

        async fn other_node(&self) -> Result<Option<Arc<dyn ports::Store>>> {
            self.0.other_node().await
        }

        async fn restart(&self) -> bool {
            self.0.restart().await
        }

        async fn crash(&self) -> bool {
            self.0.store.close().await;
            let file = rusqlite::Connection::open(self.0.place.file()).unwrap();
            file.execute("update meta set boot = 'the boot before the power loss'", []).unwrap();
            drop(file);
            self.0.store.open_again().await;
            true
        }
    }

    ermine_conformance::suite!(|| async { Machine(File::with(Synchronous::Normal).await) });
}

//! A fresh store of each kind that this build knows.

use std::{any::Any, sync::Arc};

use ermine::core::ports::Store;
use ermine_memory::MemoryStore;

/// The kinds of stores on which every case has to come to the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoreKind {
    Memory,
    #[cfg(feature = "sqlite")]
    Sqlite,
    #[cfg(feature = "postgres")]
    Postgres,
}

/// An empty store, and what removes it.
pub(crate) struct Fresh {
    store: Arc<dyn Store>,
    memory: Option<MemoryStore>,
    /// Dropped after the store.
    #[cfg_attr(
        not(any(feature = "sqlite", feature = "postgres")),
        expect(dead_code, reason = "it is dropped")
    )]
    place: Box<dyn Any>,
}

impl Fresh {
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    /// The store where it is one in memory, to make it fail.
    pub(crate) const fn memory(&self) -> Option<&MemoryStore> {
        self.memory.as_ref()
    }

    /// The same store as another process has it.
    pub(crate) async fn elsewhere(&self) -> Arc<dyn Store> {
        if let Some(memory) = &self.memory {
            return Arc::new(memory.node());
        }
        #[cfg(feature = "sqlite")]
        if let Some(place) = self.place::<tempfile::TempDir>() {
            return Arc::new(sqlite_in(place).open().await.expect("the file opens"));
        }
        #[cfg(feature = "postgres")]
        if let Some(place) = self.place::<ermine_testkit::pg::TestDatabase>() {
            let store = ermine::postgres::Store::connect(place.url().as_str()).await;
            return Arc::new(store.expect("the database opens"));
        }
        unreachable!("there is no other kind")
    }

    /// Where the store keeps its data, for those who want to see or change it behind its back: a `TempDir` with the file `it.db`,
    /// or a `TestDatabase`.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn place<P: 'static>(&self) -> Option<&P> {
        self.place.downcast_ref()
    }

    fn of(store: impl Store + 'static, place: impl Any) -> Self {
        Self { store: Arc::new(store), memory: None, place: Box::new(place) }
    }
}

#[cfg(feature = "sqlite")]
fn sqlite_in(place: &tempfile::TempDir) -> ermine::sqlite::SqliteOptions {
    // What a loss of power takes is not what these tests are about.
    let synchronous = ermine::sqlite::Synchronous::Off;
    ermine::sqlite::SqliteOptions::new(place.path().join("it.db")).synchronous(synchronous)
}

impl StoreKind {
    /// All of this build.
    pub(crate) const ALL: &[Self] = &[
        Self::Memory,
        #[cfg(feature = "sqlite")]
        Self::Sqlite,
        #[cfg(feature = "postgres")]
        Self::Postgres,
    ];

    pub(crate) async fn fresh(self) -> Fresh {
        match self {
            Self::Memory => {
                let store = MemoryStore::new();
                Fresh { memory: Some(store.clone()), ..Fresh::of(store, ()) }
            }
            #[cfg(feature = "sqlite")]
            Self::Sqlite => {
                let place = tempfile::tempdir().expect("there is room for a file");
                Fresh::of(sqlite_in(&place).open().await.expect("the file opens"), place)
            }
            #[cfg(feature = "postgres")]
            Self::Postgres => {
                let place = ermine_testkit::pg::TestDatabase::create().await;
                let store = ermine::postgres::Store::connect(place.url().as_str()).await;
                Fresh::of(store.expect("the database opens"), place)
            }
        }
    }
}

/// Makes a test of each case on each kind of store; a case is an `async fn(Fresh) -> ermine::Result<()>`.
macro_rules! on_every_store {
    ($($case:ident),* $(,)?) => {
        $crate::stores::on_every_store!(@ on_memory Memory $($case)*);
        #[cfg(feature = "sqlite")]
        $crate::stores::on_every_store!(@ on_sqlite Sqlite $($case)*);
        #[cfg(feature = "postgres")]
        $crate::stores::on_every_store!(@ on_postgres Postgres $($case)*);
    };
    (@ $module:ident $kind:ident $($case:ident)*) => {
        mod $module {
            use $crate::stores::StoreKind;
            $(
                #[tokio::test]
                async fn $case() {
                    if let Err(error) = super::$case(StoreKind::$kind.fresh().await).await {
                        panic!("{}", error.chain());
                    }
                }
            )*
        }
    };
}

pub(crate) use on_every_store;

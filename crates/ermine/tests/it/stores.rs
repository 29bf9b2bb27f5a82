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
    _place: Box<dyn Any>,
}

impl Fresh {
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    /// The store where it is one in memory, to make it fail.
    pub(crate) const fn memory(&self) -> Option<&MemoryStore> {
        self.memory.as_ref()
    }

    fn of(store: impl Store + 'static, place: impl Any) -> Self {
        Self { store: Arc::new(store), memory: None, _place: Box::new(place) }
    }
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
                use ermine::sqlite::{SqliteOptions, Synchronous};

                let place = tempfile::tempdir().expect("there is room for a file");
                // What a loss of power takes is not what these tests are about.
                let options = SqliteOptions::new(place.path().join("it.db")).synchronous(Synchronous::Off);
                Fresh::of(options.open().await.expect("the file opens"), place)
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

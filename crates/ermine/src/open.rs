use std::sync::Arc;

use ermine_core::{Error, Result, ports::Store};

/// Opens the store that `url` names.
pub(crate) async fn open(url: &str) -> Result<Arc<dyn Store>> {
    let scheme = url.split_once(':').map_or(url, |(scheme, _)| scheme);
    match scheme {
        #[cfg(feature = "postgres")]
        "postgres" | "postgresql" => Ok(Arc::new(ermine_postgres::Store::connect(url).await?)),
        #[cfg(feature = "sqlite")]
        "sqlite" => Ok(Arc::new(ermine_sqlite::Store::open(url).await?)),
        #[cfg(feature = "memory")]
        "memory" => Ok(Arc::new(ermine_memory::MemoryStore::new())),
        _ => Err(Error::configuration(format!(
            "no store is known for the scheme \"{scheme}\"; this program knows: {}",
            SCHEMES.join(", ")
        ))),
    }
}

const SCHEMES: &[&str] = &[
    #[cfg(feature = "sqlite")]
    "sqlite:file.db",
    #[cfg(feature = "postgres")]
    "postgres://user@host/database",
    #[cfg(feature = "memory")]
    "memory:",
];

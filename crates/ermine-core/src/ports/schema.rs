use async_trait::async_trait;

use crate::{Result, ViewTable};

/// Prepares the store, and looks whether its promises hold.
///
/// # Contract
///
/// - Migrating is idempotent, and safe when many nodes start at once.
/// - Migrating keeps what is stored.
/// - A store that has not been migrated is refused by `check`, with the remedy.
/// - A store whose promises hold passes `check`.
#[async_trait]
pub trait SchemaAdmin: Send + Sync {
    /// Brings the store to this version of Ermine, and makes room for what is registered.
    ///
    /// # Errors
    ///
    /// [`Refused`](crate::ErrorKind::Refused) when the store is newer than this version of Ermine, or the role may not
    /// change the schema.
    async fn migrate(&self, registration: &Registration) -> Result<()>;

    /// Looks whether everything that Ermine rests on holds.
    ///
    /// # Errors
    ///
    /// [`Refused`](crate::ErrorKind::Refused) with what is broken, and the remedy.
    async fn check(&self, registration: &Registration) -> Result<Vec<Check>>;
}

/// What an application has registered, as far as a store needs to know.
#[derive(Clone, Debug, Default)]
pub struct Registration {
    /// The tables for views.
    pub tables: Vec<ViewTable>,
}

/// One promise that was looked at and holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What holds.
    pub what: String,
    /// What was seen.
    pub detail: String,
}

use async_trait::async_trait;

use crate::{FieldIndex, Result, ViewTable};

/// Prepares the store, and looks whether its promises hold.
///
/// # Contract
///
/// - Migrating is idempotent, and safe when many nodes start at once.
/// - Migrating keeps what is stored.
/// - A column that is new in a flat table is added, with null in the rows that are there; any other change is refused.
/// - Resetting leaves no event, view, message, dead letter, wish or progress, and begins another incarnation.
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

    /// Empties the store: events, views, progress, messages, dead letters with what waits behind them, wishes. For tests.
    ///
    /// # Errors
    ///
    /// Those of the connection.
    async fn reset(&self, registration: &Registration) -> Result<()>;

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
    pub tables: Vec<TableSpec>,
}

/// A table for views, as it is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSpec {
    /// Which table; its layout says what columns it has.
    pub table: ViewTable,
    /// The indexes that it shall have beside the one on the id. One that is not asked for any more is left as it is.
    pub indexes: Vec<FieldIndex>,
}

impl From<ViewTable> for TableSpec {
    fn from(table: ViewTable) -> Self {
        Self { table, indexes: Vec::new() }
    }
}

/// One promise that was looked at and holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What holds.
    pub what: String,
    /// What was seen.
    pub detail: String,
}

//! Migrating and checking.

mod check;
mod migrate;
mod tables;

use async_trait::async_trait;
use ermine_core::{
    Result,
    ports::{Check, Registration, SchemaAdmin},
};

use crate::Store;

#[async_trait]
impl SchemaAdmin for Store {
    /// Does nothing where nothing has to be done, so a role without any right to change the schema may call it on a
    /// store that is up to date.
    async fn migrate(&self, registration: &Registration) -> Result<()> {
        self.migrate_store(registration).await
    }

    async fn reset(&self, registration: &Registration) -> Result<()> {
        self.reset_store(registration).await
    }

    async fn check(&self, registration: &Registration) -> Result<Vec<Check>> {
        self.check_store(registration).await
    }
}

//! Migrating, emptying and checking.

mod check;
mod migrate;
mod reset;
mod state;
mod tables;

use std::sync::Arc;

use async_trait::async_trait;
use ermine_core::{
    Result,
    ports::{Check, Registration, SchemaAdmin},
};

pub(crate) use state::refuse_foreign;

use crate::Store;

#[async_trait]
impl SchemaAdmin for Store {
    /// Does nothing, and takes no lock, where nothing has to be done.
    async fn migrate(&self, registration: &Registration) -> Result<()> {
        let doing = || "migrating the store".to_owned();
        let wanted = Arc::new(registration.clone());
        let looked_at = Arc::clone(&wanted);
        if self.read(doing, move |connection| state::is_done(connection, &looked_at)).await? {
            // Somebody else may have done it meanwhile.
            self.inner.views.forget();
            return Ok(());
        }
        let synchronous = self.inner.file.options.synchronous;
        self.change(doing, move |session| migrate::run(session, &wanted, synchronous)).await?;
        self.inner.views.forget();
        Ok(())
    }

    async fn reset(&self, registration: &Registration) -> Result<()> {
        let doing = || "emptying the store".to_owned();
        let (registration, synchronous) = (registration.clone(), self.inner.file.options.synchronous);
        self.change(doing, move |session| reset::run(session, &registration, synchronous)).await?;
        self.inner.views.forget();
        Ok(())
    }

    async fn check(&self, registration: &Registration) -> Result<Vec<Check>> {
        self.check_store(registration).await
    }
}

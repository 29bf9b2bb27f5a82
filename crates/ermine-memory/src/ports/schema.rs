use async_trait::async_trait;
use ermine_core::{
    Error, ErrorKind, Result,
    ports::{Check, Registration, SchemaAdmin},
};

use crate::{Call, MemoryStore};

#[async_trait]
impl SchemaAdmin for MemoryStore {
    async fn migrate(&self, registration: &Registration) -> Result<()> {
        let entered = self.node.enter(Call::Migrate).await?;
        let migrated = self.node.shared.state().migrate(registration);
        entered.answer(migrated).await
    }

    async fn reset(&self, registration: &Registration) -> Result<()> {
        let entered = self.node.enter(Call::Reset).await?;
        self.node.shared.state().reset(registration);
        self.node.shared.changed();
        entered.answer(Ok(())).await
    }

    async fn check(&self, registration: &Registration) -> Result<Vec<Check>> {
        let entered = self.node.enter(Call::Check).await?;
        let checked = {
            let state = self.node.shared.state();
            let missing = state.missing_table(&registration.tables);
            match (state.is_migrated(), missing) {
                (false, _) => Err(refused("the memory store has not been migrated: call migrate first")),
                (true, Some(table)) => Err(refused(format!(
                    "there is no table for views of {table} as it is registered: call migrate again"
                ))),
                (true, None) => Ok(vec![Check {
                    what: "the memory store is migrated".into(),
                    detail: format!("{} tables for views", registration.tables.len()),
                }]),
            }
        };
        entered.answer(checked).await
    }
}

fn refused(doing: impl Into<String>) -> Error {
    Error::new(ErrorKind::Refused, doing)
}

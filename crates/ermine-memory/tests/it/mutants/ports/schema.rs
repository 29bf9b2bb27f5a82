use async_trait::async_trait;
use ermine_core::{
    Error, ErrorKind, Result, ShardName,
    ports::{Check, ProgressStore, Registration, SchemaAdmin, WishStore},
};

use super::{Flaw, Mutant};
use crate::support::observe;

#[async_trait]
impl SchemaAdmin for Mutant {
    async fn migrate(&self, registration: &Registration) -> Result<()> {
        match self.flaw {
            Flaw::FailsBesideAnotherMigration => self.alone().await?,
            Flaw::MigratingTakesTheShards => {
                let shards = self.shards().await?;
                self.inner.take_shards(&shards).await?;
            }
            Flaw::RefusesNewColumns if self.inner.check(&Registration::default()).await.is_ok() => {
                return self.inner.check(registration).await.map(drop);
            }
            _ => {}
        }
        let mut registration = registration.clone();
        registration.tables.iter_mut().for_each(|spec| spec.table = self.table(&spec.table));
        match self.inner.migrate(&registration).await {
            Err(error) if self.flaw == Flaw::AcceptsAnyColumns && *error.kind() == ErrorKind::Refused => {
                Ok(())
            }
            migrated => migrated,
        }
    }

    async fn reset(&self, registration: &Registration) -> Result<()> {
        let (shards, last) = (self.shards().await?, observe(&self.inner).await.last);
        let wishes = WishStore::wishes(&self.inner).await?;
        self.inner.reset(registration).await?;
        match self.flaw {
            Flaw::ResetKeepsTheNumbers => {
                for _ in 0..last.get() {
                    self.burn().await?;
                }
            }
            Flaw::ResetKeepsTheShards => {
                self.inner.take_shards(&shards).await?;
            }
            Flaw::ResetKeepsTheWishes => {
                for wish in wishes {
                    self.inner.put_wish(wish).await?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    async fn check(&self, registration: &Registration) -> Result<Vec<Check>> {
        match self.flaw {
            Flaw::ChecksNothing => Ok(Vec::new()),
            Flaw::RefusesAlways => Err(Error::new(ErrorKind::Refused, "this store was never migrated")),
            _ => self.inner.check(registration).await,
        }
    }
}

impl Mutant {
    async fn shards(&self) -> Result<Vec<ShardName>> {
        Ok(self.inner.read_progress().await?.into_iter().map(|progress| progress.shard).collect())
    }
}

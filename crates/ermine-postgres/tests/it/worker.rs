//! A shard that commits whatever it is given.

use ermine_core::{
    Body, Epoch, Incarnation, LetterChanges, Operation, Result, Seq, ShardBatch, ShardName, StoredView,
    Version, ViewTable,
    ports::{HighWaterSource, ProgressStore, ViewStore},
};
use ermine_postgres::Store;

use crate::common::{LEAVE, key};

pub(crate) struct Worker {
    store: Store,
    pub(crate) shard: ShardName,
    epoch: Epoch,
    incarnation: Incarnation,
}

impl Worker {
    pub(crate) async fn take(store: &Store) -> Self {
        let shard: ShardName = "Trip:All".parse().unwrap();
        let taken = store.take_shards(std::slice::from_ref(&shard)).await.unwrap().remove(0);
        let incarnation = store.observe(LEAVE).await.unwrap().incarnation;
        Self { store: store.clone(), shard, epoch: taken.epoch, incarnation }
    }

    /// Commits without moving.
    pub(crate) async fn commit(&self, operations: Vec<Operation>) -> Result<()> {
        let batch = ShardBatch::new(self.shard.clone(), self.epoch, self.incarnation, Seq::ZERO, Seq::ZERO);
        self.store.commit(ShardBatch { operations, ..batch }).await
    }

    /// Commits from the beginning of the log to `to`.
    pub(crate) async fn commit_to(
        &self,
        to: u64,
        operations: Vec<Operation>,
        letters: LetterChanges,
    ) -> Result<()> {
        let batch =
            ShardBatch::new(self.shard.clone(), self.epoch, self.incarnation, Seq::ZERO, Seq::new(to));
        self.store.commit(ShardBatch { operations, letters, ..batch }).await
    }
}

/// Stores a view of the default tenant.
pub(crate) fn put(table: &ViewTable, id: &str, json: &str) -> Operation {
    put_version(table, id, json, 1)
}

pub(crate) fn put_version(table: &ViewTable, id: &str, json: &str, version: u64) -> Operation {
    let body = Body::from_json(json.to_owned()).unwrap();
    let view = StoredView { body, version: Version::new(version), seq: Seq::ZERO };
    Operation::Store { table: table.clone(), key: key(id), view }
}

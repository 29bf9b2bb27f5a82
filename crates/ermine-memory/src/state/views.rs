use std::ops::Bound;

use ermine_core::{
    Epoch, Error, Operation, Progress, Result, Seq, ShardBatch, ShardName, StoredView, TakenShard, ViewId,
    ViewKey, ViewQuery, ViewTable,
};

use super::{Row, State, Turn, TxId, Undo};

impl State {
    pub(crate) fn load_views(&self, table: &ViewTable, keys: &[ViewKey]) -> Vec<Option<StoredView>> {
        let table = self.views.get(table);
        keys.iter().map(|key| table?.get(&key.tenant)?.get(&key.id).cloned()).collect()
    }

    pub(crate) fn query(&self, query: &ViewQuery) -> Vec<(ViewId, StoredView)> {
        let Some(views) = self.views.get(&query.table).and_then(|table| table.get(&query.tenant)) else {
            return Vec::new();
        };
        let after = query.after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let found = views.range::<ViewId, _>((after, Bound::Unbounded)).take(query.limit.get());
        found.map(|(id, view)| (id.clone(), view.clone())).collect()
    }

    /// Locks the batch's shard and looks whether the batch may be committed.
    pub(crate) fn lock_shard(&mut self, tx: TxId, batch: &ShardBatch) -> Turn<Result<()>> {
        let row = Row::Shard(batch.shard.clone());
        if self.is_blocked(tx, std::iter::once(&row)) {
            return Turn::Blocked;
        }
        Turn::Done(self.admit(batch).and_then(|()| self.hold(tx, vec![row])))
    }

    fn admit(&self, batch: &ShardBatch) -> Result<()> {
        if batch.incarnation != self.incarnation {
            return Err(Error::rewound());
        }
        let stored = self.progress.get(&batch.shard);
        let (newest, at) = stored.map_or((Epoch::default(), Seq::ZERO), |stored| (stored.epoch, stored.seq));
        if stored.is_none() || newest != batch.epoch {
            return Err(Error::fenced(&batch.shard, batch.epoch, newest));
        }
        if at != batch.from {
            return Err(Error::out_of_order(&batch.shard, batch.from, at));
        }
        if batch.to < batch.from {
            return Err(Error::configuration(format!(
                "a batch of shard {} would move progress back from {} to {}",
                batch.shard, batch.from, batch.to
            )));
        }
        match batch.operations.iter().find(|operation| !is_known(operation)) {
            Some(other) => Err(Error::configuration(format!("the memory store cannot do {other:?}"))),
            None => Ok(()),
        }
    }

    /// Applies a batch whose shard `tx` has locked, and ends the transaction.
    pub(crate) fn commit_shard(&mut self, tx: TxId, batch: ShardBatch) -> Result<()> {
        self.end(tx)?;
        let now = self.clock.now();
        let Some(stored) = self.progress.get_mut(&batch.shard) else {
            return Err(Error::fenced(&batch.shard, batch.epoch, Epoch::default()));
        };
        let progress = vec![(batch.shard, Some(stored.clone()))];
        if batch.to > batch.from {
            stored.seq = batch.to;
            stored.moved_at = now;
        }
        stored.unknown_events += batch.unknown_events;
        let mut views = Vec::with_capacity(batch.operations.len());
        for operation in batch.operations {
            let (table, key) = (operation.table().clone(), operation.key().clone());
            let before = self.put_view(&table, &key, operation.result().cloned());
            views.push((table, key, before));
        }
        self.history.push(Undo::Shards { progress, views }, self.last);
        Ok(())
    }

    /// Puts a view, or removes it; answers with what was there.
    pub(super) fn put_view(
        &mut self,
        table: &ViewTable,
        key: &ViewKey,
        view: Option<StoredView>,
    ) -> Option<StoredView> {
        let tenants = self.views.entry(table.clone()).or_default();
        let views = tenants.entry(key.tenant.clone()).or_default();
        match view {
            Some(view) => views.insert(key.id.clone(), view),
            None => views.remove(&key.id),
        }
    }

    pub(crate) fn take_shards(&mut self, tx: TxId, shards: &[ShardName]) -> Turn<Vec<TakenShard>> {
        let rows: Vec<Row> = shards.iter().cloned().map(Row::Shard).collect();
        if self.is_blocked(tx, rows.iter()) {
            return Turn::Blocked;
        }
        let now = self.clock.now();
        let mut undo = Vec::with_capacity(shards.len());
        let mut taken = Vec::with_capacity(shards.len());
        for shard in shards {
            undo.push((shard.clone(), self.progress.get(shard).cloned()));
            let stored = self.progress.entry(shard.clone()).or_insert_with(|| Progress {
                shard: shard.clone(),
                seq: Seq::ZERO,
                epoch: Epoch::default(),
                unknown_events: 0,
                moved_at: now,
            });
            stored.epoch.0 += 1;
            taken.push(TakenShard { shard: shard.clone(), seq: stored.seq, epoch: stored.epoch });
        }
        self.history.push(Undo::Shards { progress: undo, views: Vec::new() }, self.last);
        Turn::Done(taken)
    }

    /// In the order of the shards' names.
    pub(crate) fn read_progress(&self) -> Vec<Progress> {
        self.progress.values().cloned().collect()
    }
}

/// Whether what the operation does is said by its table, its key and its result.
const fn is_known(operation: &Operation) -> bool {
    matches!(operation, Operation::Store { .. } | Operation::Delete { .. })
}

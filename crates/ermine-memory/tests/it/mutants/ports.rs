//! Each port of a [`Mutant`]: the memory store's, but for the flaw.

mod append;
mod highwater;
mod letters;
mod operations;
mod outbox;
mod progress;
mod read;
mod schema;
mod streams;
mod view;
mod wishes;

use std::sync::atomic::Ordering;

use ermine_core::{
    AppendBatch, Error, NewEvent, Operation, ProjectionName, Result, ShardBatch, ShardName, StreamAppend,
    StreamId,
    ports::{DeadLetterStore, Outbox, ProgressStore, Store, StreamAdmin, ViewStore, WishStore},
};

use super::{Flaw, Mutant};
use crate::support::{event, observe};

impl Store for Mutant {
    fn kind(&self) -> &'static str {
        "mutant"
    }

    fn stream_admin(&self) -> Option<&dyn StreamAdmin> {
        Some(self)
    }

    fn outbox(&self) -> Option<&dyn Outbox> {
        Some(self)
    }

    fn dead_letters(&self) -> Option<&dyn DeadLetterStore> {
        Some(self)
    }

    fn wishes(&self) -> Option<&dyn WishStore> {
        Some(self)
    }
}

impl Mutant {
    /// Fails where another call is on its way.
    async fn alone(&self) -> Result<()> {
        if self.busy.swap(true, Ordering::SeqCst) {
            return Err(Error::transient("deadlock detected"));
        }
        give_way().await;
        self.busy.store(false, Ordering::SeqCst);
        Ok(())
    }

    /// Draws a number that never becomes an event.
    async fn burn(&self) -> Result<()> {
        let mut open = self.inner.begin();
        let stream = StreamAppend::new(StreamId::new("burnt")?, vec![event()]);
        open.append(AppendBatch::new().stream(stream)).await.map(drop)
    }

    /// Does operations in a batch of their own.
    async fn operate_apart(&self, operations: Vec<Operation>) -> Result<()> {
        let shard = ShardName::all(ProjectionName::new("Apart")?, 1);
        let taken = self.inner.take_shards(&[shard]).await?.remove(0);
        let incarnation = observe(&self.inner).await.incarnation;
        let batch = ShardBatch::new(taken.shard, taken.epoch, incarnation, taken.seq, taken.seq);
        self.inner.commit(ShardBatch { operations, ..batch }).await
    }
}

async fn give_way() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

/// The same events under other ids.
fn renew(events: &mut [NewEvent]) {
    for new in events {
        *new = NewEvent::new(new.type_name().clone(), new.body().clone());
    }
}

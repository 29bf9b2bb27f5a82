use std::sync::Arc;

use ermine_core::{EventRange, Operation, Result, ports::Store};
use tokio::sync::{Notify, mpsc, watch};

use super::{Shard, answer, fold::Folded};
use crate::{Settings, ShardState, ShardStatus, metrics};

/// The third stage: commits batches one after the other and publishes how far the shard has come.
pub(super) struct Committer {
    pub(super) shard: Arc<Shard>,
    pub(super) store: Arc<dyn Store>,
    pub(super) settings: Arc<Settings>,
    pub(super) status: Arc<watch::Sender<ShardStatus>>,
    /// Told when a message has been put into the outbox.
    pub(super) published: Arc<Notify>,
    /// Tells the folder which pages need no longer be remembered as in flight.
    pub(super) committed: watch::Sender<u64>,
}

impl Committer {
    pub(super) async fn run(self, mut batches: mpsc::Receiver<Folded>) -> Result<()> {
        while let Some(Folded { number, events, batch, share }) = batches.recv().await {
            let (from, to) = (batch.from, batch.to);
            let (operations, unknown, skipped) =
                (batch.operations.len(), batch.unknown_events, batch.skipped_events);
            let publishes = batch.operations.iter().any(|o| matches!(o, Operation::Publish(_)));
            let began = tokio::time::Instant::now();
            let doing = || match EventRange::new(from, to) {
                Some(range) => format!("committing events {range} of shard {}", self.shard.name),
                None => format!("committing shard {} at {to}", self.shard.name),
            };
            answer(self.settings.call_deadline, doing, self.store.commit(batch)).await?;
            tracing::debug!(
                shard = %self.shard.name, floor = %from, ceiling = %to, events, operations,
                commit_ms = began.elapsed().as_secs_f64() * 1e3, "range committed"
            );
            metrics::committed(&self.shard.name, events, operations, to);
            self.committed.send_replace(number);
            self.status.send_modify(|status| {
                status.progress = to;
                status.state = ShardState::Running;
                status.unknown_events += unknown;
                status.skipped_events += skipped;
                status.failures = 0;
            });
            if publishes {
                self.published.notify_one();
            }
            drop(share);
        }
        Ok(())
    }
}

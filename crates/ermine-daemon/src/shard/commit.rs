use std::sync::Arc;

use ermine_core::{Error, EventRange, Operation, ports::Store};
use tokio::sync::{Notify, mpsc, watch};

use super::{
    Shard, answer,
    fold::{Folded, Suspects},
    setback::{Remedy, Setback},
};
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
    pub(super) async fn run(self, mut batches: mpsc::Receiver<Folded>) -> Result<(), Setback> {
        while let Some(Folded { number, batch, suspects, share }) = batches.recv().await {
            let events = suspects.events;
            let (from, to) = (batch.from, batch.to);
            let (operations, unknown, skipped) =
                (batch.operations.len(), batch.unknown_events, batch.skipped_events);
            let publishes = batch.operations.iter().any(|o| matches!(o, Operation::Publish(_)));
            let began = tokio::time::Instant::now();
            let doing = || match EventRange::new(from, to) {
                Some(range) => format!("committing events {range} of shard {}", self.shard.name),
                None => format!("committing shard {} at {to}", self.shard.name),
            };
            let letters = batch.letters.letters.len() as u64;
            let answered = answer(self.settings.call_deadline, doing, self.store.commit(batch)).await;
            answered.map_err(|error| self.judge(error, suspects))?;
            metrics::lettered(&self.shard.name, letters);
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
                status.dead_letters += letters;
                status.failures = 0;
            });
            if publishes {
                self.published.notify_one();
            }
            drop(share);
        }
        Ok(())
    }

    /// Finds out who is to blame when the store refuses what a batch writes. A subscription is not asked to do again what it
    /// may have done.
    fn judge(&self, error: Error, suspects: Suspects) -> Setback {
        let remedy = match suspects.events {
            _ if !error.class().is_about_an_event() || self.shard.is_subscription() => Remedy::Rules,
            0 => Remedy::Rules,
            1 => Remedy::Blame(suspects.first, suspects.view),
            events => Remedy::Narrow(events / 2),
        };
        Setback { error, remedy }
    }
}

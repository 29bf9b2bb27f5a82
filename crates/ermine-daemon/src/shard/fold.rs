use std::sync::Arc;

use ermine_core::{
    Epoch, Error, ErrorKind, EventPage, EventRange, Incarnation, Operation, Result, Seq, ShardBatch,
    SkippedEvent, Subscription, UnknownEvent, ports::Store,
};
use tokio::sync::{mpsc, watch};

use super::{Shard, budget::Share, load::Loaded, stages::Stages};
use crate::{Settings, registry::Work};

/// A folded page, ready to be committed.
#[derive(Debug)]
pub(super) struct Folded {
    pub(super) number: u64,
    pub(super) events: usize,
    pub(super) batch: ShardBatch,
    pub(super) share: Share,
}

/// The second stage: makes a batch of a page.
pub(super) struct Folder {
    pub(super) shard: Arc<Shard>,
    pub(super) store: Arc<dyn Store>,
    pub(super) settings: Arc<Settings>,
    pub(super) epoch: Epoch,
    pub(super) incarnation: Incarnation,
    /// The number of the last page whose commit has been answered.
    pub(super) committed: watch::Receiver<u64>,
    /// Events above this number may have effects; `None` means that none may.
    pub(super) effects_above: Option<Seq>,
}

/// What is done with each page.
enum Handling {
    Fold(Stages),
    Deliver(Arc<dyn Subscription>),
}

impl Folder {
    pub(super) async fn run(
        mut self,
        mut pages: mpsc::Receiver<Loaded>,
        batches: mpsc::Sender<Folded>,
    ) -> Result<()> {
        let mut handling = match &self.shard.work {
            Work::Subscription(subscription) => Handling::Deliver(subscription.clone()),
            Work::Stages(members) => Handling::Fold(Stages::new(
                self.shard.clone(),
                self.store.clone(),
                self.settings.clone(),
                self.effects_above,
                members,
            )),
        };
        let mut number = 0;
        // Nothing is read from the store for a later page before this page is committed.
        let mut barrier = None;
        while let Some(Loaded { page, share }) = pages.recv().await {
            number += 1;
            if let Some(page) = barrier.take() {
                if self.committed.wait_for(|committed| *committed >= page).await.is_err() {
                    break;
                }
                if let Handling::Fold(stages) = &mut handling {
                    stages.forget();
                }
            }
            let (range, events) = (page.range, page.events.len());
            let unknown_events = self.report_unknown(&page.unknown)?;
            let skipped_events = self.report_skipped(&page.skipped);
            let operations = match &mut handling {
                Handling::Fold(_) if events == 0 => Vec::new(),
                Handling::Fold(stages) => {
                    stages.commit(*self.committed.borrow());
                    let changed = stages.fold(Arc::new(page), number).await?;
                    barrier = changed.is_opaque.then_some(number);
                    changed.operations
                }
                Handling::Deliver(_) if events == 0 => Vec::new(),
                Handling::Deliver(subscription) => {
                    barrier = Some(number);
                    self.deliver(&**subscription, page).await?
                }
            };
            let batch = self.batch(range, operations, unknown_events, skipped_events);
            if batches.send(Folded { number, events, batch, share }).await.is_err() {
                break;
            }
        }
        Ok(())
    }

    async fn deliver(&self, subscription: &dyn Subscription, page: EventPage) -> Result<Vec<Operation>> {
        let range = page.range;
        subscription.receive(Arc::new(page)).await.map_err(|failure| {
            Error::from(failure)
                .context(format!("delivering events {range} to subscription {}", self.shard.name))
        })
    }

    fn batch(
        &self,
        range: EventRange,
        operations: Vec<Operation>,
        unknown_events: u64,
        skipped_events: u64,
    ) -> ShardBatch {
        let shard = self.shard.name.clone();
        ShardBatch {
            operations,
            unknown_events,
            skipped_events,
            members: self.shard.members.clone(),
            ..ShardBatch::new(shard, self.epoch, self.incarnation, range.floor(), range.ceiling())
        }
    }

    fn report_unknown(&self, unknown: &[UnknownEvent]) -> Result<u64> {
        let Some(first) = unknown.first() else { return Ok(0) };
        if self.shard.refuses_unknown {
            return Err(Error::new(
                ErrorKind::UnknownEvent { seq: first.seq },
                format!(
                    "event {} of stream \"{}\" is of type \"{}\", which nothing registered knows, and shard {} refuses \
                     such events",
                    first.seq, first.stream, first.type_name, self.shard.name
                ),
            ));
        }
        tracing::warn!(
            shard = %self.shard.name,
            events = unknown.len(),
            first_seq = %first.seq,
            first_type = %first.type_name,
            first_stream = %first.stream,
            "passed events of types that nothing registered knows"
        );
        Ok(unknown.len() as u64)
    }

    fn report_skipped(&self, skipped: &[SkippedEvent]) -> u64 {
        for event in skipped {
            tracing::warn!(
                shard = %self.shard.name, seq = %event.seq, stream = %event.stream, reason = %event.reason,
                "passed an event that is marked as skipped"
            );
        }
        skipped.len() as u64
    }
}

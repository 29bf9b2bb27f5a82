use std::{ops::Range, sync::Arc};

use ermine_core::{
    Epoch, Error, EventPage, EventRange, Failure, Incarnation, Operation, Plan, PlannedView, Result,
    ShardBatch, StoredView, UnknownEvent, ViewKey, ports::Store,
};
use tokio::sync::{mpsc, watch};

use super::{
    Shard, answer,
    budget::Share,
    known_views::{Known, KnownViews},
    load::Loaded,
};
use crate::Settings;

/// From how many events on a page is worth handing to the threads for blocking work.
const EVENTS_FOR_THREADS: usize = 256;

/// A folded page, ready to be committed.
#[derive(Debug)]
pub(super) struct Folded {
    pub(super) number: u64,
    pub(super) events: usize,
    pub(super) batch: ShardBatch,
    pub(super) share: Share,
}

/// The second stage: groups a page by view, finds the views' current state, folds, and makes a batch of it.
pub(super) struct Folder {
    pub(super) shard: Arc<Shard>,
    pub(super) store: Arc<dyn Store>,
    pub(super) settings: Arc<Settings>,
    pub(super) epoch: Epoch,
    pub(super) incarnation: Incarnation,
    /// The number of the last page whose commit has been answered.
    pub(super) committed: watch::Receiver<u64>,
}

impl Folder {
    pub(super) async fn run(
        self,
        mut pages: mpsc::Receiver<Loaded>,
        batches: mpsc::Sender<Folded>,
    ) -> Result<()> {
        let mut known = KnownViews::new(self.settings.cache_bytes_max);
        let mut number = 0;
        while let Some(Loaded { page, share }) = pages.recv().await {
            number += 1;
            known.commit(*self.committed.borrow());
            let (range, events) = (page.range, page.events.len());
            let unknown_events = self.report_unknown(&page.unknown);
            let operations = self.fold(page, &known).await?;
            known.fold(number, &operations);
            let batch = self.batch(range, operations, unknown_events);
            if batches.send(Folded { number, events, batch, share }).await.is_err() {
                break;
            }
        }
        Ok(())
    }

    fn batch(&self, range: EventRange, operations: Vec<Operation>, unknown_events: u64) -> ShardBatch {
        let shard = self.shard.name.clone();
        ShardBatch {
            operations,
            unknown_events,
            ..ShardBatch::new(shard, self.epoch, self.incarnation, range.floor(), range.ceiling())
        }
    }

    async fn fold(&self, page: EventPage, known: &KnownViews) -> Result<Vec<Operation>> {
        if page.events.is_empty() {
            return Ok(Vec::new());
        }
        let range = page.range;
        let named = |failure: Failure| {
            Error::from(failure).context(format!("folding events {range} of shard {}", self.shard.name))
        };
        let big = page.events.len() >= EVENTS_FOR_THREADS;
        let page = Arc::new(page);
        let plan = if big {
            let shard = self.shard.clone();
            blocking(move || shard.projection.plan(page, &shard.table)).await?
        } else {
            self.shard.projection.plan(page, &self.shard.table)
        };
        let plan = plan.map_err(named)?;
        let current = self.current(plan.views(), known).await?;
        let threads = if big { self.settings.fold_threads.get() } else { 1 };
        let parts = if big {
            fold_on_threads(plan, current, threads).await?
        } else {
            vec![fold_part(&*plan, &current, 0)]
        };
        let mut operations = Vec::new();
        let mut first_failure: Option<Failure> = None;
        for part in parts {
            match part {
                Ok(part) => operations.extend(part),
                Err(failure) if first_failure.as_ref().is_none_or(|f| failure.seq < f.seq) => {
                    first_failure = Some(failure);
                }
                Err(_) => {}
            }
        }
        first_failure.map_or(Ok(operations), |failure| Err(named(failure)))
    }

    /// The current state of each view, with one read for all that are not known.
    async fn current(&self, views: &[PlannedView], known: &KnownViews) -> Result<Vec<Option<StoredView>>> {
        let mut current = Vec::with_capacity(views.len());
        let mut missing: Vec<usize> = Vec::new();
        for (at, view) in views.iter().enumerate() {
            current.push(match known.get(&view.key) {
                Known::Stored(stored) => Some(stored),
                Known::Absent => None,
                Known::Unknown => {
                    if !view.fresh {
                        missing.push(at);
                    }
                    None
                }
            });
        }
        if !missing.is_empty() {
            let keys: Vec<ViewKey> = missing.iter().map(|at| views[*at].key.clone()).collect();
            let doing = || format!("loading {} views of shard {}", keys.len(), self.shard.name);
            let loaded =
                answer(self.settings.call_deadline, doing, self.store.load_views(&self.shard.table, &keys))
                    .await?;
            for (at, view) in missing.into_iter().zip(loaded) {
                current[at] = view;
            }
        }
        Ok(current)
    }

    fn report_unknown(&self, unknown: &[UnknownEvent]) -> u64 {
        if let Some(first) = unknown.first() {
            tracing::warn!(
                shard = %self.shard.name,
                events = unknown.len(),
                first_seq = %first.seq,
                first_type = %first.type_name,
                first_stream = %first.stream,
                "passed events of types that nothing registered knows"
            );
        }
        unknown.len() as u64
    }
}

type Part = std::result::Result<Vec<Operation>, Failure>;

/// Folds the views that `current` belongs to, which start at number `first`.
fn fold_part(plan: &dyn Plan, current: &[Option<StoredView>], first: usize) -> Part {
    let folds = current.iter().enumerate().map(|(at, view)| plan.fold(first + at, view.as_ref()));
    let mut operations = Vec::with_capacity(current.len());
    let mut failed: Option<Failure> = None;
    for fold in folds {
        match fold {
            Ok(operation) => operations.extend(operation),
            Err(failure) if failed.as_ref().is_none_or(|f| failure.seq < f.seq) => failed = Some(failure),
            Err(_) => {}
        }
    }
    failed.map_or(Ok(operations), Err)
}

/// Spreads the views of a page over threads.
async fn fold_on_threads(
    plan: Arc<dyn Plan>,
    current: Vec<Option<StoredView>>,
    threads: usize,
) -> Result<Vec<Part>> {
    let current = Arc::new(current);
    let share = current.len().div_ceil(threads).max(1);
    let parts = (0..current.len()).step_by(share).map(|start| {
        let (plan, current) = (plan.clone(), current.clone());
        let range: Range<usize> = start..(start + share).min(current.len());
        blocking(move || fold_part(&*plan, &current[range.clone()], range.start))
    });
    futures_util::future::try_join_all(parts).await
}

/// Runs pure code on a thread where it may take its time.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| Error::fatal("folding on a thread of its own").with_source(e))
}

use std::{
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use ermine_core::{Error, EventPage, EventRange, PageRequest, Result, Seq};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::{
    Mode, Shard, answer,
    budget::{Budget, Share},
};
use crate::{Mark, Settings, ShardStatus, log::LogReader};

/// A page on its way, with its part of the budget.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) page: EventPage,
    pub(super) share: Share,
}

/// The first stage: reads the log from the shard's position to the mark, page by page.
pub(super) struct Loader {
    pub(super) shard: Arc<Shard>,
    pub(super) log: LogReader,
    pub(super) settings: Arc<Settings>,
    pub(super) mode: Mode,
    /// The mark in whose incarnation this pipeline runs.
    pub(super) start: Mark,
    pub(super) marks: watch::Receiver<Option<Mark>>,
    /// The shards that this one never runs ahead of.
    pub(super) upstreams: Vec<watch::Receiver<ShardStatus>>,
    pub(super) position: Seq,
    /// How many events the first page may have; later ones grow.
    pub(super) events_max: NonZeroUsize,
    /// Counts pages with events, for the pace of the mark.
    pub(super) pages_loaded: Arc<AtomicU64>,
}

impl Loader {
    /// Ends well when told to stop, when the rebuild's ceiling has been loaded, or when nobody takes pages any more.
    pub(super) async fn run(mut self, pages: mpsc::Sender<Loaded>, stop: CancellationToken) -> Result<()> {
        let budget = Budget::new(&self.settings);
        let mut events_max = self.events_max;
        while !self.mode.is_finished(self.position) {
            let loaded = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                loaded = self.next(&budget, events_max) => loaded?,
            };
            let Some(loaded) = loaded else { return Ok(()) };
            self.position = loaded.page.range.ceiling();
            events_max = self.next_limit(&loaded.page, events_max);
            if pages.send(loaded).await.is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The next page; `None` when the daemon that moves the mark has gone.
    async fn next(&mut self, budget: &Budget, events_max: NonZeroUsize) -> Result<Option<Loaded>> {
        let mut share = budget.reserve_page().await;
        let Some(range) = self.next_range().await? else { return Ok(None) };
        let request = PageRequest {
            range,
            filter: self.shard.filter.clone(),
            events_max,
            bytes_max: self.settings.page_bytes_max,
            incarnation: self.start.incarnation,
        };
        let doing = || format!("loading events {range} for shard {}", self.shard.name);
        let page = answer(self.settings.call_deadline, doing, self.log.next(request)).await?;
        if !page.events.is_empty() {
            self.pages_loaded.fetch_add(1, Ordering::Relaxed);
        }
        share.shrink_to(page.events.len() + page.unknown.len(), page.bytes());
        Ok(Some(Loaded { page, share }))
    }

    /// How many events to ask for next. A store may send all that it was asked for although the page was cut by its
    /// bytes, so after large events it is asked for about as many as fit, and for more again when they get smaller.
    fn next_limit(&self, page: &EventPage, events_max: NonZeroUsize) -> NonZeroUsize {
        let wanted = if page.bytes() >= self.settings.page_bytes_max {
            NonZeroUsize::new(page.events.len() + page.events.len() / 4 + 1)
        } else {
            events_max.checked_mul(NonZeroUsize::MIN.saturating_add(1))
        };
        wanted.unwrap_or(events_max).min(self.settings.page_events_max)
    }

    /// Waits until there is something settled to load, and every upstream has committed it.
    async fn next_range(&mut self) -> Result<Option<EventRange>> {
        loop {
            if let Some(mark) = *self.marks.borrow_and_update() {
                if mark.incarnation != self.start.incarnation {
                    return Err(Error::rewound());
                }
                let upstreams = self.upstreams.iter_mut().map(|upstream| {
                    let upstream = upstream.borrow_and_update();
                    if upstream.incarnation == Some(mark.incarnation) { upstream.progress } else { Seq::ZERO }
                });
                let limit = upstreams.min().map_or(mark.seq, |progress| progress.min(mark.seq));
                if let Some(range) = EventRange::new(self.position, self.mode.limit(limit)) {
                    return Ok(Some(range));
                }
            }
            if !self.moved().await {
                return Ok(None);
            }
        }
    }

    /// Waits until the mark or an upstream has moved. False when nobody moves the mark any more.
    async fn moved(&mut self) -> bool {
        let upstreams: Vec<_> =
            self.upstreams.iter_mut().map(|upstream| Box::pin(upstream.changed())).collect();
        if upstreams.is_empty() {
            return self.marks.changed().await.is_ok();
        }
        tokio::select! {
            changed = self.marks.changed() => changed.is_ok(),
            _ = futures_util::future::select_all(upstreams) => true,
        }
    }
}

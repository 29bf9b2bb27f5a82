use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Settings;

const KIB: usize = 1024;

/// Bounds what a shard holds between loading a page and the answer to its commit, in events and in bytes.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    events: Arc<Semaphore>,
    kib: Arc<Semaphore>,
    page_events: usize,
    page_kib: usize,
}

/// One page's part of the budget; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Share {
    events: OwnedSemaphorePermit,
    kib: OwnedSemaphorePermit,
}

impl Budget {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            events: Arc::new(Semaphore::new(settings.in_flight_events_max)),
            kib: Arc::new(Semaphore::new(settings.in_flight_bytes_max.div_ceil(KIB))),
            page_events: settings.page_events_max.get(),
            page_kib: settings.page_bytes_max.div_ceil(KIB),
        }
    }

    /// Waits until a whole page has room.
    pub(super) async fn reserve_page(&self) -> Share {
        Share {
            events: take(&self.events, self.page_events).await,
            kib: take(&self.kib, self.page_kib).await,
        }
    }
}

impl Share {
    /// Gives back what the page turned out not to need.
    pub(super) fn shrink_to(&mut self, events: usize, bytes: usize) {
        for (permit, needed) in [(&mut self.events, events), (&mut self.kib, bytes.div_ceil(KIB))] {
            let spare = permit.num_permits().saturating_sub(needed);
            drop(permit.split(spare));
        }
    }
}

async fn take(semaphore: &Arc<Semaphore>, permits: usize) -> OwnedSemaphorePermit {
    let permits = u32::try_from(permits).unwrap_or(u32::MAX);
    semaphore.clone().acquire_many_owned(permits).await.expect("the semaphore is never closed")
}

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use ermine_core::Bell as Request;
use tokio::{sync::Notify, time::Instant};

/// As good as for ever.
const A_YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// One node's doorbell: whether appends shall ring for it, and whether one has.
#[derive(Debug, Default)]
pub(crate) struct Doorbell {
    armed_until: Mutex<Option<Instant>>,
    rung: Notify,
}

impl Doorbell {
    pub(crate) fn handle(&self, request: Request) {
        let mut until = self.armed_until.lock().unwrap_or_else(PoisonError::into_inner);
        match request {
            // A shorter arming does not take a longer one back: the longer one was promised.
            Request::Arm(duration) => {
                let now = Instant::now();
                let end = now.checked_add(duration).unwrap_or(now + A_YEAR);
                *until = (*until).max(Some(end));
            }
            Request::Leave => {}
            Request::Silence => *until = None,
        }
    }

    pub(crate) fn is_armed(&self) -> bool {
        let until = self.armed_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() <= until)
    }

    /// Wakes the waiter, or the next one.
    pub(crate) fn ring(&self) {
        self.rung.notify_one();
    }

    pub(crate) async fn rung(&self) {
        self.rung.notified().await;
    }
}

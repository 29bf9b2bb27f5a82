use std::time::Duration;

use async_trait::async_trait;
use ermine_core::ports::{WakeReason, Wakeup};
use tokio::time::sleep;

use crate::Store;

/// One observer per store: a ring wakes one waiter, and is kept when nobody waits.
#[async_trait]
impl Wakeup for Store {
    /// Deaf at once while the control connection is down or not listening; what was missed meanwhile rings when it is back.
    async fn wait(&self, timeout: Duration) -> WakeReason {
        let control = &self.inner.control;
        tokio::select! {
            biased;
            () = control.rung() => WakeReason::Rang,
            () = control.deaf() => WakeReason::Deaf,
            () = sleep(timeout) => WakeReason::TimedOut,
        }
    }
}

use std::time::Duration;

use async_trait::async_trait;
use ermine_core::ports::{WakeReason, Wakeup};
use tokio::time::sleep;

use crate::Store;

/// One observer per store: a ring wakes one waiter, and is kept when nobody waits.
#[async_trait]
impl Wakeup for Store {
    /// Never deaf. Appends of other processes are looked for while somebody waits and the bell is armed.
    async fn wait(&self, timeout: Duration) -> WakeReason {
        tokio::select! {
            biased;
            () = self.inner.bell.rung() => WakeReason::Rang,
            () = sleep(timeout) => WakeReason::TimedOut,
        }
    }
}

use std::time::Duration;

use async_trait::async_trait;
use ermine_core::ports::{WakeReason, Wakeup};
use tokio::time::sleep;

use crate::Store;

/// One observer per store: a ring wakes one waiter, and is kept when nobody waits.
#[async_trait]
impl Wakeup for Store {
    /// Never deaf. What other processes have done is looked for while somebody waits, and less often while the bell is not armed.
    async fn wait(&self, timeout: Duration) -> WakeReason {
        tokio::select! {
            biased;
            () = self.inner.bell.rung() => WakeReason::Rang,
            () = sleep(timeout) => WakeReason::TimedOut,
        }
    }
}

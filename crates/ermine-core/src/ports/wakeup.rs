use std::time::Duration;

use async_trait::async_trait;

/// Wakes a sleeping observer when something has been appended.
///
/// # Contract
///
/// - An append that starts after the bell was armed wakes the waiter, until the arming expires.
/// - A wake-up is a hint: it may be late, missing or without cause, and nothing correct rests on it.
/// - A wake-up that comes between two waits is not lost.
#[async_trait]
pub trait Wakeup: Send + Sync {
    /// Waits until something may have been appended, or `timeout` is over.
    ///
    /// # Cancellation
    ///
    /// Safe: a wake-up that nobody has seen is kept for the next wait.
    async fn wait(&self, timeout: Duration) -> WakeReason;
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WakeReason {
    /// Somebody rang.
    Rang,
    /// The time was over.
    TimedOut,
    /// Nobody can ring at the moment (the listening connection is down): poll instead.
    Deaf,
}

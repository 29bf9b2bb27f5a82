use std::{fmt, num::NonZeroUsize, sync::Arc, time::Duration};

use async_trait::async_trait;
use ermine_core::{Error, Message, Result, ports::Store};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{Settings, backoff::Backoff};

/// How many messages are delivered at once.
const MESSAGES_MAX: NonZeroUsize = NonZeroUsize::new(100).expect("not 0");
/// How long the outbox is left alone when nothing in this process has put a message into it.
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_secs(10);

/// Where messages of the outbox go: user code that sends them on.
///
/// They come in the order of their commits, at least once: those of a delivery that failed, or whose process ended before it
/// was noted, come again, with the same [ids](Message::id).
#[async_trait]
pub trait Sink: Send + Sync {
    /// Sends messages on, all of them.
    ///
    /// # Errors
    ///
    /// Whatever went wrong; all of `messages` come again after a while.
    ///
    /// # Cancellation
    ///
    /// The future is dropped when the daemon ends before it is done; the messages come again then.
    async fn deliver(&self, messages: &[Message]) -> Result<(), Box<dyn std::error::Error + Send + Sync>>;
}

/// Takes messages out of the outbox and to the sink.
pub(crate) struct Courier {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) settings: Arc<Settings>,
    /// Told when a message has been put into the outbox.
    pub(crate) published: Arc<Notify>,
}

impl Courier {
    /// Runs until told to stop, whatever fails; what has been published by then is delivered, if that does not take long.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        let mut backoff = Backoff::new(self.settings.retry_first, self.settings.retry_max);
        loop {
            // A delivery that is under way when it is time to stop is not repeated, but ended.
            let is_last = stop.is_cancelled();
            let too_long = async {
                stop.cancelled().await;
                tokio::time::sleep(self.settings.drain_deadline).await;
            };
            let delivered = tokio::select! {
                biased;
                delivered = self.deliver_all() => delivered,
                () = too_long => {
                    let deadline = self.settings.drain_deadline;
                    return tracing::warn!(?deadline, "messages stay in the outbox: delivering them takes too long");
                }
            };
            let pause = match delivered {
                Ok(()) => {
                    backoff.succeeded();
                    LOOK_AT_LEAST_EVERY
                }
                Err(error) if is_last => {
                    return tracing::warn!("messages stay in the outbox: {}", error.chain());
                }
                Err(error) => {
                    let delay = backoff.next_delay();
                    tracing::warn!(
                        ?delay,
                        "messages were not delivered and are tried again: {}",
                        error.chain()
                    );
                    delay
                }
            };
            if is_last {
                return;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.published.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Delivers until the outbox is empty.
    pub(crate) async fn deliver_all(&self) -> Result<()> {
        let Some(outbox) = self.store.outbox() else { return Ok(()) };
        loop {
            let messages = outbox.pending_messages(MESSAGES_MAX).await?;
            if messages.is_empty() {
                return Ok(());
            }
            self.sink.deliver(&messages).await.map_err(|refused| {
                Error::transient(format!("delivering {} messages", messages.len())).with_source(refused)
            })?;
            let ids: Vec<_> = messages.iter().map(|message| message.id).collect();
            outbox.settle_messages(&ids).await?;
        }
    }
}

impl fmt::Debug for Courier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Courier").field("store", &self.store).finish_non_exhaustive()
    }
}

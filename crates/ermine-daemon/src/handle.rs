use std::{sync::Arc, time::Duration};

use ermine_core::{Error, ErrorKind, Position, Result, ShardName};
use tokio::sync::watch;

use crate::{Mark, ShardState, ShardStatus};

/// Looks at a running daemon, and waits for it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    pub(crate) shards: Arc<[watch::Receiver<ShardStatus>]>,
    pub(crate) marks: watch::Receiver<Option<Mark>>,
    pub(crate) troubled: watch::Receiver<Option<String>>,
}

impl Handle {
    /// What every shard is doing, in the order of registration.
    #[must_use]
    pub fn status(&self) -> Vec<ShardStatus> {
        self.shards.iter().map(|s| s.borrow().clone()).collect()
    }

    /// What the shard `name` is doing.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) with the names that exist.
    pub fn status_of(&self, name: &ShardName) -> Result<ShardStatus> {
        self.shard(name).map(|s| s.borrow().clone())
    }

    /// The mark, once it is known.
    #[must_use]
    pub fn mark(&self) -> Option<Mark> {
        *self.marks.borrow()
    }

    /// Why the mark stands still, where something keeps it that will not pass by itself or has not passed yet.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.troubled.borrow().clone()
    }

    /// Waits until every shard has applied everything up to `position`.
    ///
    /// # Errors
    ///
    /// [`TimedOut`](ErrorKind::TimedOut) that names each shard that lags, where it is and what it is doing;
    /// [`Stopped`](ErrorKind::Stopped) when one of them has stopped.
    ///
    /// # Cancellation
    ///
    /// Safe: it only waits.
    pub async fn wait_for(&self, position: Position, timeout: Duration) -> Result<()> {
        let all = futures_util::future::try_join_all(
            self.shards.iter().map(|shard| reach(shard.clone(), position)),
        );
        match tokio::time::timeout(timeout, all).await {
            Ok(reached) => reached.map(drop),
            Err(_) => {
                let lagging: Vec<String> = self
                    .status()
                    .iter()
                    .filter(|s| s.progress < position.seq())
                    .map(ToString::to_string)
                    .collect();
                let mark = self.mark().map_or("not known".to_owned(), |m| m.seq.to_string());
                let trouble =
                    self.trouble().map(|t| format!("; the mark stands still: {t}")).unwrap_or_default();
                Err(Error::new(
                    ErrorKind::TimedOut,
                    format!(
                        "waited {timeout:?} for position {position} (the mark is {mark}): {}{trouble}",
                        lagging.join("; ")
                    ),
                ))
            }
        }
    }

    fn shard(&self, name: &ShardName) -> Result<&watch::Receiver<ShardStatus>> {
        self.shards.iter().find(|s| s.borrow().shard == *name).ok_or_else(|| {
            let mut known: Vec<String> = self.shards.iter().map(|s| s.borrow().shard.to_string()).collect();
            known.sort_unstable();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            Error::new(ErrorKind::NotFound, format!("there is no shard {name}; the shards are: {known}"))
        })
    }
}

async fn reach(mut shard: watch::Receiver<ShardStatus>, position: Position) -> Result<()> {
    let status = shard
        .wait_for(|s| s.progress >= position.seq() || matches!(s.state, ShardState::Stopped { .. }))
        .await
        .map_err(|_| {
            Error::new(ErrorKind::Stopped, format!("the daemon ended before position {position} was reached"))
        })?;
    if status.progress < position.seq() {
        return Err(Error::new(
            ErrorKind::Stopped,
            format!("position {position} will not be reached: {}", *status),
        ));
    }
    Ok(())
}

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

    /// Why the mark stands still: what failed, or who has held it for longer than a second. `None` while it moves.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.troubled.borrow().clone()
    }

    /// Waits until every shard has applied everything up to `position`.
    ///
    /// Progress from before a crash of the store does not count, from the moment that this process has lost its
    /// connection to it.
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
        let reach = |shard: &watch::Receiver<ShardStatus>| reach(shard.clone(), self.marks.clone(), position);
        let all = futures_util::future::try_join_all(self.shards.iter().map(reach));
        match tokio::time::timeout(timeout, all).await {
            Ok(reached) => reached.map(drop),
            Err(_) => {
                let lagging: Vec<String> = self
                    .status()
                    .iter()
                    .filter(|s| !s.has_reached(position, self.mark()))
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

async fn reach(
    mut shard: watch::Receiver<ShardStatus>,
    mut marks: watch::Receiver<Option<Mark>>,
    position: Position,
) -> Result<()> {
    loop {
        let mark = *marks.borrow_and_update();
        {
            let status = shard.borrow_and_update();
            if status.has_reached(position, mark) {
                return Ok(());
            }
            if matches!(status.state, ShardState::Stopped { .. }) {
                let doing = format!("position {position} will not be reached: {}", *status);
                return Err(Error::new(ErrorKind::Stopped, doing));
            }
        }
        let changed = tokio::select! {
            changed = shard.changed() => changed,
            changed = marks.changed() => changed,
        };
        changed.map_err(|_| {
            Error::new(ErrorKind::Stopped, format!("the daemon ended before position {position} was reached"))
        })?;
    }
}

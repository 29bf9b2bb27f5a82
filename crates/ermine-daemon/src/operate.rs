//! What an operator can do with the shards of a daemon.

use std::time::Duration;

use ermine_core::{Error, ErrorKind, Result, Seq, ShardName, Wish};

use crate::{ErrorTable, Handle, Letters, handle::ShardHandle};

/// How long the workers of this process have to notice that their shards may go on.
const NOTICED_WITHIN: Duration = Duration::from_secs(1);

impl Handle {
    /// Has shards stand still, whichever process runs them, until they are resumed or `duration` is over. It is stored, and
    /// survives restarts. `name` is that of a shard, as in `Trip:All`, or of a projection, for all its shards.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) with the names that exist, and those of the connection.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves open whether the wish is stored; pause again.
    pub async fn pause(&self, name: &str, by: &str, reason: &str, duration: Option<Duration>) -> Result<()> {
        let since = self.clock.now();
        for shard in self.named(name)? {
            let wish = Wish {
                shard: shard.control.shard.clone(),
                by: by.into(),
                reason: reason.to_owned(),
                since,
                until: duration.and_then(|duration| since.checked_add(duration).ok()),
            };
            if let Some(wishes) = self.store.wishes() {
                self.in_time("storing a pause", wishes.put_wish(wish.clone())).await?;
            }
            shard.control.follow(Some(wish));
        }
        Ok(())
    }

    /// Has shards go on that stand still, whoever wanted that and whichever process runs them.
    ///
    /// # Errors
    ///
    /// Those of [`pause`](Self::pause).
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves open whether the wish is undone; resume again.
    pub async fn resume(&self, name: &str) -> Result<()> {
        let shards = self.named(name)?;
        self.let_go(&shards).await
    }

    /// The same for every shard.
    ///
    /// # Errors
    ///
    /// Those of the connection.
    ///
    /// # Cancellation
    ///
    /// As [`resume`](Self::resume).
    pub async fn resume_all(&self) -> Result<()> {
        self.let_go(&self.shards.iter().collect::<Vec<_>>()).await
    }

    /// Marks an event, so that no shard that has not passed it yet will ever apply it; each leaves a letter when it passes it.
    /// Shards of this daemon that stand still because of that event go on.
    ///
    /// # Errors
    ///
    /// [`Configuration`](ErrorKind::Configuration) when the store cannot mark events; [`NotFound`](ErrorKind::NotFound) when
    /// there is no such event, or it is marked already; and those of the connection.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves open whether the event is marked; mark it again.
    pub async fn skip_event(&self, seq: Seq, reason: &str) -> Result<()> {
        let admin = self.store.stream_admin().ok_or_else(|| {
            Error::configuration(format!("the store \"{}\" cannot mark events as skipped", self.store.kind()))
        })?;
        if self.in_time("marking an event as skipped", admin.skip_events(&[seq], reason)).await? == 0 {
            return Err(Error::new(
                ErrorKind::NotFound,
                format!(
                    "there is no event {seq} that could be marked: it does not exist, or is marked already"
                ),
            ));
        }
        let halted = |shard: &&ShardHandle| shard.status.borrow().halted_at == Some(seq);
        self.let_go(&self.shards.iter().filter(halted).collect::<Vec<_>>()).await
    }

    /// The rules about failures of the shard `name`, each with where it comes from.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) with the names that exist.
    pub fn errors_of(&self, name: &ShardName) -> Result<ErrorTable> {
        Ok((*self.shard(name)?.errors).clone())
    }

    /// The events that shards have refused.
    ///
    /// # Errors
    ///
    /// [`Configuration`](ErrorKind::Configuration) when the store keeps none.
    pub fn dead_letters(&self) -> Result<Letters> {
        Letters::new(self)
    }

    async fn let_go(&self, shards: &[&ShardHandle]) -> Result<()> {
        let names: Vec<ShardName> = shards.iter().map(|shard| shard.control.shard.clone()).collect();
        if let Some(wishes) = self.store.wishes().filter(|_| !names.is_empty()) {
            self.in_time("undoing pauses", wishes.clear_wishes(&names)).await?;
        }
        // Whoever waits for a shard from now on must not find it standing still.
        let moved = shards.iter().map(|shard| {
            let mut status = shard.status.clone();
            let stands_still =
                shard.control.stands_still() && status.borrow_and_update().state.is_standing_still();
            shard.control.follow(None);
            async move { if stands_still { status.changed().await.ok() } else { None } }
        });
        let _ = tokio::time::timeout(NOTICED_WITHIN, futures_util::future::join_all(moved)).await;
        Ok(())
    }

    /// The shards that `name` means: one, or all of a projection.
    fn named(&self, name: &str) -> Result<Vec<&ShardHandle>> {
        if name.contains(':') {
            return Ok(vec![self.shard(&name.parse()?)?]);
        }
        let of = |shard: &&ShardHandle| shard.control.shard.projection().as_str() == name;
        let found: Vec<&ShardHandle> = self.shards.iter().filter(of).collect();
        if found.is_empty() { Err(self.unknown(name)) } else { Ok(found) }
    }

    pub(crate) async fn in_time<T>(
        &self,
        doing: &'static str,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let deadline = self.call_deadline;
        match tokio::time::timeout(deadline, call).await {
            Ok(answer) => answer.map_err(|error| error.context(doing)),
            Err(_) => {
                Err(Error::new(ErrorKind::OutcomeUnknown, format!("{doing}: no answer within {deadline:?}")))
            }
        }
    }
}

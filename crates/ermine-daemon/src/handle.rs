use std::{sync::Arc, time::Duration};

use ermine_core::{Clock, Error, ErrorKind, LogPoint, Position, Result, Seq, ShardName, Start, ports::Store};
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    ErrorTable, Late, Mark, ShardState, ShardStatus,
    control::Control,
    log::Log,
    pulse::Pulse,
    shard::Rewind,
    stored::{high_water_mark, highest},
};

/// Looks at a running daemon, and waits for it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    pub(crate) shards: Arc<[ShardHandle]>,
    pub(crate) marks: watch::Receiver<Option<Mark>>,
    pub(crate) troubled: watch::Receiver<Option<String>>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) log: Arc<Log>,
    pub(crate) call_deadline: Duration,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) pulses: [(&'static str, Pulse); 2],
}

/// One shard as it is seen from outside.
#[derive(Clone, Debug)]
pub(crate) struct ShardHandle {
    pub(crate) status: watch::Receiver<ShardStatus>,
    /// The shards that it never runs ahead of.
    pub(crate) upstreams: Vec<watch::Receiver<ShardStatus>>,
    /// The way to its worker, where it may be rewound.
    pub(crate) rewind: Option<mpsc::Sender<Rewind>>,
    pub(crate) errors: Arc<ErrorTable>,
    pub(crate) control: Arc<Control>,
    /// How it applies an event that others have overtaken.
    pub(crate) late: Late,
}

impl ShardHandle {
    /// The upstreams that keep it from going beyond `progress`.
    pub(crate) fn blocked_at(&self, progress: Seq) -> impl Iterator<Item = ShardName> {
        let upstreams = self.upstreams.iter().map(|upstream| upstream.borrow().clone());
        upstreams.filter(move |upstream| upstream.progress <= progress).map(|upstream| upstream.shard)
    }
}

impl Handle {
    /// What every shard is doing, in the order of registration.
    #[must_use]
    pub fn status(&self) -> Vec<ShardStatus> {
        self.shards.iter().map(|s| s.status.borrow().clone()).collect()
    }

    /// What the shard `name` is doing.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) with the names that exist.
    pub fn status_of(&self, name: &ShardName) -> Result<ShardStatus> {
        self.shard(name).map(|s| s.status.borrow().clone())
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

    /// How many pages of the log have been read from the store; a page that several shards share counts once.
    #[must_use]
    pub fn pages_read(&self) -> u64 {
        self.log.reads()
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
        self.wait(self.shards.iter(), position, timeout).await
    }

    /// The same for some shards only.
    ///
    /// # Errors
    ///
    /// Those of [`wait_for`](Self::wait_for), and [`NotFound`](ErrorKind::NotFound) with the names that exist.
    ///
    /// # Cancellation
    ///
    /// Safe: it only waits.
    pub async fn wait_for_shards(
        &self,
        shards: &[ShardName],
        position: Position,
        timeout: Duration,
    ) -> Result<()> {
        let shards = shards.iter().map(|name| self.shard(name)).collect::<Result<Vec<_>>>()?;
        self.wait(shards.into_iter(), position, timeout).await
    }

    /// Waits until every shard has applied everything that is committed at the time of the call. The target is an event, so
    /// a number that no event has never delays it.
    ///
    /// # Errors
    ///
    /// Those of [`wait_for`](Self::wait_for), and those of the connection.
    ///
    /// # Cancellation
    ///
    /// Safe: it only waits.
    pub async fn wait_for_non_stale(&self, timeout: Duration) -> Result<()> {
        let began = tokio::time::Instant::now();
        let position = highest(&*self.store, timeout).await?;
        self.wait_for(position, timeout.saturating_sub(began.elapsed())).await
    }

    /// Has a subscription go on from another place, while it runs. Nothing else is rewound: the views of a projection would
    /// be applied twice.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) with the names that exist; [`Configuration`](ErrorKind::Configuration) when the shard
    /// is not a subscription's; [`TimedOut`](ErrorKind::TimedOut) when its worker does not answer.
    pub async fn rewind(&self, name: &ShardName, start: Start) -> Result<()> {
        let rewind = self.rewindable(name)?;
        let to = self.place(start).await?;
        let (answer, answered) = oneshot::channel();
        let asked = async {
            let gone = || Error::new(ErrorKind::Stopped, format!("nobody runs {name} any more"));
            rewind.send(Rewind { to, answer }).await.map_err(|_| gone())?;
            answered.await.map_err(|_| gone())?
        };
        let late = |_| {
            Error::new(ErrorKind::TimedOut, format!("{name} did not answer within {:?}", self.call_deadline))
        };
        tokio::time::timeout(self.call_deadline, asked).await.map_err(late)?
    }

    /// The same where this daemon does not run: progress is moved in the store, and whichever process runs the subscription
    /// sees that and goes on from there.
    ///
    /// # Errors
    ///
    /// Those of [`rewind`](Self::rewind).
    pub async fn rewind_stored(&self, name: &ShardName, start: Start) -> Result<()> {
        self.rewindable(name)?;
        self.store.place_shard(name, self.place(start).await?).await.map(drop)
    }

    fn rewindable(&self, name: &ShardName) -> Result<&mpsc::Sender<Rewind>> {
        let refused = || {
            Error::configuration(format!(
                "{name} is a projection, and reading events again would apply them twice: give it a new version instead"
            ))
        };
        self.shard(name)?.rewind.as_ref().ok_or_else(refused)
    }

    async fn place(&self, start: Start) -> Result<Seq> {
        let mark = high_water_mark(&*self.store).await?.seq();
        let wanted = match start {
            Start::Beginning => Seq::ZERO,
            Start::Present => mark,
            Start::After(seq) => seq,
            Start::Since(moment) => {
                let first = self.store.locate(LogPoint::Since(moment)).await?;
                first.map_or(mark, |first| first.seq.previous())
            }
            other => return Err(Error::configuration(format!("{other:?} is no place to go on from"))),
        };
        if wanted > mark {
            return Err(Error::configuration(format!("{wanted} is beyond the mark, which is {mark}")));
        }
        Ok(wanted)
    }

    async fn wait(
        &self,
        shards: impl Iterator<Item = &ShardHandle> + Clone,
        position: Position,
        timeout: Duration,
    ) -> Result<()> {
        let reach =
            |shard: &ShardHandle| reach(&*self.store, shard.status.clone(), self.marks.clone(), position);
        let all = futures_util::future::try_join_all(shards.clone().map(reach));
        match tokio::time::timeout(timeout, all).await {
            Ok(reached) => reached.map(drop),
            Err(_) => {
                let lags = |status: &ShardStatus| !status.has_reached(position, self.mark());
                let lagging: Vec<String> = shards
                    .filter(|shard| lags(&shard.status.borrow()))
                    .map(|shard| {
                        let upstreams = shard.upstreams.iter().map(|upstream| upstream.borrow().clone());
                        let waits = upstreams.filter(lags).map(|upstream| format!(", after {upstream}"));
                        format!("{}{}", *shard.status.borrow(), waits.collect::<String>())
                    })
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

    pub(crate) fn shard(&self, name: &ShardName) -> Result<&ShardHandle> {
        let found = self.shards.iter().find(|shard| shard.control.shard == *name);
        found.ok_or_else(|| self.unknown(&name.to_string()))
    }

    pub(crate) fn unknown(&self, name: &str) -> Error {
        let mut known: Vec<String> =
            self.shards.iter().map(|shard| shard.control.shard.to_string()).collect();
        known.sort_unstable();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        Error::new(ErrorKind::NotFound, format!("there is no shard {name}; the shards are: {known}"))
    }
}

/// How often stored progress is looked at while another process runs a shard.
const LOOK_EVERY: Duration = Duration::from_millis(100);

async fn reach(
    store: &dyn Store,
    mut shard: watch::Receiver<ShardStatus>,
    mut marks: watch::Receiver<Option<Mark>>,
    position: Position,
) -> Result<()> {
    loop {
        let mark = *marks.borrow_and_update();
        let status = shard.borrow_and_update().clone();
        if status.has_reached(position, mark) {
            return Ok(());
        }
        match status.state {
            ShardState::Stopped { .. } => {
                let doing = format!("position {position} will not be reached: {status}");
                return Err(Error::new(ErrorKind::Stopped, doing));
            }
            // Another process runs it, so what is stored tells.
            ShardState::Fenced { .. } => {
                let stored = store.read_progress().await?;
                if stored.iter().any(|p| p.shard == status.shard && p.seq >= position.seq()) {
                    return Ok(());
                }
                tokio::time::sleep(LOOK_EVERY).await;
                continue;
            }
            _ => {}
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

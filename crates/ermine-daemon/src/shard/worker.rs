use std::{
    collections::HashMap,
    num::NonZeroUsize,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use ermine_core::{Action, Clock, Error, ErrorKind, Result, Seq, Timestamp, ports::Store};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::{
    Busy, Mode, Rewind, Shard,
    entry::Hold,
    pipeline::Pipeline,
    replay::Replay,
    rewind::Rewinds,
    setback::{Remedy, Setback},
    still::wait,
    triage::{Blamed, Tries},
};
use crate::{
    Mark, Settings, ShardState, ShardStatus,
    backoff::Backoff,
    control::{Control, Controls},
    errors::{Verdict, is_rewound},
    log::Log,
    metrics,
};

/// After how many times the wait of a fenced worker without any trouble it starts to count again.
const PEACE: u32 = 10;

/// How a life of the pipeline ended well.
enum Ended {
    Done,
    /// It goes on, from another place or after a while.
    Again,
}

/// Why a pipeline is asked to end.
enum Interrupt {
    Stop,
    Rewind(Rewind),
    /// Somebody wants the shard to stand still, or has decided about dead letters.
    Asked,
}

/// Runs one shard: takes it, runs its pipeline, and after a failure does what the rules say.
#[derive(Clone, Debug)]
pub(crate) struct Worker {
    pub(crate) shard: Arc<Shard>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) status: Arc<watch::Sender<ShardStatus>>,
    pub(crate) marks: watch::Receiver<Option<Mark>>,
    pub(crate) pages_loaded: Arc<AtomicU64>,
    pub(crate) log: Arc<Log>,
    /// The shards that this one never runs ahead of. Held, so that what one has reached stays known when it has ended.
    pub(crate) upstreams: Vec<Arc<watch::Sender<ShardStatus>>>,
    /// Told when a message has been put into the outbox.
    pub(crate) published: Arc<Notify>,
    pub(crate) rewinds: Rewinds,
    pub(crate) control: Arc<Control>,
    /// Those of all shards of the daemon.
    pub(crate) controls: Controls,
    pub(crate) busy: Arc<Busy>,
    pub(crate) mode: Mode,
}

/// What a worker remembers from one life of its pipeline to the next.
pub(super) struct Memory {
    pub(super) hold: Hold,
    /// How often the shard, and not an event of it, has failed since its last commit.
    pub(super) failures: u32,
    pub(super) awaits: Backoff,
    pub(super) halts: Backoff,
    /// Whether a commit of ours may still come through that we have given up.
    pub(super) in_doubt: bool,
    pub(super) stand_backs: u32,
    pub(super) tries: Arc<Tries>,
    /// The events that the store refuses.
    pub(super) blamed: HashMap<Seq, Blamed>,
    /// How many events the next page may have, while somebody in it is looked for.
    pub(super) events_max: Option<NonZeroUsize>,
}

impl Worker {
    /// Whether the run ends at what is not passed.
    pub(super) fn is_strict(&self) -> bool {
        self.mode != Mode::Continuous
    }

    /// Runs until told to stop, a rebuild is finished, or a rebuild meets a failure that ends it.
    pub(crate) async fn run(self, stop: CancellationToken) -> Result<()> {
        let settings = &self.settings;
        let mut memory = Memory {
            hold: Hold::default(),
            failures: 0,
            awaits: Backoff::new(settings.retry_first, settings.retry_max),
            halts: Backoff::new(settings.pause_first, settings.pause_max),
            in_doubt: false,
            stand_backs: 0,
            tries: Arc::default(),
            blamed: HashMap::new(),
            events_max: None,
        };
        loop {
            self.stand_still(&mut memory, &stop).await;
            let began = tokio::time::Instant::now();
            let setback = match self.attempt(&mut memory, &stop).await {
                Ok(Ended::Done) => {
                    self.set(ShardState::Stopped { reason: "it was told to".into() });
                    return Ok(());
                }
                Ok(Ended::Again) => continue,
                Err(setback) => setback,
            };
            if self.status.borrow().failures == 0 {
                memory.failures = 0;
                memory.awaits.succeeded();
                memory.halts.succeeded();
                let progress = self.status.borrow().progress;
                memory.tries.forget_up_to(progress);
                memory.blamed.retain(|seq, _| *seq > progress);
            }
            if began.elapsed() >= self.settings.fenced_retry * PEACE {
                memory.stand_backs = 0;
            }
            self.handle(setback, &mut memory, &stop).await?;
        }
    }

    /// Does what helps. An error when nothing does.
    async fn handle(&self, setback: Setback, memory: &mut Memory, stop: &CancellationToken) -> Result<()> {
        let Setback { error, remedy } = setback;
        let in_doubt = std::mem::replace(&mut memory.in_doubt, error.is_transient());
        // Progress is read again after every failure, so a commit out of order means that somebody else commits in our
        // epoch, unless it is our own that was given up and came through after all.
        let is_own = in_doubt && matches!(error.kind(), ErrorKind::OutOfOrder { .. });
        if is_rewound(&error) || is_own {
            self.count_failure();
            tracing::info!(shard = %self.shard.name, "progress is read again: {}", error.chain());
            // The mark may still be the one from before the crash.
            wait(self.settings.retry_first, stop).await;
            return Ok(());
        }
        let (verdict, at) = match remedy {
            Remedy::Narrow(events) => {
                tracing::info!(shard = %self.shard.name, events, "looking for the event to blame: {}", error.chain());
                memory.events_max = NonZeroUsize::new(events).or(Some(NonZeroUsize::MIN));
                return Ok(());
            }
            Remedy::Blame(seq, view) if !memory.blamed.contains_key(&seq) => {
                memory.events_max = Some(NonZeroUsize::MIN);
                memory.blamed.insert(seq, Blamed { view, error: Arc::new(error) });
                return Ok(());
            }
            Remedy::Decided(verdict, seq) => {
                // The store may take it by now: it is asked again before the rules are.
                if memory.blamed.remove(&seq).is_some() {
                    memory.events_max = Some(NonZeroUsize::MIN);
                }
                (verdict, Some(seq))
            }
            Remedy::Rules | Remedy::Blame(..) => {
                let failures = memory.failures;
                memory.failures = failures.saturating_add(1);
                (self.shard.errors.verdict(self.is_strict(), error.class(), &error, failures), None)
            }
        };
        self.count_failure();
        self.obey(verdict, error, at, memory, stop).await
    }

    async fn obey(
        &self,
        verdict: Verdict,
        error: Error,
        at: Option<Seq>,
        memory: &mut Memory,
        stop: &CancellationToken,
    ) -> Result<()> {
        let shard = &self.shard.name;
        let action = match verdict {
            Verdict::Retry(delay) => {
                tracing::warn!(%shard, ?delay, "trying again: {}", error.chain());
                self.set(ShardState::Retrying { reason: error.chain(), retry_at: self.after(delay) });
                self.wait_or_rewind(&mut memory.hold, delay, stop).await;
                return Ok(());
            }
            Verdict::Do(action) => action,
        };
        let strict = self.is_strict();
        match action {
            Action::Ignore => {
                tracing::warn!(%shard, "going on in spite of a failure: {}", error.chain());
                // A failure that comes again at once must not keep a core busy.
                wait(memory.awaits.next_delay(), stop).await;
            }
            Action::AwaitStore(longest) => {
                tracing::warn!(%shard, "waiting for the store: {}", error.chain());
                self.await_store(longest, &error, memory, stop).await;
            }
            Action::StandBack if !strict => {
                tracing::warn!(%shard, "shard left to another process: {}", error.chain());
                if !self.stand_back(&mut memory.stand_backs, stop).await {
                    stop.cancelled().await;
                }
                memory.hold = Hold::default();
            }
            Action::Pause(duration) => self.pause(&error, at, Some(duration), false, stop).await,
            Action::PauseAll(duration) => self.pause(&error, at, Some(duration), true, stop).await,
            Action::Halt | Action::Skip if !strict => {
                let delay = memory.halts.next_delay();
                self.pause(&error, at, Some(delay), false, stop).await;
            }
            Action::Stop if !strict => self.pause(&error, at, None, false, stop).await,
            Action::StopAll if !strict => self.pause(&error, at, None, true, stop).await,
            _ => {
                self.set(ShardState::Stopped { reason: error.chain() });
                return Err(error.context(format!("running shard {shard}")));
            }
        }
        Ok(())
    }

    fn count_failure(&self) {
        metrics::failed(&self.shard.name);
        self.status.send_modify(|status| status.failures = status.failures.saturating_add(1));
    }

    /// One life of the pipeline, from the stored progress on.
    async fn attempt(&self, memory: &mut Memory, stop: &CancellationToken) -> Result<Ended, Setback> {
        let mut marks = self.marks.clone();
        let start = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(Ended::Done),
            mark = marks.wait_for(Option::is_some) => match mark {
                Ok(mark) => (*mark).expect("waited for"),
                Err(_) => return Ok(Ended::Done), // the high-water driver has ended, and so has the daemon
            },
        };
        let entered = async {
            let Some(position) = self.enter(&mut memory.hold, start).await? else { return Ok(None) };
            Ok::<_, Error>(Some((position, self.effects_above().await?)))
        };
        let (position, effects_above) = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(Ended::Done),
            entered = entered => match entered {
                Ok(Some(entered)) => entered,
                Ok(None) => return Ok(Ended::Done),
                Err(error) => return Err(Setback::from(error)),
            },
        };
        let held = memory.hold.epoch.expect("entering gives one");
        self.status.send_modify(|status| {
            status.progress = position;
            status.incarnation = Some(start.incarnation);
            status.epoch = Some(held);
            status.state = ShardState::Running;
        });
        tracing::info!(shard = %self.shard.name, progress = %position, epoch = %held, "shard started");
        let replay =
            Replay { worker: self, epoch: held, incarnation: start.incarnation, position, effects_above };
        let waiting = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(Ended::Done),
            replayed = replay.run() => {
                replayed?;
                self.waiting().await?
            }
        };
        let pipeline = Pipeline {
            worker: self,
            marks,
            start,
            position,
            epoch: held,
            effects_above,
            events_max: memory.events_max.take().unwrap_or(self.settings.page_events_max),
            tries: memory.tries.clone(),
            blamed: memory.blamed.clone(),
            waiting,
        };
        let ended = stop.child_token();
        let mut running = std::pin::pin!(pipeline.run(ended.clone()));
        let interrupt = {
            let mut rewinds = self.rewinds.lock().await;
            tokio::select! {
                biased;
                ended = &mut running => return ended.map(|()| Ended::Done),
                () = stop.cancelled() => Interrupt::Stop,
                Some(rewind) = rewinds.recv() => Interrupt::Rewind(rewind),
                () = self.asked() => Interrupt::Asked,
            }
        };
        ended.cancel();
        match tokio::time::timeout(self.settings.drain_deadline, running).await {
            Ok(Ok(())) => {}
            Ok(Err(setback)) => {
                tracing::warn!(shard = %self.shard.name, "the last page was not committed: {}", setback.error.chain());
            }
            Err(_) => {
                let deadline = self.settings.drain_deadline;
                tracing::warn!(shard = %self.shard.name, ?deadline, "the last page was dropped: its commit took too long");
            }
        }
        match interrupt {
            Interrupt::Stop => Ok(Ended::Done),
            Interrupt::Asked => Ok(Ended::Again),
            Interrupt::Rewind(rewind) => {
                self.rewind(&mut memory.hold, rewind).await;
                Ok(Ended::Again)
            }
        }
    }

    /// Says that the worker itself has failed and is started again.
    pub(crate) fn restarts_after(&self, delay: Duration, cause: &str) {
        let reason = format!("its worker is started again: {cause}");
        self.set(ShardState::Retrying { reason, retry_at: self.after(delay) });
    }

    pub(super) fn set(&self, state: ShardState) {
        self.status.send_modify(|status| status.state = state);
    }

    pub(super) fn after(&self, delay: Duration) -> Timestamp {
        self.clock.now().checked_add(delay).unwrap_or(Timestamp::MAX)
    }
}

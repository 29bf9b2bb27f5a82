use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use ermine_core::{
    Clock, Epoch, Error, ErrorKind, LogPoint, Progress, Result, Seq, ShardBatch, ShardName, Start,
    TakenShard, Timestamp, ports::Store,
};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::{Mode, Rewind, Shard, answer, pipeline::Pipeline, rewind::Rewinds};
use crate::{
    Mark, Settings, ShardState, ShardStatus,
    backoff::Backoff,
    log::Log,
    metrics,
    registry::Work,
    retry::{Next, next},
};

/// How often this worker is fenced off, or sees the shard move, before it leaves it to the other process.
const STAND_BACKS: u32 = 3;
/// After how many times the wait of a fenced worker without any trouble it starts to count again.
const PEACE: u32 = 10;

/// The epoch of a shard that has been taken once.
const FIRST_EPOCH: Epoch = Epoch(1);

/// What a worker knows of its shard from one life of the pipeline to the next.
#[derive(Debug, Default)]
struct Hold {
    epoch: Option<Epoch>,
    /// Where the shard is to start, as long as it has not been moved there: it may be taken already, and then nothing stored
    /// says that it has to be.
    start: Option<Seq>,
}

/// How a life of the pipeline ended well.
enum Ended {
    Done,
    /// It goes on from another place.
    Rewound,
}

/// Runs one shard: takes it, runs its pipeline, and after a failure decides what to do next.
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
    pub(crate) mode: Mode,
}

impl Worker {
    /// Runs until told to stop, a rebuild is finished, or a rebuild meets a failure that does not pass.
    pub(crate) async fn run(self, stop: CancellationToken) -> Result<()> {
        let mut hold = Hold::default();
        let mut retries = Backoff::new(self.settings.retry_first, self.settings.retry_max);
        let mut pauses = Backoff::new(self.settings.pause_first, self.settings.pause_max);
        // Whether a commit of ours may still come through that we have given up.
        let mut in_doubt = false;
        let mut stand_backs = 0;
        loop {
            let began = tokio::time::Instant::now();
            let failure = match self.attempt(&mut hold, &stop).await {
                Ok(Ended::Done) => {
                    self.set(ShardState::Stopped { reason: "it was told to".into() });
                    return Ok(());
                }
                Ok(Ended::Rewound) => continue,
                Err(failure) => failure,
            };
            if self.status.borrow().failures == 0 {
                retries.succeeded();
                pauses.succeeded();
            }
            metrics::failed(&self.shard.name);
            self.status.send_modify(|s| s.failures = s.failures.saturating_add(1));
            if began.elapsed() >= self.settings.fenced_retry * PEACE {
                stand_backs = 0;
            }
            let strict = self.mode != Mode::Continuous;
            let decided = match next(failure.kind(), strict) {
                Next::StandBack if in_doubt && matches!(failure.kind(), ErrorKind::OutOfOrder { .. }) => {
                    Next::Reread
                }
                Next::StandBack if strict => Next::Stop,
                decided => decided,
            };
            in_doubt = failure.is_transient();
            match decided {
                Next::Reread => {
                    tracing::info!(shard = %self.shard.name, "progress is read again: {}", failure.chain());
                    // The mark may still be the one from before the crash.
                    wait(self.settings.retry_first, &stop).await;
                }
                Next::Retry => {
                    let delay = retries.next_delay();
                    tracing::warn!(
                        shard = %self.shard.name, attempt = retries.attempts(), ?delay,
                        "a passing fault: {}", failure.chain()
                    );
                    self.set(ShardState::Retrying { reason: failure.chain(), retry_at: self.after(delay) });
                    self.wait_or_rewind(&mut hold, delay, &stop).await;
                }
                Next::Pause => {
                    let delay = pauses.next_delay();
                    tracing::error!(shard = %self.shard.name, ?delay, "shard paused: {}", failure.chain());
                    self.set(ShardState::Paused { reason: failure.chain(), retry_at: self.after(delay) });
                    self.wait_or_rewind(&mut hold, delay, &stop).await;
                }
                Next::StandBack => {
                    tracing::warn!(shard = %self.shard.name, "shard left to another process: {}", failure.chain());
                    if !self.stand_back(&mut stand_backs, &stop).await {
                        stop.cancelled().await;
                    }
                    hold = Hold::default();
                }
                Next::Stop => {
                    self.set(ShardState::Stopped { reason: failure.chain() });
                    return Err(failure.context(format!("running shard {}", self.shard.name)));
                }
            }
        }
    }

    /// One life of the pipeline, from the stored progress on.
    async fn attempt(&self, hold: &mut Hold, stop: &CancellationToken) -> Result<Ended> {
        let mut marks = self.marks.clone();
        let start = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(Ended::Done),
            mark = marks.wait_for(Option::is_some) => match mark {
                Ok(mark) => (*mark).expect("waited for"),
                Err(_) => return Ok(Ended::Done), // the high-water driver has ended, and so has the daemon
            },
        };
        let position = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(Ended::Done),
            position = self.enter(hold, start) => match position? {
                Some(position) => position,
                None => return Ok(Ended::Done),
            },
        };
        let effects_above = self.effects_above().await?;
        let held = hold.epoch.expect("entering gives one");
        self.status.send_modify(|status| {
            status.progress = position;
            status.incarnation = Some(start.incarnation);
            status.epoch = Some(held);
            status.state = ShardState::Running;
        });
        tracing::info!(shard = %self.shard.name, progress = %position, epoch = %held, "shard started");
        let pipeline = Pipeline { worker: self, marks, start, position, epoch: held, effects_above };
        let ended = stop.child_token();
        let mut rewinds = self.rewinds.lock().await;
        let mut running = std::pin::pin!(pipeline.run(ended.clone()));
        let rewind = tokio::select! {
            biased;
            ended = &mut running => return ended.map(|()| Ended::Done),
            () = stop.cancelled() => None,
            Some(rewind) = rewinds.recv() => Some(rewind),
        };
        ended.cancel();
        match tokio::time::timeout(self.settings.drain_deadline, running).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(shard = %self.shard.name, "the last page was not committed: {}", error.chain());
            }
            Err(_) => {
                let deadline = self.settings.drain_deadline;
                tracing::warn!(shard = %self.shard.name, ?deadline, "the last page was dropped: its commit took too long");
            }
        }
        match rewind {
            Some(rewind) => {
                self.rewind(hold, rewind).await;
                Ok(Ended::Rewound)
            }
            None => Ok(Ended::Done),
        }
    }

    async fn wait_or_rewind(&self, hold: &mut Hold, delay: Duration, stop: &CancellationToken) {
        let mut rewinds = self.rewinds.lock().await;
        let rewind = tokio::select! {
            () = wait(delay, stop) => None,
            Some(rewind) = rewinds.recv() => Some(rewind),
        };
        if let Some(rewind) = rewind {
            self.rewind(hold, rewind).await;
        }
    }

    /// Goes on from another place. Whoever asked is told; the worker goes on either way.
    async fn rewind(&self, hold: &mut Hold, Rewind { to, answer }: Rewind) {
        if answer.is_closed() {
            return; // whoever asked has given up
        }
        let placed = self.place(to).await;
        if let Ok(taken) = &placed {
            tracing::info!(shard = %self.shard.name, progress = %to, "shard rewound");
            *hold = Hold { epoch: Some(taken.epoch), start: None };
            self.status.send_modify(|status| status.progress = to);
        }
        let _ = answer.send(placed.map(drop));
    }

    /// Above which number events may have effects. Where an older version of the projection has been, it has raised the
    /// effects already.
    async fn effects_above(&self) -> Result<Option<Seq>> {
        if matches!(self.mode, Mode::Rebuild { .. }) {
            return Ok(None);
        }
        if self.shard.name.version() == 1 {
            return Ok(Some(Seq::ZERO));
        }
        let older = |p: &Progress| {
            let (mine, other) = (&self.shard.name, &p.shard);
            other.projection() == mine.projection()
                && other.version() < mine.version()
                && (other.key(), other.tenant()) == (mine.key(), mine.tenant())
        };
        let all = self.all_progress().await?;
        Ok(Some(all.iter().filter(|p| older(p)).map(|p| p.seq).max().unwrap_or_default()))
    }

    /// Where to start. The first time the shard is taken; later its epoch is only compared, so that a worker that was
    /// fenced off meanwhile does not fence off its successor in turn.
    async fn enter(&self, hold: &mut Hold, mark: Mark) -> Result<Option<Seq>> {
        self.check_members().await?;
        if let Some(mine) = hold.epoch
            && let Some(stored) = self.stored().await?
        {
            if stored.epoch == mine {
                return Ok(Some(stored.seq));
            }
            if stored.epoch > mine {
                return Err(Error::fenced(&self.shard.name, mine, stored.epoch));
            }
            // A lower epoch: the store has lost our taking of the shard in a crash.
        }
        let wanted = match hold.start {
            Some(missed) => Some(missed),
            None => self.wanted_start(mark).await?,
        };
        if wanted.is_some_and(|wanted| self.mode.is_finished(wanted) && self.mode.limit(wanted) < wanted) {
            return Ok(None); // a run that ends has nothing to do below its start
        }
        hold.start = wanted;
        let taken = self.take().await?;
        let position = match wanted {
            Some(wanted) if taken.seq < wanted => self.move_up(&taken, wanted, mark).await?,
            _ => taken.seq,
        };
        *hold = Hold { epoch: Some(taken.epoch), start: None };
        Ok(Some(position))
    }

    /// The members of a composite have views of their own, which are as far as their progress says: a member that is elsewhere
    /// would be given events twice, or never.
    async fn check_members(&self) -> Result<()> {
        if self.shard.members.is_empty() {
            return Ok(());
        }
        let all = self.all_progress().await?;
        let at =
            |shard: &ShardName| all.iter().find(|p| p.shard == *shard).map(|p| p.seq).unwrap_or_default();
        let own = at(&self.shard.name);
        match self.shard.members.iter().find(|member| at(member) != own) {
            None => Ok(()),
            Some(member) => Err(Error::configuration(format!(
                "composite {} is at {own}, and its member {member} is at {}: what is new in a composite, or comes from \
                 elsewhere, needs a new version, and so do the composite and its other members",
                self.shard.name,
                at(member)
            ))),
        }
    }

    /// Where the shard is to start at least, if anywhere but where it is.
    async fn wanted_start(&self, mark: Mark) -> Result<Option<Seq>> {
        Ok(match self.shard.start {
            Start::Present => match self.stored().await? {
                None => Some(mark.seq),
                Some(stored) if self.is_not_started(&stored) => {
                    Some(self.before_first_since(stored.moved_at, mark).await?)
                }
                Some(_) => None,
            },
            Start::After(seq) => Some(seq),
            Start::Since(moment) => Some(self.before_first_since(moment, mark).await?),
            _ => None,
        })
    }

    /// Whether somebody has taken the shard who may not have got to move it up. A subscription may have been put there since.
    fn is_not_started(&self, stored: &Progress) -> bool {
        stored.seq == Seq::ZERO && (stored.epoch == FIRST_EPOCH || matches!(self.shard.work, Work::Stages(_)))
    }

    /// The place before the first event since `moment`; the mark if there is none.
    async fn before_first_since(&self, moment: Timestamp, mark: Mark) -> Result<Seq> {
        let doing = || format!("looking for the first event since {moment} for shard {}", self.shard.name);
        let first = self.store.locate(LogPoint::Since(moment));
        let first = answer(self.settings.call_deadline, doing, first).await?;
        Ok(first.map_or(mark.seq, |entry| entry.seq.previous()))
    }

    /// Passes what lies before the start, as a batch without changes: should somebody else have taken the shard meanwhile,
    /// it is refused.
    async fn move_up(&self, taken: &TakenShard, wanted: Seq, mark: Mark) -> Result<Seq> {
        // Progress above the mark would look as if the log had been set back.
        let mut marks = self.marks.clone();
        let reached = |at: &Option<Mark>| at.is_some_and(|at| at.seq >= wanted);
        marks.wait_for(reached).await.map_err(|_| Error::transient("waiting for the mark"))?;
        let mut batch =
            ShardBatch::new(self.shard.name.clone(), taken.epoch, mark.incarnation, taken.seq, wanted);
        batch.members.clone_from(&self.shard.members);
        let doing = || format!("moving shard {} up to {wanted}, where it starts", self.shard.name);
        answer(self.settings.call_deadline, doing, self.store.commit(batch)).await?;
        Ok(wanted)
    }

    async fn take(&self) -> Result<TakenShard> {
        let doing = || format!("taking shard {}", self.shard.name);
        let taken = self.store.take_shards(std::slice::from_ref(&self.shard.name));
        let taken = answer(self.settings.call_deadline, doing, taken).await?;
        taken
            .into_iter()
            .next()
            .ok_or_else(|| Error::fatal(format!("the store gave no answer for shard {}", self.shard.name)))
    }

    async fn place(&self, seq: Seq) -> Result<TakenShard> {
        let doing = || format!("placing shard {} at {seq}", self.shard.name);
        answer(self.settings.call_deadline, doing, self.store.place_shard(&self.shard.name, seq)).await
    }

    async fn stored(&self) -> Result<Option<Progress>> {
        Ok(self.all_progress().await?.into_iter().find(|p| p.shard == self.shard.name))
    }

    async fn all_progress(&self) -> Result<Vec<Progress>> {
        let doing = || format!("reading progress of shard {}", self.shard.name);
        answer(self.settings.call_deadline, doing, self.store.read_progress()).await
    }

    /// Waits while another process is at work. False when it has been for a while: then the shard is theirs.
    async fn stand_back(&self, stand_backs: &mut u32, stop: &CancellationToken) -> bool {
        while *stand_backs < STAND_BACKS {
            *stand_backs += 1;
            let before = self.stored_unless(stop).await;
            self.set(ShardState::Fenced { retry_at: self.after(self.settings.fenced_retry) });
            wait(self.settings.fenced_retry, stop).await;
            // Without an answer there is nothing to go by; whoever takes the shard next finds out.
            let (Some(before), Some(after)) = (before, self.stored_unless(stop).await) else { return true };
            if (before.seq, before.epoch) == (after.seq, after.epoch) {
                return true;
            }
        }
        let reason = "another process runs this shard and keeps it moving: stop that process, or stop running the \
                      shard in this one";
        tracing::error!(shard = %self.shard.name, "{reason}");
        self.set(ShardState::Stopped { reason: reason.into() });
        false
    }

    /// The stored progress, if it can be had before `stop`.
    async fn stored_unless(&self, stop: &CancellationToken) -> Option<Progress> {
        tokio::select! {
            biased;
            () = stop.cancelled() => None,
            stored = self.stored() => stored.ok().flatten(),
        }
    }

    /// Says that the worker itself has failed and is started again.
    pub(crate) fn restarts_after(&self, delay: Duration) {
        let reason = "its worker panicked, which is a mistake in the program".into();
        self.set(ShardState::Retrying { reason, retry_at: self.after(delay) });
    }

    fn set(&self, state: ShardState) {
        self.status.send_modify(|status| status.state = state);
    }

    fn after(&self, delay: Duration) -> Timestamp {
        self.clock.now().checked_add(delay).unwrap_or(Timestamp::MAX)
    }
}

async fn wait(delay: Duration, stop: &CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = tokio::time::sleep(delay) => {}
    }
}

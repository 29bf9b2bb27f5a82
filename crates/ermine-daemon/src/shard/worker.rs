use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use ermine_core::{Clock, Epoch, Error, ErrorKind, Progress, Result, Seq, ports::Store};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Mode, Shard, answer, pipeline::Pipeline};
use crate::{
    Mark, Settings, ShardState, ShardStatus,
    backoff::Backoff,
    metrics,
    retry::{Next, next},
};

/// How often this worker is fenced off, or sees the shard move, before it leaves it to the other process.
const STAND_BACKS: u32 = 3;
/// After how many times the wait of a fenced worker without any trouble it starts to count again.
const PEACE: u32 = 10;

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
    pub(crate) mode: Mode,
}

impl Worker {
    /// Runs until told to stop, a rebuild is finished, or a rebuild meets a failure that does not pass.
    pub(crate) async fn run(self, stop: CancellationToken) -> Result<()> {
        let mut epoch = None;
        let mut retries = Backoff::new(self.settings.retry_first, self.settings.retry_max);
        let mut pauses = Backoff::new(self.settings.pause_first, self.settings.pause_max);
        // Whether a commit of ours may still come through that we have given up.
        let mut in_doubt = false;
        let mut stand_backs = 0;
        loop {
            let began = tokio::time::Instant::now();
            let failure = match self.attempt(&mut epoch, &stop).await {
                Ok(()) => {
                    self.set(ShardState::Stopped { reason: "it was told to".into() });
                    return Ok(());
                }
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
                    wait(delay, &stop).await;
                }
                Next::Pause => {
                    let delay = pauses.next_delay();
                    tracing::error!(shard = %self.shard.name, ?delay, "shard paused: {}", failure.chain());
                    self.set(ShardState::Paused { reason: failure.chain(), retry_at: self.after(delay) });
                    wait(delay, &stop).await;
                }
                Next::StandBack => {
                    tracing::warn!(shard = %self.shard.name, "shard left to another process: {}", failure.chain());
                    if !self.stand_back(&mut stand_backs, &stop).await {
                        stop.cancelled().await;
                    }
                    epoch = None;
                }
                Next::Stop => {
                    self.set(ShardState::Stopped { reason: failure.chain() });
                    return Err(failure.context(format!("running shard {}", self.shard.name)));
                }
            }
        }
    }

    /// One life of the pipeline, from the stored progress on.
    async fn attempt(&self, epoch: &mut Option<Epoch>, stop: &CancellationToken) -> Result<()> {
        let mut marks = self.marks.clone();
        let start = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            mark = marks.wait_for(Option::is_some) => match mark {
                Ok(mark) => (*mark).expect("waited for"),
                Err(_) => return Ok(()), // the high-water driver has ended, and so has the daemon
            },
        };
        let position = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            position = self.enter(epoch) => position?,
        };
        let held = epoch.expect("entering gives one");
        self.status.send_modify(|status| {
            status.progress = position;
            status.incarnation = Some(start.incarnation);
            status.epoch = Some(held);
            status.state = ShardState::Running;
        });
        tracing::info!(shard = %self.shard.name, progress = %position, epoch = %held, "shard started");
        let pipeline = Pipeline {
            shard: self.shard.clone(),
            store: self.store.clone(),
            settings: self.settings.clone(),
            status: self.status.clone(),
            marks,
            pages_loaded: self.pages_loaded.clone(),
            mode: self.mode,
            start,
            position,
            epoch: held,
        };
        let mut running = std::pin::pin!(pipeline.run(stop.clone()));
        tokio::select! {
            biased;
            ended = &mut running => ended,
            () = stop.cancelled() => match tokio::time::timeout(self.settings.drain_deadline, running).await {
                Ok(ended) => ended.or_else(|error| {
                    tracing::warn!(shard = %self.shard.name, "the last page was not committed: {}", error.chain());
                    Ok(())
                }),
                Err(_) => {
                    let deadline = self.settings.drain_deadline;
                    tracing::warn!(shard = %self.shard.name, ?deadline, "the last page was dropped: its commit took too long");
                    Ok(())
                }
            },
        }
    }

    /// Where to start. The first time the shard is taken; later its epoch is only compared, so that a worker that was
    /// fenced off meanwhile does not fence off its successor in turn.
    async fn enter(&self, epoch: &mut Option<Epoch>) -> Result<Seq> {
        if let Some(mine) = *epoch
            && let Some(stored) = self.stored().await?
        {
            if stored.epoch == mine {
                return Ok(stored.seq);
            }
            if stored.epoch > mine {
                return Err(Error::fenced(&self.shard.name, mine, stored.epoch));
            }
            // A lower epoch: the store has lost our taking of the shard in a crash.
        }
        let doing = || format!("taking shard {}", self.shard.name);
        let taken = answer(
            self.settings.call_deadline,
            doing,
            self.store.take_shards(std::slice::from_ref(&self.shard.name)),
        )
        .await?;
        let taken = taken
            .into_iter()
            .next()
            .ok_or_else(|| Error::fatal(format!("the store gave no answer for shard {}", self.shard.name)))?;
        *epoch = Some(taken.epoch);
        Ok(taken.seq)
    }

    async fn stored(&self) -> Result<Option<Progress>> {
        let doing = || format!("reading progress of shard {}", self.shard.name);
        let all = answer(self.settings.call_deadline, doing, self.store.read_progress()).await?;
        Ok(all.into_iter().find(|p| p.shard == self.shard.name))
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

    fn after(&self, delay: Duration) -> ermine_core::Timestamp {
        self.clock.now().checked_add(delay).unwrap_or(ermine_core::Timestamp::MAX)
    }
}

async fn wait(delay: Duration, stop: &CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = tokio::time::sleep(delay) => {}
    }
}

//! Keeps what a daemon does in step with what is wanted of it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ermine_core::{
    Clock, LetterQuery, LetterStatus, Result, Seq, ShardName, Wish,
    ports::{DeadLetterStore, Store, WishStore},
};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    Mark, Settings, ShardState, ShardStatus, SlowCode, control::Controls, metrics, pulse::Pulse, shard::Busy,
};

/// How often it looks at what it can see without the store.
const TURN: Duration = Duration::from_secs(1);
/// How long the store is left alone when nothing happens in it. Whoever wants something rings.
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_secs(10);
/// How long it is left alone however often somebody rings.
const LOOK_AT_MOST_EVERY: Duration = Duration::from_millis(100);
/// How often letters are removed that need not be kept.
const PURGE_EVERY: Duration = Duration::from_secs(60 * 60);

/// Follows the wishes of operators, tells workers of decisions about dead letters, and names user code that takes long.
#[derive(Debug)]
pub(crate) struct Overseer {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) marks: watch::Receiver<Option<Mark>>,
    pub(crate) controls: Controls,
    pub(crate) watched: Vec<Watched>,
    /// Told when the store has rung.
    pub(crate) rung: Arc<Notify>,
    pub(crate) pulse: Pulse,
    /// How long letters are kept whose events were replayed.
    pub(crate) keep_letters: Duration,
    /// What was stored when it looked last; only changes are passed on, because a worker may have wishes that are not stored.
    pub(crate) seen: Mutex<Option<HashMap<ShardName, Wish>>>,
}

/// A shard whose user code may take long.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) status: Arc<watch::Sender<ShardStatus>>,
    pub(crate) busy: Arc<Busy>,
}

impl Overseer {
    /// Runs until told to stop, whatever fails.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        let mut looked: Option<Instant> = None;
        let mut purged: Option<Instant> = None;
        let mut mark_then: Option<Seq> = None;
        let mut is_rung = false;
        let mut stalls = vec![(Seq::ZERO, Instant::now()); self.watched.len()];
        loop {
            self.pulse.beat();
            self.name_slow_code();
            self.name_stalled(&mut stalls);
            let mark = self.marks.borrow().map(|mark| mark.seq);
            let is_due = looked.is_none_or(|at| at.elapsed() >= LOOK_AT_LEAST_EVERY);
            if is_rung || is_due || mark != mark_then {
                match self.look().await {
                    Ok(()) => (looked, mark_then) = (Some(Instant::now()), mark),
                    Err(error) => {
                        // Nobody rings twice for what was missed, so the next turn looks again.
                        looked = None;
                        tracing::debug!("what is wanted of shards is not known: {}", error.chain());
                    }
                }
            }
            if looked.is_some() && purged.is_none_or(|at| at.elapsed() >= PURGE_EVERY) {
                purged = Some(Instant::now());
                self.purge().await;
            }
            is_rung = tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(TURN) => false,
                () = self.rung.notified() => true,
            };
            if is_rung {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(LOOK_AT_MOST_EVERY) => {}
                }
            }
        }
    }

    async fn look(&self) -> Result<()> {
        if let Some(wishes) = self.store.wishes() {
            self.follow(wishes).await?;
        }
        if let Some(letters) = self.store.dead_letters() {
            self.tell_of_decisions(letters).await?;
        }
        Ok(())
    }

    async fn follow(&self, wishes: &dyn WishStore) -> Result<()> {
        let stored = self.in_time(wishes.wishes()).await?;
        let stored: HashMap<ShardName, Wish> =
            stored.into_iter().map(|wish| (wish.shard.clone(), wish)).collect();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for control in self.controls.iter() {
            let now = stored.get(&control.shard);
            if seen.as_ref().is_none_or(|seen| seen.get(&control.shard) != now) {
                control.follow(now.cloned());
            }
        }
        *seen = Some(stored);
        Ok(())
    }

    async fn tell_of_decisions(&self, letters: &dyn DeadLetterStore) -> Result<()> {
        let decided = LetterQuery { statuses: LetterStatus::REQUESTED.to_vec(), ..LetterQuery::default() };
        if self.in_time(letters.count_letters(decided.clone())).await? == 0 {
            return Ok(());
        }
        for control in self.controls.iter() {
            let query = LetterQuery { shard: Some(control.shard.clone()), ..decided.clone() };
            if self.in_time(letters.count_letters(query)).await? > 0 {
                control.letters.notify_one();
            }
        }
        Ok(())
    }

    async fn purge(&self) {
        let Some(letters) = self.store.dead_letters() else { return };
        let Ok(before) = self.clock.now().checked_sub(self.keep_letters) else { return };
        match self.in_time(letters.purge_letters(before)).await {
            Ok(0) => {}
            Ok(purged) => tracing::info!(purged, %before, "dead letters replayed long ago were removed"),
            Err(error) => tracing::debug!("old dead letters stay for now: {}", error.chain()),
        }
    }

    fn name_slow_code(&self) {
        for Watched { status, busy } in &self.watched {
            let slow =
                busy.at_work().filter(|(working_for, _)| *working_for >= self.settings.slow_code_after);
            let slow = slow.map(|(working_for, seq)| SlowCode { working_for, seq });
            let is_new = slow.is_some() && status.borrow().slow.is_none();
            if let Some(slow) = slow.as_ref().filter(|_| is_new) {
                tracing::warn!(shard = %status.borrow().shard, "user code takes long: {slow}");
            }
            status.send_if_modified(|status| {
                let changed = status.slow.is_some() || slow.is_some();
                status.slow = slow;
                changed
            });
        }
    }

    /// A shard that could go on and does not. `stalls` holds where each was, and since when.
    fn name_stalled(&self, stalls: &mut [(Seq, Instant)]) {
        let mark = self.marks.borrow().map(|mark| mark.seq);
        for (Watched { status, .. }, (then, since)) in self.watched.iter().zip(stalls) {
            let now = status.borrow().clone();
            let is_behind = mark.is_some_and(|mark| now.progress < mark);
            if now.progress != *then || !is_behind || now.state != ShardState::Running {
                (*then, *since) = (now.progress, Instant::now());
            }
            let stalled_for = Some(since.elapsed()).filter(|stalled| *stalled >= self.settings.stalled_after);
            if stalled_for.is_some() && now.stalled_for.is_none() {
                metrics::stalled(&now.shard);
                tracing::warn!(shard = %now.shard, progress = %now.progress, "a shard is behind the mark and commits nothing");
            }
            if stalled_for != now.stalled_for {
                status.send_modify(|status| status.stalled_for = stalled_for);
            }
        }
    }

    async fn in_time<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        let deadline = self.settings.call_deadline;
        match tokio::time::timeout(deadline, call).await {
            Ok(answer) => answer,
            Err(_) => Err(ermine_core::Error::transient(format!("no answer within {deadline:?}"))),
        }
    }
}

//! How a worker stands still: because of a rule, a wish, the store, or another process.

use std::{sync::Arc, time::Duration};

use ermine_core::{Error, ErrorClass, Progress, Seq, ShardName, SmolStr, Wish};
use tokio_util::sync::CancellationToken;

use super::{
    Rewind,
    entry::Hold,
    worker::{Memory, Worker},
};
use crate::{
    ShardState,
    control::{Control, Desired},
    errors::storable,
};

/// How often this worker is fenced off, or sees the shard move, before it leaves it to the other process.
const STAND_BACKS: u32 = 3;
/// Who makes the wishes that come from rules about errors.
const POLICY: &str = "policy";

impl Worker {
    /// Wishes that this shard, or every shard of this process, stands still. It is stored, so that it outlives the process; a
    /// store that cannot be reached does not keep the shard from standing still.
    pub(super) async fn pause(
        &self,
        error: &Error,
        at: Option<Seq>,
        duration: Option<Duration>,
        all: bool,
        stop: &CancellationToken,
    ) {
        let shard = &self.shard.name;
        tracing::error!(%shard, ?duration, all, "shard paused: {}", error.chain());
        let wish = |shard: &ShardName| Wish {
            shard: shard.clone(),
            by: SmolStr::new_static(POLICY),
            reason: storable(error),
            since: self.clock.now(),
            until: duration.map(|duration| self.after(duration)),
        };
        self.status.send_modify(|status| status.halted_at = at);
        if self.is_strict() {
            self.show(&wish(shard));
            return wait(duration.unwrap_or_default(), stop).await;
        }
        let paused = self.controls.iter().filter(|control| all || control.shard == *shard);
        let paused: Vec<&Arc<Control>> = paused.collect();
        for control in &paused {
            control.desired.send_replace(Desired::StandStill(wish(&control.shard)));
        }
        let Some(wishes) = self.store.wishes().filter(|_| error.class() != ErrorClass::Transient) else {
            return;
        };
        for control in paused {
            let stored = tokio::select! {
                stored = tokio::time::timeout(self.settings.retry_max, wishes.put_wish(wish(&control.shard))) => stored,
                () = stop.cancelled() => return,
            };
            if !matches!(stored, Ok(Ok(()))) {
                tracing::warn!(shard = %control.shard, "the pause could not be stored, and ends with this process");
            }
        }
    }

    /// Waits while somebody wants the shard to stand still.
    pub(super) async fn stand_still(&self, memory: &mut Memory, stop: &CancellationToken) {
        if self.is_strict() {
            return;
        }
        let mut desired = self.control.desired.subscribe();
        let mut has_stood = false;
        loop {
            let wanted = desired.borrow_and_update().clone();
            let wish = match wanted {
                Desired::StandStill(wish) if wish.counts_at(self.clock.now()) => wish,
                Desired::NotKnown => {
                    tokio::select! {
                        () = stop.cancelled() => return,
                        _ = desired.changed() => continue,
                    }
                }
                Desired::Run | Desired::StandStill(_) => break,
            };
            self.show(&wish);
            has_stood = true;
            let left = wish.until.map(|until| until.duration_since(self.clock.now()));
            let left = left.map(|left| Duration::try_from(left).unwrap_or_default());
            let is_over = tokio::select! {
                () = stop.cancelled() => return,
                _ = desired.changed() => false,
                rewound = self.wait_or_rewind(&mut memory.hold, left.unwrap_or(Duration::MAX), stop) => !rewound,
            };
            if is_over && wish.until.is_some() {
                break;
            }
        }
        self.status.send_modify(|status| {
            status.halted_at = None;
            if has_stood {
                status.state = ShardState::Starting;
            }
        });
    }

    pub(super) fn show(&self, wish: &Wish) {
        let reason = wish.reason.clone();
        self.set(match wish.until {
            None if wish.by == POLICY => ShardState::Stopped { reason },
            retry_at => ShardState::Paused { by: wish.by.clone(), reason, retry_at },
        });
    }

    /// Waits until the store answers again.
    pub(super) async fn await_store(
        &self,
        longest: Duration,
        error: &Error,
        memory: &mut Memory,
        stop: &CancellationToken,
    ) {
        let until = tokio::time::Instant::now() + longest;
        let retry_at = Some(self.after(longest));
        let reason = error.chain();
        self.set(ShardState::Paused { by: SmolStr::new_static(POLICY), reason, retry_at });
        loop {
            let delay = memory.awaits.next_delay();
            self.wait_or_rewind(&mut memory.hold, delay, stop).await;
            if stop.is_cancelled() || tokio::time::Instant::now() >= until {
                return;
            }
            let answered = tokio::select! {
                answered = self.all_progress() => answered,
                () = stop.cancelled() => return,
                () = tokio::time::sleep_until(until) => return,
            };
            if answered.is_ok() {
                return;
            }
        }
    }

    /// Comes back when the shard shall stand still, or when somebody has decided about its dead letters.
    pub(super) async fn asked(&self) {
        if self.is_strict() {
            return std::future::pending().await;
        }
        let mut desired = self.control.desired.subscribe();
        tokio::select! {
            _ = desired.wait_for(|desired| self.stands_still(desired)) => {}
            () = self.control.letters.notified() => {}
        }
    }

    pub(super) fn stands_still(&self, desired: &Desired) -> bool {
        match desired {
            Desired::StandStill(wish) => wish.counts_at(self.clock.now()),
            Desired::NotKnown | Desired::Run => false,
        }
    }

    /// Whether somebody wants the shard to stand still now.
    pub(super) fn is_to_stand_still(&self) -> bool {
        self.stands_still(&self.control.desired.borrow())
    }

    /// Whether it has ended for a rewind.
    pub(super) async fn wait_or_rewind(
        &self,
        hold: &mut Hold,
        delay: Duration,
        stop: &CancellationToken,
    ) -> bool {
        let mut rewinds = self.rewinds.lock().await;
        let rewind = tokio::select! {
            () = wait(delay, stop) => None,
            Some(rewind) = rewinds.recv() => Some(rewind),
        };
        let Some(rewind) = rewind else { return false };
        self.rewind(hold, rewind).await;
        true
    }

    /// Goes on from another place. Whoever asked is told; the worker goes on either way.
    pub(super) async fn rewind(&self, hold: &mut Hold, Rewind { to, answer }: Rewind) {
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

    /// Waits while another process is at work. False when it has been for a while: then the shard is theirs.
    pub(super) async fn stand_back(&self, stand_backs: &mut u32, stop: &CancellationToken) -> bool {
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
    pub(super) async fn stored_unless(&self, stop: &CancellationToken) -> Option<Progress> {
        tokio::select! {
            biased;
            () = stop.cancelled() => None,
            stored = self.stored() => stored.ok().flatten(),
        }
    }
}

pub(super) async fn wait(delay: Duration, stop: &CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = tokio::time::sleep(delay) => {}
    }
}

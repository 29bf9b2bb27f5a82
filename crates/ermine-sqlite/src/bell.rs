use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use ermine_core::{Bell as Request, Seq};
use tokio::sync::Notify;

/// As good as for ever.
const A_YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A look costs some microseconds, and there are none while nobody waits.
const LOOK_EVERY: Duration = Duration::from_millis(4);
/// While the bell is not armed there are only news to be found, which come from people.
const LOOK_UNARMED_EVERY: Duration = Duration::from_millis(50);

/// The doorbell of one store: until when appends shall ring, who waits, and what they have been told.
///
/// The writer rings for appends and news of this store, after they are committed. Those of others are found by a thread that
/// looks into the file while somebody waits. News ring whether the bell is armed or not: they are rare, and nobody arms it
/// for them.
#[derive(Debug, Default)]
pub(crate) struct Doorbell {
    state: Mutex<State>,
    /// Tells the thread that looks that something has changed.
    changed: Condvar,
    rung: Notify,
}

#[derive(Debug, Default)]
struct State {
    armed_until: Option<Instant>,
    /// Everything up to this number has been rung for, or was shown to whoever armed the bell.
    told: Seq,
    /// So many news have been rung for.
    heard: i64,
    waiting: usize,
    closed: bool,
}

impl State {
    fn is_armed(&self) -> bool {
        self.armed_until.is_some_and(|until| Instant::now() <= until)
    }
}

impl Doorbell {
    pub(crate) fn handle(&self, request: Request) {
        let mut state = self.state();
        match request {
            // A shorter arming does not take a longer one back: the longer one was promised.
            Request::Arm(duration) => {
                let now = Instant::now();
                let end = now.checked_add(duration).unwrap_or(now + A_YEAR);
                state.armed_until = state.armed_until.max(Some(end));
                self.changed.notify_all();
            }
            Request::Leave => {}
            Request::Silence => state.armed_until = None,
        }
    }

    /// Whoever armed the bell has been shown the log up to `last`.
    pub(crate) fn shown(&self, last: Seq) {
        let mut state = self.state();
        state.told = state.told.max(last);
    }

    /// The log is known to reach to `last`: rings if that is news to somebody who has armed the bell.
    pub(crate) fn appended(&self, last: Seq) {
        let mut state = self.state();
        if state.is_armed() && last > state.told {
            state.told = last;
            self.rung.notify_one();
        }
    }

    /// There are known to have been so many news: rings if some of them are new.
    pub(crate) fn heard(&self, count: i64) {
        let mut state = self.state();
        if count > state.heard {
            state.heard = count;
            self.rung.notify_one();
        }
    }

    /// The store was emptied: numbers begin again.
    pub(crate) fn forget(&self) {
        self.state().told = Seq::ZERO;
        self.rung.notify_one();
    }

    /// Rings whatever is known, because looking has failed: whoever waits finds out by himself.
    pub(crate) fn ring(&self) {
        self.rung.notify_one();
    }

    /// Waits for a ring; one that nobody has waited for is kept.
    pub(crate) async fn rung(&self) {
        let _waiting = Waiting::begin(self);
        self.rung.notified().await;
    }

    /// Blocks until somebody waits, and says whether that will ever be.
    pub(crate) fn is_needed(&self) -> bool {
        let mut state = self.state();
        while !(state.closed || state.waiting > 0) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        !state.closed
    }

    /// Blocks until it is time to look again.
    pub(crate) fn pause(&self) {
        if !self.state().is_armed() {
            self.pause_while(LOOK_UNARMED_EVERY, |state| !state.is_armed());
        } else {
            self.pause_while(LOOK_EVERY, |_| true);
        }
    }

    /// Blocks for `time`, or until the store is closed.
    pub(crate) fn pause_for(&self, time: Duration) {
        self.pause_while(time, |_| true);
    }

    fn pause_while(&self, time: Duration, condition: impl Fn(&State) -> bool) {
        let state = self.state();
        let pauses = |state: &mut State| !state.closed && condition(state);
        drop(self.changed.wait_timeout_while(state, time, pauses));
    }

    /// Ends the thread that looks.
    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who waits, for as long as this value lives.
struct Waiting<'b>(&'b Doorbell);

impl<'b> Waiting<'b> {
    fn begin(bell: &'b Doorbell) -> Self {
        bell.state().waiting += 1;
        bell.changed.notify_all();
        Self(bell)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.state().waiting -= 1;
    }
}

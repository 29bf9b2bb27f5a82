use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ermine_core::{Seq, Spot};
use tokio::time::Instant;

/// For how long the user code of a shard has been at work, and on what.
#[derive(Debug, Default)]
pub(crate) struct Busy(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    since: Option<Instant>,
    /// One for each thread that is at work.
    spots: Vec<Arc<Spot>>,
}

/// User code is at work until this is dropped.
pub(super) struct Working<'b>(&'b Busy);

impl Busy {
    pub(super) fn work(&self) -> Working<'_> {
        let mut state = self.state();
        state.since = Some(Instant::now());
        state.spots.clear();
        Working(self)
    }

    /// A place where a thread notes which event it is about to handle.
    pub(super) fn spot(&self) -> Arc<Spot> {
        let spot = Arc::<Spot>::default();
        self.state().spots.push(spot.clone());
        spot
    }

    /// For how long it has been at work, and the event that it may be stuck at, where that is known.
    pub(crate) fn at_work(&self) -> Option<(Duration, Option<Seq>)> {
        let state = self.state();
        let since = state.since?;
        Some((since.elapsed(), state.spots.iter().filter_map(|spot| spot.event()).min()))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.since = None;
        state.spots.clear();
    }
}

use std::{
    cell::RefCell,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use crate::Seq;

/// Where a thread notes which event its user code is handling, so that somebody else can name it when that takes long.
#[derive(Debug, Default)]
pub struct Spot(AtomicI64);

thread_local! {
    static HERE: RefCell<Option<Arc<Spot>>> = const { RefCell::new(None) };
}

impl Spot {
    /// Does `work`, whose user code notes its events here.
    pub fn watch<T>(self: &Arc<Self>, work: impl FnOnce() -> T) -> T {
        let before = HERE.replace(Some(self.clone()));
        let done = work();
        HERE.set(before);
        self.0.store(0, Ordering::Relaxed);
        done
    }

    /// The event that is being handled, where there is one.
    #[must_use]
    pub fn event(&self) -> Option<Seq> {
        let seq = Seq::from_i64(self.0.load(Ordering::Relaxed));
        (seq > Seq::ZERO).then_some(seq)
    }
}

/// Notes that user code is about to handle the event `seq`.
pub(super) fn note(seq: Seq) {
    HERE.with_borrow(|spot| {
        if let Some(spot) = spot {
            spot.0.store(seq.as_i64(), Ordering::Relaxed);
        }
    });
}

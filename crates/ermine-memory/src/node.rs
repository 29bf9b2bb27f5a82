use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ermine_core::{Error, Result};
use tokio::sync::{Notify, watch};

use crate::{
    EvidenceKind, Faults, Gate,
    bell::Doorbell,
    faults::{Call, Passed, outcome_unknown},
    state::{State, Turn, TxId},
};

/// What all nodes of a store share.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    /// Somebody has let go of a row.
    changed: Notify,
    /// Rises when all connections are lost.
    life: watch::Sender<u64>,
    pub(crate) evidence: EvidenceKind,
}

/// One process that uses the store: its doorbell and its share of trouble.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) shared: Arc<Shared>,
    pub(crate) faults: Faults,
    pub(crate) bell: Arc<Doorbell>,
}

/// A call that has reached the store, and what will happen to it there.
#[derive(Debug)]
pub(crate) struct Entered {
    pub(crate) late: Option<Gate>,
    lose_answer: bool,
}

impl Shared {
    pub(crate) fn new(state: State, evidence: EvidenceKind) -> Self {
        Self { state: Mutex::new(state), changed: Notify::new(), life: watch::Sender::new(0), evidence }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that rows may have become free.
    pub(crate) fn changed(&self) {
        self.changed.notify_waiters();
    }

    /// Ends every connection of every node.
    pub(crate) fn cut(&self) {
        self.life.send_modify(|life| *life += 1);
        self.changed();
    }

    /// Waits until the connections that are open now have been lost.
    pub(crate) fn lost(&self) -> impl Future<Output = ()> + use<> {
        // Subscribed now, not at the first poll: what happens in between counts.
        let mut life = self.life.subscribe();
        async move {
            if life.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Tries until no other transaction stands in the way.
    pub(crate) async fn turn<T>(&self, mut attempt: impl FnMut(&mut State) -> Turn<T>) -> T {
        loop {
            let changed = self.changed.notified();
            let mut changed = std::pin::pin!(changed);
            changed.as_mut().enable();
            if let Turn::Done(done) = attempt(&mut self.state()) {
                return done;
            }
            changed.await;
        }
    }
}

impl Node {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let bell = Arc::new(Doorbell::default());
        shared.state().add_bell(&bell);
        Self { shared, faults: Faults::new(), bell }
    }

    /// The way of a call to the store. It gives way once, so that a caller who drops it early has not made it.
    pub(crate) async fn enter(&self, call: Call) -> Result<Entered> {
        let Passed { stall, late, lose_answer } = self.faults.pass(call)?;
        if let Some(gate) = stall {
            tokio::select! {
                () = gate.pass() => {}
                () = self.shared.lost() => return Err(connection_lost(call)),
            }
        }
        tokio::task::yield_now().await;
        Ok(Entered { late, lose_answer })
    }
}

impl Entered {
    /// The way of the answer back. It gives way once, so that a caller may drop what has been done.
    pub(crate) async fn answer<T>(self, answer: Result<T>) -> Result<T> {
        tokio::task::yield_now().await;
        if self.lose_answer { Err(outcome_unknown()) } else { answer }
    }
}

fn connection_lost(call: Call) -> Error {
    Error::transient(format!("the connection was lost ({call:?})"))
}

/// A transaction that ends with this value: rolled back unless it was committed.
#[derive(Debug)]
pub(crate) struct Tx {
    pub(crate) shared: Arc<Shared>,
    pub(crate) id: TxId,
}

impl Tx {
    pub(crate) fn begin(shared: &Arc<Shared>) -> Self {
        let id = shared.state().begin();
        Self { shared: Arc::clone(shared), id }
    }

    /// Does `end` to the transaction.
    pub(crate) fn end<T>(self, end: impl FnOnce(&mut State, TxId) -> T) -> T {
        let mut state = self.shared.state();
        let ended = end(&mut state, self.id);
        // The lock must be free when `self` is dropped, which rolls back what is left and tells whoever waits.
        drop(state);
        ended
    }

    /// Does `end` when the gate opens, whether or not the caller still waits then.
    pub(crate) async fn end_at<T: Send + 'static>(
        self,
        gate: &Gate,
        end: impl FnOnce(&mut State, TxId) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let shared = Arc::clone(&self.shared);
        let (answer, answered) = tokio::sync::oneshot::channel();
        let lost = shared.lost();
        gate.park(Box::new(move || {
            // Nobody may be waiting any more.
            let _ = answer.send(self.end(end));
        }));
        tokio::select! {
            biased;
            answer = answered => answer.unwrap_or_else(|_| Err(outcome_unknown())),
            () = lost => Err(outcome_unknown()),
        }
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        self.shared.state().rollback(self.id);
        self.shared.changed();
    }
}

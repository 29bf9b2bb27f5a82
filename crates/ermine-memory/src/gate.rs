use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::watch;

type Work = Box<dyn FnOnce() + Send>;

/// Where a call stands still until a test lets it go on.
///
/// Clones are the same gate. Dropping a gate does not open it.
#[derive(Clone)]
pub struct Gate(Arc<Inner>);

struct Inner {
    reached: watch::Sender<bool>,
    released: watch::Sender<bool>,
    /// What is done at the release, whether or not somebody still waits for it.
    work: Mutex<Option<Work>>,
}

impl Gate {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Inner {
            reached: watch::Sender::new(false),
            released: watch::Sender::new(false),
            work: Mutex::new(None),
        }))
    }

    /// Waits until a call stands at the gate.
    ///
    /// # Cancellation
    ///
    /// Safe: it only waits.
    pub async fn reached(&self) {
        wait_for_true(&self.0.reached).await;
    }

    /// Whether a call stands at the gate, or has passed it.
    #[must_use]
    pub fn is_reached(&self) -> bool {
        *self.0.reached.borrow()
    }

    /// Opens the gate, for good.
    pub fn release(&self) {
        let work = {
            let mut parked = self.0.work.lock().unwrap_or_else(PoisonError::into_inner);
            self.0.released.send_replace(true);
            parked.take()
        };
        if let Some(work) = work {
            work();
        }
    }

    /// Stands at the gate until it opens.
    pub(crate) async fn pass(&self) {
        self.0.reached.send_replace(true);
        wait_for_true(&self.0.released).await;
    }

    /// Leaves `work` to be done when the gate opens; at once when it is open.
    pub(crate) fn park(&self, work: Work) {
        {
            let mut parked = self.0.work.lock().unwrap_or_else(PoisonError::into_inner);
            if !*self.0.released.borrow() {
                *parked = Some(work);
                self.0.reached.send_replace(true);
                return;
            }
        }
        work();
        self.0.reached.send_replace(true);
    }
}

async fn wait_for_true(flag: &watch::Sender<bool>) {
    let waited = flag.subscribe().wait_for(|set| *set).await.is_ok();
    debug_assert!(waited, "the sender lives as long as the gate that is borrowed here");
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("reached", &self.is_reached())
            .field("released", &*self.0.released.borrow())
            .finish_non_exhaustive()
    }
}

use std::sync::Arc;

use ermine_core::{Result, Seq};
use tokio::sync::{Mutex, mpsc, oneshot};

/// A request to go on from another place.
#[derive(Debug)]
pub(crate) struct Rewind {
    pub(crate) to: Seq,
    pub(crate) answer: oneshot::Sender<Result<()>>,
}

/// Where a worker is told to go on from another place; shared, because a worker that panicked is started again.
pub(crate) type Rewinds = Arc<Mutex<mpsc::Receiver<Rewind>>>;

/// A way to one worker.
pub(crate) fn rewinds() -> (mpsc::Sender<Rewind>, Rewinds) {
    let (sender, receiver) = mpsc::channel(1);
    (sender, Arc::new(Mutex::new(receiver)))
}

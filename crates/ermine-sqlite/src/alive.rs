//! Waiting for threads that nobody may block on.

use std::convert::Infallible;

use tokio::sync::mpsc;

/// Held by a thread for as long as it has the file open.
#[derive(Clone, Debug)]
pub(crate) struct Alive {
    _until_dropped: mpsc::Sender<Infallible>,
}

/// Knows when all threads have ended.
#[derive(Debug)]
pub(crate) struct Threads(mpsc::Receiver<Infallible>);

impl Threads {
    pub(crate) fn new() -> (Alive, Self) {
        let (alive, threads) = mpsc::channel(1);
        (Alive { _until_dropped: alive }, Self(threads))
    }

    pub(crate) async fn ended(mut self) {
        if let Some(never) = self.0.recv().await {
            match never {}
        }
    }
}

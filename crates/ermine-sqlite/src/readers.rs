//! The threads of a store that read.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::{
    alive::Alive,
    connection::File,
    error::{Fault, Outcome},
};

/// How many readings may wait for a thread before whoever wants another one waits as well.
const QUEUE_MAX: usize = 256;

type Reading = Box<dyn FnOnce(Outcome<&mut Connection>) + Send>;

/// The way to the threads, which end with it. Each opens its connection when it has something to read.
#[derive(Debug)]
pub(crate) struct Readers {
    readings: mpsc::Sender<Reading>,
}

impl Readers {
    /// Starts a pool; `what` it is for is in the names of its threads.
    pub(crate) fn start(file: &Arc<File>, what: &str, alive: &Alive) -> std::io::Result<Self> {
        let (readings, queue) = mpsc::channel(QUEUE_MAX);
        let queue = Arc::new(Mutex::new(queue));
        for nth in 1..=file.options.readers {
            let (file, queue) = (Arc::clone(file), Arc::clone(&queue));
            let builder = thread::Builder::new().name(format!("ermine-sqlite-{what}-{nth}"));
            let alive = alive.clone();
            builder.spawn(move || {
                let _alive = alive;
                run(&file, &queue);
            })?;
        }
        Ok(Self { readings })
    }

    /// Does `work` on a connection that cannot change anything.
    pub(crate) async fn read<T, F>(&self, work: F) -> Outcome<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Outcome<T> + Send + 'static,
    {
        let (waiting, answer) = oneshot::channel();
        let reading: Reading = Box::new(move |connection| {
            if waiting.is_closed() {
                return;
            }
            // One call that panics shall not end the thread for all the others.
            let read = catch_unwind(AssertUnwindSafe(|| work(connection?)));
            // Nobody may be waiting any more.
            let _ = waiting.send(read.unwrap_or(Err(Fault::Panicked)));
        });
        self.readings.send(reading).await.map_err(|_| Fault::Closed)?;
        answer.await.unwrap_or(Err(Fault::Closed))
    }
}

fn run(file: &File, queue: &Mutex<mpsc::Receiver<Reading>>) {
    let mut connection = None;
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
        let Some(reading) = next else { return };
        match &mut connection {
            Some(connection) => reading(Ok(connection)),
            None => match file.reader() {
                Ok(opened) => reading(Ok(connection.insert(opened))),
                Err(fault) => reading(Err(fault)),
            },
        }
    }
}

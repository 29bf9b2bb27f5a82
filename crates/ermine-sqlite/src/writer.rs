//! The one thread of a store that changes anything.

use std::{
    collections::HashSet,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use ermine_core::Seq;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::{
    SqliteOptions,
    alive::Alive,
    bell::Doorbell,
    connection::{self, File, patiently},
    error::{Fault, Outcome},
    incarnation::Lifetime,
};

/// How many changes may wait for the writer before whoever wants another one waits as well.
const QUEUE_MAX: usize = 256;
/// How many changes are committed together, and for how long they are collected.
const GROUP_MAX: usize = 64;
const GROUP_TIME: Duration = Duration::from_millis(5);

/// The way to the writing thread, which ends with it.
#[derive(Debug)]
pub(crate) struct Writer {
    changes: mpsc::Sender<Box<dyn Change>>,
}

/// What a change works with, inside a transaction that is somebody else's to end.
pub(crate) struct Session {
    pub(crate) connection: Connection,
    /// The last number that this transaction has given to an event.
    pub(crate) appended: Option<Seq>,
    /// Whether this transaction has taken everything out of the store.
    pub(crate) emptied: bool,
    /// Texts that are known to be one statement.
    pub(crate) single_statements: HashSet<String>,
}

/// One call that changes something, whatever it answers.
trait Change: Send {
    /// Whether nobody waits for it any more.
    fn is_abandoned(&self) -> bool;
    /// Does the work; says what failed when nothing of it may stay.
    fn run(&mut self, session: &mut Session) -> Result<(), String>;
    /// Tells whoever waits; with a fault instead of the answer where the transaction was not committed.
    fn answer(self: Box<Self>, fault: Option<Fault>);
}

struct Call<T, F> {
    work: Option<F>,
    outcome: Option<Outcome<T>>,
    waiting: oneshot::Sender<Outcome<T>>,
}

impl<T, F> Change for Call<T, F>
where
    T: Send,
    F: FnOnce(&mut Session) -> Outcome<T> + Send,
{
    fn is_abandoned(&self) -> bool {
        self.waiting.is_closed()
    }

    fn run(&mut self, session: &mut Session) -> Result<(), String> {
        let Some(work) = self.work.take() else { return Err(Fault::Closed.to_string()) };
        // One call that panics shall not end the store for all the others.
        let outcome = catch_unwind(AssertUnwindSafe(|| work(session))).unwrap_or(Err(Fault::Panicked));
        let done = outcome.as_ref().map(drop).map_err(ToString::to_string);
        self.outcome = Some(outcome);
        done
    }

    fn answer(self: Box<Self>, fault: Option<Fault>) {
        let outcome = fault.map(Err).or(self.outcome).unwrap_or(Err(Fault::Closed));
        // Nobody may be waiting any more.
        let _ = self.waiting.send(outcome);
    }
}

impl Writer {
    /// Starts the thread, which opens the file; `opened` hears of the file, or why not.
    pub(crate) fn start(
        options: SqliteOptions,
        bell: Arc<Doorbell>,
        alive: Alive,
        opened: oneshot::Sender<Outcome<Arc<File>>>,
    ) -> std::io::Result<Self> {
        let (changes, queue) = mpsc::channel(QUEUE_MAX);
        thread::Builder::new().name("ermine-sqlite-writer".into()).spawn(move || {
            let _alive = alive;
            match Thread::open(options, bell, queue) {
                Ok(thread) => {
                    let _ = opened.send(Ok(Arc::clone(&thread.file)));
                    thread.run();
                }
                Err(fault) => {
                    let _ = opened.send(Err(fault));
                }
            }
        })?;
        Ok(Self { changes })
    }

    /// Does `work` in a transaction, all or nothing, and answers when it is committed.
    pub(crate) async fn change<T, F>(&self, work: F) -> Outcome<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Session) -> Outcome<T> + Send + 'static,
    {
        let (waiting, answer) = oneshot::channel();
        let call = Call { work: Some(work), outcome: None, waiting };
        self.changes.send(Box::new(call)).await.map_err(|_| Fault::Closed)?;
        answer.await.unwrap_or(Err(Fault::Closed))
    }
}

struct Thread {
    session: Session,
    lifetime: Lifetime,
    file: Arc<File>,
    bell: Arc<Doorbell>,
    queue: mpsc::Receiver<Box<dyn Change>>,
}

impl Thread {
    fn open(
        options: SqliteOptions,
        bell: Arc<Doorbell>,
        queue: mpsc::Receiver<Box<dyn Change>>,
    ) -> Outcome<Self> {
        let (connection, file) = connection::writer(options)?;
        let mut lifetime = Lifetime::new(file.options.synchronous);
        patiently(file.options.busy_timeout, || lifetime.settle(&connection))?;
        Ok(Self {
            session: Session {
                connection,
                appended: None,
                emptied: false,
                single_statements: HashSet::new(),
            },
            lifetime,
            file: Arc::new(file),
            bell,
            queue,
        })
    }

    fn run(mut self) {
        while let Some(change) = self.queue.blocking_recv() {
            if !change.is_abandoned() {
                self.commit_group(change);
            }
        }
    }

    /// Commits `first`, and with it what has been waiting meanwhile: a commit waits for the disk, so whoever comes during
    /// that time shares the next one. Nobody is answered before the transaction has ended.
    fn commit_group(&mut self, mut first: Box<dyn Change>) {
        if let Err(fault) = self.begin() {
            return first.answer(Some(fault));
        }
        let began = Instant::now();
        if first.run(&mut self.session).is_err() {
            self.rollback();
            return first.answer(None);
        }
        let mut group = vec![first];
        while group.len() < GROUP_MAX && began.elapsed() < GROUP_TIME {
            let Ok(mut next) = self.queue.try_recv() else { break };
            if next.is_abandoned() {
                continue;
            }
            let kept = self.run_beside(&mut *next);
            group.push(next);
            if let Err(told) = kept {
                self.rollback();
                return lose(group, &told);
            }
        }
        let committed = self.commit();
        if committed.is_ok() {
            self.tell();
        }
        for change in group {
            change.answer(committed.as_ref().err().map(|error| Fault::Commit(Arc::clone(error))));
        }
    }

    /// Rings for what has just been committed.
    fn tell(&self) {
        if self.session.emptied {
            self.bell.forget();
        }
        if let Some(last) = self.session.appended {
            self.bell.appended(last);
        }
    }

    /// Runs a change after others of its transaction: what it has done before it failed goes, what they have done stays.
    /// An error means that the whole transaction is lost: a full disk, for one, makes SQLite give it up.
    fn run_beside(&mut self, change: &mut dyn Change) -> Result<(), String> {
        let told = |error: Arc<rusqlite::Error>| error.to_string();
        let before = (self.session.appended, self.session.emptied);
        self.execute("savepoint change").map_err(told)?;
        if let Err(failed) = change.run(&mut self.session) {
            (self.session.appended, self.session.emptied) = before;
            if self.session.connection.is_autocommit() {
                return Err(failed);
            }
            self.execute("rollback to change").map_err(told)?;
        }
        self.execute("release change").map_err(told)
    }

    fn begin(&mut self) -> Outcome<()> {
        let limit = self.file.options.busy_timeout;
        self.file.check_in_place()?;
        (self.session.appended, self.session.emptied) = (None, false);
        patiently(limit, || self.lifetime.settle(&self.session.connection))?;
        patiently(limit, || self.execute("begin immediate").map_err(Fault::Sqlite))
    }

    fn commit(&mut self) -> Result<(), Arc<rusqlite::Error>> {
        let committed = self.execute("commit");
        if committed.is_err() {
            self.rollback();
        }
        committed
    }

    fn rollback(&mut self) {
        if self.session.connection.is_autocommit() {
            return;
        }
        if let Err(error) = self.execute("rollback") {
            tracing::error!("a transaction could not be rolled back: {error}");
        }
    }

    fn execute(&self, sql: &str) -> Result<(), Arc<rusqlite::Error>> {
        let mut statement = self.session.connection.prepare_cached(sql).map_err(Arc::new)?;
        statement.raw_execute().map(drop).map_err(Arc::new)
    }
}

/// Tells a whole group that nothing was done, whatever each of them had come to.
fn lose(group: Vec<Box<dyn Change>>, told: &str) {
    for change in group {
        change.answer(Some(Fault::Lost(told.to_owned())));
    }
}

#[cfg(test)]
mod tests;

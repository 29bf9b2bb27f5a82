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
    error::{self, Fault, Outcome},
    incarnation::Lifetime,
    statements as sql,
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
    /// How many news there have been, where this transaction has spread some.
    pub(crate) news: Option<i64>,
    /// Texts that are known to be one statement.
    pub(crate) single_statements: HashSet<String>,
}

impl Session {
    /// Wakes whoever waits at the file when this transaction is committed, in other processes too.
    pub(crate) fn spread_news(&mut self) -> Outcome<()> {
        let mut statement = self.connection.prepare_cached(sql::NEWS_SPREAD)?;
        self.news = Some(statement.query_row([], |row| row.get(0))?);
        Ok(())
    }
}

/// One call that changes something, whatever it answers.
trait Change: Send {
    /// Whether nobody waits for it any more.
    fn is_abandoned(&self) -> bool;
    /// Does the work, which may be done again after its transaction came to nothing; whether it may stay.
    fn run(&mut self, session: &mut Session) -> bool;
    /// Tells whoever waits; with a fault instead of the answer where the transaction was not committed.
    fn answer(self: Box<Self>, fault: Option<Fault>);
}

struct Call<T, F> {
    work: F,
    outcome: Option<Outcome<T>>,
    waiting: oneshot::Sender<Outcome<T>>,
}

impl<T, F> Change for Call<T, F>
where
    T: Send,
    F: Fn(&mut Session) -> Outcome<T> + Send,
{
    fn is_abandoned(&self) -> bool {
        self.waiting.is_closed()
    }

    fn run(&mut self, session: &mut Session) -> bool {
        // One call that panics shall not end the store for all the others.
        let outcome = catch_unwind(AssertUnwindSafe(|| (self.work)(session))).unwrap_or(Err(Fault::Panicked));
        self.outcome.insert(outcome).is_ok()
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
        F: Fn(&mut Session) -> Outcome<T> + Send + 'static,
    {
        let (waiting, answer) = oneshot::channel();
        let call = Call { work, outcome: None, waiting };
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
                news: None,
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
        if !first.run(&mut self.session) {
            self.rollback();
            return first.answer(None);
        }
        let mut group = vec![first];
        while group.len() < GROUP_MAX && began.elapsed() < GROUP_TIME {
            let Ok(mut next) = self.queue.try_recv() else { break };
            if next.is_abandoned() {
                continue;
            }
            match self.run_beside(&mut *next) {
                Beside::Kept | Beside::TakenBack => group.push(next),
                Beside::AllLost { by_it } => {
                    self.rollback();
                    if by_it {
                        next.answer(None);
                    } else {
                        group.push(next);
                    }
                    return self.commit_each(group);
                }
            }
        }
        match self.commit() {
            // One of them has left a promise to the file unkept, and which of them cannot be told.
            Err(error) if group.len() > 1 && error::is_refusal(&error) => self.commit_each(group),
            committed => self.answer(group, &committed),
        }
    }

    /// Commits each of a group by itself, after the transaction that they shared came to nothing.
    fn commit_each(&mut self, group: Vec<Box<dyn Change>>) {
        for mut change in group {
            if change.is_abandoned() {
                continue;
            }
            if let Err(fault) = self.begin() {
                change.answer(Some(fault));
            } else if change.run(&mut self.session) {
                let committed = self.commit();
                self.answer(vec![change], &committed);
            } else {
                self.rollback();
                change.answer(None);
            }
        }
    }

    fn answer(&self, group: Vec<Box<dyn Change>>, committed: &Result<(), Arc<rusqlite::Error>>) {
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
        if let Some(count) = self.session.news {
            self.bell.heard(count);
        }
    }

    /// Runs a change after others of its transaction: what it has done before it failed goes, what they have done stays.
    fn run_beside(&mut self, change: &mut dyn Change) -> Beside {
        let before = (self.session.appended, self.session.emptied, self.session.news);
        if self.execute("savepoint change").is_err() {
            return Beside::AllLost { by_it: false };
        }
        let kept = change.run(&mut self.session);
        if !kept {
            (self.session.appended, self.session.emptied, self.session.news) = before;
            if self.session.connection.is_autocommit() || self.execute("rollback to change").is_err() {
                return Beside::AllLost { by_it: true };
            }
        }
        match (self.execute("release change"), kept) {
            (Err(_), _) => Beside::AllLost { by_it: !kept },
            (Ok(()), true) => Beside::Kept,
            (Ok(()), false) => Beside::TakenBack,
        }
    }

    fn begin(&mut self) -> Outcome<()> {
        let limit = self.file.options.busy_timeout;
        self.file.check_in_place()?;
        (self.session.appended, self.session.emptied, self.session.news) = (None, false, None);
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

/// What has become of a transaction that others share.
enum Beside {
    /// The change is part of it.
    Kept,
    /// The change has failed, and nothing of it is left in it.
    TakenBack,
    /// There is nothing left of it: a full disk makes SQLite give it up, and so do statements and triggers that ask for that.
    AllLost {
        /// Whether the change has failed; otherwise it may be done again, as the others.
        by_it: bool,
    },
}

#[cfg(test)]
mod tests;

//! One session of the pool: its client, its driver and its prepared statements.

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use ermine_core::Value;
use postgres_types::{ToSql, Type};
use tokio::{task::JoinSet, time::timeout};
use tokio_postgres::{Client, Row, Statement};

use crate::{
    connect::Opened,
    error::Fault,
    question::{LONG, Question},
    silences::{Silences, Trust},
    sql::Sql,
    value::Untyped,
};

/// The parameters of a statement.
pub(crate) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A session. It ends with this value; whatever it had not committed is rolled back.
pub(crate) struct Connection {
    client: Client,
    prepared: Mutex<HashMap<Arc<str>, Statement>>,
    strangers: AtomicUsize,
    tainted: AtomicBool,
    /// No named statements, because a pooler may give each of them another session.
    unnamed: bool,
    answer_timeout: Duration,
    /// When the server has last said something.
    heard: Mutex<Instant>,
    silences: Arc<Silences>,
    _driver: JoinSet<()>,
}

/// A statement that a session is ready to run.
#[derive(Clone, Debug)]
pub(crate) enum Ready {
    Named(Statement),
    Unnamed(Sql),
    /// One whose parameters' types the server finds out.
    Untyped(Arc<str>),
}

/// How many statements of strangers a session keeps prepared; those that are different every time must not pile up.
const STRANGERS_MAX: usize = 100;

impl Connection {
    pub(crate) fn new(
        opened: Opened,
        unnamed: bool,
        answer_timeout: Duration,
        silences: Arc<Silences>,
    ) -> Self {
        let mut driver = JoinSet::new();
        driver.spawn(opened.driver.run());
        Self {
            client: opened.client,
            prepared: Mutex::default(),
            strangers: AtomicUsize::new(0),
            tainted: AtomicBool::new(false),
            unnamed,
            answer_timeout,
            heard: Mutex::new(Instant::now()),
            silences,
            _driver: driver,
        }
    }

    pub(crate) const fn client(&self) -> &Client {
        &self.client
    }

    /// Whether this session must not be given to anybody again.
    pub(crate) fn is_broken(&self) -> bool {
        self.tainted.load(Ordering::Relaxed) || self.client.is_closed()
    }

    /// Whether this session can be given to somebody. One of which nothing has been heard since another fell silent is asked.
    pub(crate) async fn is_usable(&self) -> bool {
        let heard = *self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        match self.silences.trust(heard) {
            _ if self.is_broken() => false,
            Trust::Full => true,
            Trust::Lost => false,
            Trust::None => {
                let asked = Instant::now();
                let answer = self.answer_within(LONG, self.client.check_connection()).await;
                if matches!(answer, Err(Fault::Silence(_))) {
                    self.silences.over_check(asked);
                }
                answer.is_ok()
            }
        }
    }

    /// Takes the session out of use.
    pub(crate) fn retire(&mut self) {
        *self.tainted.get_mut() = true;
    }

    fn ask(&self) -> Question<impl FnMut(Instant)> {
        Question::ask(|asked| {
            self.tainted.store(true, Ordering::Relaxed);
            self.silences.over_work(asked);
        })
    }

    fn hear(&self, question: Question<impl FnMut(Instant)>) {
        question.answered();
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Until [`Taint::lift`] this session counts as broken: a future dropped in the middle leaves it so.
    pub(crate) fn taint(&self) -> Taint<'_> {
        self.tainted.store(true, Ordering::Relaxed);
        Taint(&self.tainted)
    }

    /// Makes ready to run `sql`; a round trip the first time.
    pub(crate) async fn ready(&self, sql: &Sql) -> Result<Ready, Fault> {
        if self.unnamed {
            return Ok(Ready::Unnamed(sql.clone()));
        }
        if let Some(statement) = self.cached(sql.text()) {
            return Ok(Ready::Named(statement));
        }
        let statement = self.answer(self.client.prepare_typed(sql.text(), sql.types())).await?;
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        prepared.insert(sql.shared_text(), statement.clone());
        Ok(Ready::Named(statement))
    }

    /// Makes ready to run a statement of somebody else's. One that cannot be prepared is left to its turn: by then an
    /// earlier statement may have made what it is missing, and the error is that of the transaction.
    pub(crate) async fn ready_stranger(&self, text: &Arc<str>) -> Result<Ready, Fault> {
        if let Some(statement) = self.cached(text) {
            return Ok(Ready::Named(statement));
        }
        if self.unnamed || self.strangers.load(Ordering::Relaxed) >= STRANGERS_MAX {
            return Ok(Ready::Untyped(Arc::clone(text)));
        }
        match self.answer(self.client.prepare(text)).await {
            Ok(statement) => {
                self.strangers.fetch_add(1, Ordering::Relaxed);
                let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
                prepared.insert(Arc::clone(text), statement.clone());
                Ok(Ready::Named(statement))
            }
            Err(fault) if fault.db().is_some() && !fault.spoils_session() => {
                Ok(Ready::Untyped(Arc::clone(text)))
            }
            Err(fault) => Err(fault),
        }
    }

    fn cached(&self, text: &str) -> Option<Statement> {
        self.prepared.lock().unwrap_or_else(PoisonError::into_inner).get(text).cloned()
    }

    /// Runs a statement that has been made ready.
    pub(crate) async fn run(
        &self,
        ready: &Ready,
        params: Params<'_>,
    ) -> Result<Vec<Row>, tokio_postgres::Error> {
        match ready {
            Ready::Named(statement) => self.client.query(statement, params).await,
            Ready::Unnamed(sql) => self.client.query_typed(sql.text(), &typed(sql, params)).await,
            Ready::Untyped(text) => self.client.query_typed(text, &untyped(params)).await,
        }
    }

    /// Runs a statement that has been made ready, and leaves the rows of its answer out.
    pub(crate) async fn run_blind(
        &self,
        ready: &Ready,
        params: Params<'_>,
    ) -> Result<u64, tokio_postgres::Error> {
        match ready {
            Ready::Named(statement) => self.client.execute(statement, params).await,
            Ready::Unnamed(sql) => self.client.execute_typed(sql.text(), &typed(sql, params)).await,
            Ready::Untyped(text) => self.client.execute_typed(text, &untyped(params)).await,
        }
    }

    /// Runs `sql`.
    pub(crate) async fn query(&self, sql: &Sql, params: Params<'_>) -> Result<Vec<Row>, Fault> {
        let ready = self.ready(sql).await?;
        self.answer(self.run(&ready, params)).await
    }

    /// Runs `sql`, and answers how many rows it has changed.
    pub(crate) async fn execute(&self, sql: &Sql, params: Params<'_>) -> Result<u64, Fault> {
        let ready = self.ready(sql).await?;
        self.answer(self.run_blind(&ready, params)).await
    }

    /// Runs a statement that was made for this one time.
    pub(crate) async fn query_made(&self, text: &str, values: &[Value]) -> Result<Vec<Row>, Fault> {
        let values: Vec<Untyped<&Value>> = values.iter().map(Untyped).collect();
        let params: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as _).collect();
        self.answer(self.client.query_typed(text, &untyped(&params))).await
    }

    /// Runs a statement that is not worth preparing.
    pub(crate) async fn query_once(&self, sql: &Sql, params: Params<'_>) -> Result<Vec<Row>, Fault> {
        self.answer(self.client.query_typed(sql.text(), &typed(sql, params))).await
    }

    /// Waits for an answer, but not for ever: a silent session is not used again.
    pub(crate) async fn answer<T>(
        &self,
        work: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Fault> {
        self.answer_within(self.answer_timeout, work).await
    }

    pub(crate) async fn answer_within<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Fault> {
        let question = self.ask();
        match timeout(limit, work).await {
            Ok(answer) => {
                self.hear(question);
                answer.map_err(|error| self.judge(Fault::Driver(error)))
            }
            Err(_) => Err(self.judge(Fault::Silence(limit))),
        }
    }

    /// Waits for work that judges its faults itself; one deadline for all of it.
    pub(crate) async fn within_deadline<T, E: From<Fault>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let question = self.ask();
        match timeout(self.answer_timeout, work).await {
            Ok(answer) => {
                self.hear(question);
                answer
            }
            Err(_) => Err(self.judge(Fault::Silence(self.answer_timeout)).into()),
        }
    }

    /// Takes the session out of use where a fault asks for it.
    pub(crate) fn judge(&self, fault: Fault) -> Fault {
        if fault.spoils_session() {
            self.tainted.store(true, Ordering::Relaxed);
        }
        fault
    }
}

pub(crate) fn typed<'a>(sql: &Sql, params: Params<'a>) -> Vec<(&'a (dyn ToSql + Sync), Type)> {
    debug_assert_eq!(sql.types().len(), params.len(), "{}", sql.text());
    params.iter().copied().zip(sql.types().iter().cloned()).collect()
}

/// The server finds the types out; the values come as text.
pub(crate) fn untyped<'a>(params: Params<'a>) -> Vec<(&'a (dyn ToSql + Sync), Type)> {
    params.iter().map(|param| (*param, Type::UNKNOWN)).collect()
}

/// Marks a session whose state is open.
#[must_use = "dropping it leaves the session tainted for ever, which is right only when it is in the middle of something"]
pub(crate) struct Taint<'a>(&'a AtomicBool);

impl Taint<'_> {
    /// The session is known to be outside of any transaction.
    pub(crate) fn lift(self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("broken", &self.is_broken()).finish_non_exhaustive()
    }
}

use std::{
    future::poll_fn,
    pin::pin,
    sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    time::Duration,
};

use ermine_core::{Error, ErrorKind, Result};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};
use tokio_postgres::{Client, Row, Statement};

use super::Statements;
use crate::{
    connect::{self, Driver},
    connection::Params,
    error::{ConnectFailure, Effect, Fault},
    question::Question,
    sql::Sql,
    target::{Session, Target},
};

const OBSERVE_WITHIN: Duration = Duration::from_secs(10);

/// One control session.
#[derive(Debug)]
pub(crate) struct Line {
    /// Tells this session from those before and after it.
    pub(crate) id: u64,
    client: Client,
    answer_timeout: Duration,
    ready: Result<Statement, ConnectFailure>,
    /// The value that this session last set the bell to; 0 when it has set none.
    armed: AtomicI64,
    /// Whether its server process was seen to serve nobody else.
    alone: AtomicBool,
    /// Told when it does not answer any more.
    silence: Notify,
}

pub(super) fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Opens a session and makes it ready to observe and to listen, as far as there is a store.
pub(super) async fn open(
    target: &Target,
    session: &Session,
    statements: &Statements,
) -> Result<(Line, Driver)> {
    let opened = connect::open(target, session).await?;
    let (client, mut driver) = (opened.client, opened.driver);
    let mut line = Line {
        id: next_id(),
        client,
        answer_timeout: session.answer_timeout(),
        ready: Err(ConnectFailure::of(&Error::transient("this session is being opened"))),
        armed: AtomicI64::new(0),
        alone: AtomicBool::new(false),
        silence: Notify::new(),
    };
    let ready = {
        let mut preparing = pin!(line.prepare(target, statements));
        tokio::select! {
            ready = &mut preparing => ready,
            // What has been opened in time has to be made ready in time as well.
            () = sleep(session.connect_timeout) => Err(Error::transient("the control connection fell silent while it was opened")),
            () = drain(&mut driver) => Err(Error::transient("the control connection was lost while it was opened")),
        }
    };
    match ready {
        Err(error) if error.is_transient() => return Err(error),
        ready => line.ready = ready.map_err(|error| ConnectFailure::of(&error)),
    }
    Ok((line, driver))
}

async fn drain(driver: &mut Driver) {
    while let Some(Ok(_)) = poll_fn(|cx| driver.poll_message(cx)).await {}
}

impl Line {
    async fn prepare(&self, target: &Target, statements: &Statements) -> Result<Statement> {
        let refusal = |fault: Fault| match fault.code() {
            Some("25006") => Error::new(
                ErrorKind::Refused,
                format!(
                    "{target} is a standby, which knows nothing of appends in flight: connect to the primary"
                ),
            )
            .with_source(fault),
            _ => fault.into_error("opening the control connection", Effect::Reads),
        };
        let rows = self.query_once(&statements.lock_class).await.map_err(refusal)?;
        let class: i32 = rows
            .first()
            .and_then(|row| row.try_get(0).ok())
            .ok_or_else(|| Error::new(ErrorKind::Refused, "the store's own table is empty"))?;
        let listen = format!("listen ermine_{class}");
        self.answer(self.client.batch_execute(&listen)).await.map_err(refusal)?;
        let observe = &statements.observe;
        self.answer(self.client.prepare_typed(observe.text(), observe.types())).await.map_err(refusal)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Whether it observes and listens: there is a store.
    pub(crate) const fn is_ready(&self) -> bool {
        self.ready.is_ok()
    }

    /// Why it cannot observe; `place` says where the store should be.
    pub(crate) fn refusal(&self, place: &str) -> Option<Error> {
        let failure = self.ready.as_ref().err()?;
        if !failure.is_missing() {
            return Some(failure.to_error());
        }
        let told = format!("there is no store at {place}: run the migration, with a role that may create it");
        Some(Error::new(ErrorKind::Refused, told).with_source(failure.to_error()))
    }

    /// One observation.
    pub(crate) async fn observe(&self, arm: Option<i64>, silence: Option<i64>) -> Result<Row, Fault> {
        let Ok(statement) = &self.ready else {
            return Err(Fault::Silence(Duration::ZERO));
        };
        // It takes no lock that anybody keeps, so a long silence is a lost connection.
        let limit = self.answer_timeout.min(OBSERVE_WITHIN);
        self.answer_within(limit, self.client.query_one(statement, &[&arm, &silence])).await
    }

    pub(crate) async fn query_once(&self, sql: &Sql) -> Result<Vec<Row>, Fault> {
        let params: Params<'_> = &[];
        self.answer(self.client.query_typed(
            sql.text(),
            &params.iter().copied().zip(sql.types().iter().cloned()).collect::<Vec<_>>(),
        ))
        .await
    }

    async fn answer<T>(
        &self,
        work: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Fault> {
        self.answer_within(self.answer_timeout, work).await
    }

    async fn answer_within<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Fault> {
        let question = Question::ask(|_| self.silence.notify_one());
        match timeout(limit, work).await {
            Ok(answer) => {
                question.answered();
                answer.map_err(Fault::Driver)
            }
            Err(_) => Err(Fault::Silence(limit)),
        }
    }

    pub(crate) fn is_alone(&self) -> bool {
        self.alone.load(Ordering::Relaxed)
    }

    pub(crate) fn was_seen_alone(&self) {
        self.alone.store(true, Ordering::Relaxed);
    }

    /// Comes back when this session does not answer any more.
    pub(super) async fn fell_silent(&self) {
        self.silence.notified().await;
    }

    pub(crate) fn armed(&self) -> Option<i64> {
        Some(self.armed.load(Ordering::Relaxed)).filter(|value| *value > 0)
    }

    pub(crate) fn has_armed(&self, value: i64) {
        self.armed.store(value, Ordering::Relaxed);
    }
}

use std::{
    future::poll_fn,
    pin::pin,
    sync::atomic::{AtomicI64, AtomicU64, Ordering},
    time::Duration,
};

use ermine_core::{Error, ErrorKind, Result};
use tokio::time::timeout;
use tokio_postgres::{Client, Row, Statement};

use super::Statements;
use crate::{
    connect::{self, Driver},
    connection::Params,
    error::{Effect, Fault},
    sql::Sql,
    target::{Session, Target},
};

/// One control session.
#[derive(Debug)]
pub(crate) struct Line {
    /// Tells this session from those before and after it.
    pub(crate) id: u64,
    client: Client,
    answer_timeout: Duration,
    ready: Result<Statement>,
    /// The value that this session last set the bell to; 0 when it has set none.
    armed: AtomicI64,
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
        ready: Err(Error::transient("this session is being opened")),
        armed: AtomicI64::new(0),
    };
    let ready = {
        let mut preparing = pin!(line.prepare(statements));
        tokio::select! {
            ready = &mut preparing => ready,
            () = drain(&mut driver) => return Err(Error::transient("the control connection was lost while it was opened")),
        }
    };
    if let Err(error) = &ready
        && error.is_transient()
    {
        return ready.map(|_| (line, driver));
    }
    line.ready = ready;
    Ok((line, driver))
}

async fn drain(driver: &mut Driver) {
    while let Some(Ok(_)) = poll_fn(|cx| driver.poll_message(cx)).await {}
}

impl Line {
    async fn prepare(&self, statements: &Statements) -> Result<Statement> {
        let doing = "opening the control connection";
        let rows =
            self.query_once(&statements.lock_class).await.map_err(|f| f.into_error(doing, Effect::Reads))?;
        let class: i32 = rows
            .first()
            .and_then(|row| row.try_get(0).ok())
            .ok_or_else(|| Error::new(ErrorKind::Refused, "the store's own table is empty"))?;
        self.answer(self.client.batch_execute(&format!("listen ermine_{class}")))
            .await
            .map_err(|fault| fault.into_error(doing, Effect::Reads))?;
        let observe = &statements.observe;
        self.answer(self.client.prepare_typed(observe.text(), observe.types()))
            .await
            .map_err(|fault| fault.into_error(doing, Effect::Reads))
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Whether it observes and listens: there is a store.
    pub(crate) const fn is_ready(&self) -> bool {
        self.ready.is_ok()
    }

    pub(crate) fn why_not_ready(&self) -> String {
        match &self.ready {
            Ok(_) => String::new(),
            Err(error) => match error.chain().split_once(": ") {
                Some((_, cause)) => format!(" ({cause})"),
                None => format!(" ({error})"),
            },
        }
    }

    /// One observation.
    pub(crate) async fn observe(&self, arm: Option<i64>, silence: Option<i64>) -> Result<Row, Fault> {
        let Ok(statement) = &self.ready else {
            return Err(Fault::Silence(Duration::ZERO));
        };
        self.answer(self.client.query_one(statement, &[&arm, &silence])).await
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
        match timeout(self.answer_timeout, work).await {
            Ok(answer) => answer.map_err(Fault::Driver),
            Err(_) => Err(Fault::Silence(self.answer_timeout)),
        }
    }

    pub(crate) fn armed(&self) -> Option<i64> {
        Some(self.armed.load(Ordering::Relaxed)).filter(|value| *value > 0)
    }

    pub(crate) fn has_armed(&self, value: i64) {
        self.armed.store(value, Ordering::Relaxed);
    }
}

//! The pool of data connections: bb8 with a manager of our own.

use std::{
    fmt,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bb8::{ErrorSink, ManageConnection, PooledConnection};
use ermine_core::{Error, Result};
use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

use crate::{
    connect,
    connection::Connection,
    error::ConnectFailure,
    silences::Silences,
    target::{Session, Target},
};

/// Opens the pool's sessions.
#[derive(Debug)]
pub(crate) struct Manager {
    target: Target,
    session: Session,
    silences: Arc<Silences>,
}

impl ManageConnection for Manager {
    type Connection = Connection;
    type Error = ConnectFailure;

    async fn connect(&self) -> Result<Connection, ConnectFailure> {
        let opened =
            connect::open(&self.target, &self.session).await.map_err(|err| ConnectFailure::of(&err))?;
        let (unnamed, answer_timeout) = (self.session.behind_pooler, self.session.answer_timeout());
        Ok(Connection::new(opened, unnamed, answer_timeout, self.silences.clone()))
    }

    /// Never called: asking the server costs a round trip per statement, and proves nothing about the next moment.
    async fn is_valid(&self, _: &mut Connection) -> Result<(), ConnectFailure> {
        Ok(())
    }

    fn has_broken(&self, connection: &mut Connection) -> bool {
        connection.is_broken()
    }
}

/// A session on loan; it goes back when dropped, unless it is broken.
pub(crate) type Loan<'a> = PooledConnection<'a, Manager>;

/// Lends sessions.
#[derive(Clone)]
pub(crate) struct Pool {
    inner: bb8::Pool<Manager>,
    failures: Failures,
    wait: Duration,
}

impl Pool {
    pub(crate) fn new(target: Target, session: Session, size: u32) -> Self {
        let failures = Failures::default();
        let wait = session.connect_timeout;
        let inner = bb8::Pool::builder()
            .max_size(size)
            .test_on_check_out(false)
            .retry_connection(false)
            .connection_timeout(wait)
            .idle_timeout(Some(Duration::from_secs(600)))
            .max_lifetime(Some(Duration::from_secs(3600)))
            .error_sink(Box::new(failures.clone()))
            .build_unchecked(Manager { target, session, silences: Arc::default() });
        Self { inner, failures, wait }
    }

    /// A session. When none can be opened and none is open, says why at once instead of waiting.
    pub(crate) async fn get(&self) -> Result<Loan<'_>> {
        let deadline = Instant::now() + self.wait;
        loop {
            let mut failed = pin!(self.failures.0.happened.notified());
            failed.as_mut().enable();
            let loan = tokio::select! {
                biased;
                loan = timeout_at(deadline, self.inner.get()) => loan,
                () = failed => match self.failures.last() {
                    Some(failure) if self.inner.state().connections == 0 => return Err(failure.to_error()),
                    _ => continue,
                },
            };
            match loan {
                Ok(Ok(loan)) if loan.is_usable().await => return Ok(loan),
                // A session that died while nobody used it; dropping it makes room for another.
                Ok(Ok(mut loan)) => loan.retire(),
                Ok(Err(_)) | Err(_) => return Err(self.exhausted()),
            }
        }
    }

    fn exhausted(&self) -> Error {
        let state = self.inner.state();
        match self.failures.last() {
            Some(failure) if state.connections == 0 => failure.to_error(),
            _ => Error::transient(format!(
                "no connection of the pool came free within {:?}: all {} are in use; pool_size makes it larger",
                self.wait, state.connections
            )),
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.inner.state();
        f.debug_struct("Pool")
            .field("connections", &state.connections)
            .field("idle", &state.idle_connections)
            .finish_non_exhaustive()
    }
}

/// Why connections could not be opened.
#[derive(Clone, Debug, Default)]
struct Failures(Arc<FailuresInner>);

#[derive(Debug, Default)]
struct FailuresInner {
    last: Mutex<Option<ConnectFailure>>,
    happened: Notify,
}

impl Failures {
    fn last(&self) -> Option<ConnectFailure> {
        self.0.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ErrorSink<ConnectFailure> for Failures {
    fn sink(&self, failure: ConnectFailure) {
        *self.0.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
        self.0.happened.notify_waiters();
    }

    fn boxed_clone(&self) -> Box<dyn ErrorSink<ConnectFailure>> {
        Box::new(self.clone())
    }
}

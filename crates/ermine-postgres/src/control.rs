//! The control connection: one direct session that observes the log and listens. It is kept open by a task of its own.

mod line;

use std::{fmt, sync::Arc, time::Duration};

use ermine_core::{Error, ErrorKind, Result, Uuid};
pub(crate) use line::Line;
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
    time::{sleep, timeout},
};
use tracing::{debug, info, warn};

use crate::{
    connect,
    connection::Connection,
    error::ConnectFailure,
    sql::Sql,
    target::{Session, Target},
};

const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(1);

/// Owns the control connection's task; both end together.
pub(crate) struct Control {
    shared: Arc<Shared>,
    target: Target,
    session: Session,
    wait: Duration,
    _task: JoinSet<()>,
}

struct Shared {
    state: watch::Sender<State>,
    /// Asks for another attempt before its time.
    hurry: Notify,
    /// Asks for a new session although the old one works.
    renew: Notify,
    rang: Notify,
}

#[derive(Clone)]
enum State {
    Opening,
    Up(Arc<Line>),
    Down { attempt: u64, failure: ConnectFailure },
}

/// What a control session needs to be of use.
#[derive(Clone, Debug)]
pub(crate) struct Statements {
    pub(crate) lock_class: Sql,
    pub(crate) observe: Sql,
}

impl Control {
    /// Opens the session. The first attempt must succeed; from then on it is opened again whenever it is lost.
    pub(crate) async fn open(target: Target, session: Session, statements: Statements) -> Result<Self> {
        let shared = Arc::new(Shared {
            state: watch::Sender::new(State::Opening),
            hurry: Notify::new(),
            renew: Notify::new(),
            rang: Notify::new(),
        });
        // Longer than one attempt may take.
        let wait = session.connect_timeout + session.answer_timeout();
        let mut task = JoinSet::new();
        task.spawn(keep_open(Arc::clone(&shared), target.clone(), session.clone(), statements));
        let control = Self { shared, target, session, wait, _task: task };
        control.line().await?;
        Ok(control)
    }

    /// The session; when there is none, the outcome of the next attempt to open one.
    pub(crate) async fn line(&self) -> Result<Arc<Line>> {
        let mut state = self.shared.state.subscribe();
        let old = match &*state.borrow() {
            State::Down { attempt, .. } => {
                self.shared.hurry.notify_one();
                Some(*attempt)
            }
            State::Up(_) | State::Opening => None,
        };
        self.outcome(&mut state, |state| match state {
            State::Opening => false,
            State::Up(line) => !line.is_closed(),
            State::Down { attempt, .. } => Some(*attempt) != old,
        })
        .await
    }

    /// Another session of the same kind, for whoever wants to compare.
    pub(crate) async fn second(&self) -> Result<Connection> {
        let opened = connect::open(&self.target, &self.session).await?;
        Ok(Connection::new(opened, true, self.session.answer_timeout(), Arc::default()))
    }

    /// Replaces `line` by a new session.
    pub(crate) async fn renew(&self, line: &Line) -> Result<Arc<Line>> {
        let mut state = self.shared.state.subscribe();
        self.shared.renew.notify_one();
        self.outcome(&mut state, |state| match state {
            State::Opening => false,
            State::Up(new) => new.id != line.id && !new.is_closed(),
            State::Down { .. } => true,
        })
        .await
    }

    async fn outcome(
        &self,
        state: &mut watch::Receiver<State>,
        is_it: impl FnMut(&State) -> bool,
    ) -> Result<Arc<Line>> {
        match timeout(self.wait, state.wait_for(is_it)).await {
            Ok(Ok(state)) => match &*state {
                State::Up(line) => Ok(Arc::clone(line)),
                State::Down { failure, .. } => Err(failure.to_error()),
                State::Opening => Err(Error::transient("the control connection is being opened")),
            },
            Ok(Err(_)) => Err(Error::new(ErrorKind::Stopped, "the store's control connection has ended")),
            Err(_) => Err(Error::transient(format!("no control connection within {:?}", self.wait))),
        }
    }

    /// Waits until somebody rings.
    pub(crate) async fn rung(&self) {
        self.shared.rang.notified().await;
    }

    /// Waits until nobody can ring; returns at once when that is so already.
    pub(crate) async fn deaf(&self) {
        let mut state = self.shared.state.subscribe();
        // It fails only when the task has ended, which is deaf as well.
        let _ = state.wait_for(|state| !matches!(state, State::Up(line) if line.is_ready())).await;
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &*self.shared.state.borrow() {
            State::Opening => "opening",
            State::Up(_) => "up",
            State::Down { .. } => "down",
        };
        f.debug_struct("Control").field("state", &state).finish_non_exhaustive()
    }
}

/// Opens the session again and again, for as long as the store lives.
async fn keep_open(shared: Arc<Shared>, target: Target, session: Session, statements: Statements) {
    let mut failed: u64 = 0;
    loop {
        match line::open(&target, &session, &statements).await {
            Ok((line, driver)) => {
                if failed > 0 {
                    info!(attempts = failed, "control connection is back");
                }
                failed = 0;
                serve(&shared, line, driver).await;
                shared.state.send_replace(State::Opening);
            }
            Err(error) => {
                failed += 1;
                if failed == 1 {
                    warn!(error = error.chain(), "control connection is down");
                } else {
                    debug!(error = error.chain(), attempt = failed, "control connection is still down");
                }
                let failure = ConnectFailure::of(&error);
                let attempt = line::next_id();
                shared.state.send_replace(State::Down { attempt, failure });
                tokio::select! {
                    () = sleep(pause(failed)) => {}
                    () = shared.hurry.notified() => {}
                }
            }
        }
    }
}

/// Serves one session until it ends.
async fn serve(shared: &Shared, line: Line, mut driver: crate::connect::Driver) {
    let line = Arc::new(line);
    shared.state.send_replace(State::Up(Arc::clone(&line)));
    // Whoever rang while nobody listened was not heard.
    shared.rang.notify_one();
    let rings = async {
        while let Some(Ok(message)) = std::future::poll_fn(|cx| driver.poll_message(cx)).await {
            if matches!(message, tokio_postgres::AsyncMessage::Notification(_)) {
                shared.rang.notify_one();
            }
        }
    };
    tokio::select! {
        () = rings => {}
        () = shared.renew.notified() => {}
        () = line.fell_silent() => warn!("control connection fell silent, and is opened anew"),
    }
}

/// Doubles up to the longest pause; the last half is left to chance, so that many nodes do not come all at once.
fn pause(failed: u64) -> Duration {
    let doublings = u32::try_from(failed.saturating_sub(1).min(10)).unwrap_or(10);
    let full = RETRY_FIRST.saturating_mul(2_u32.saturating_pow(doublings)).min(RETRY_MAX);
    let chance = f64::from(Uuid::new_v4().as_fields().0) / f64::from(u32::MAX);
    full / 2 + (full / 2).mul_f64(chance)
}

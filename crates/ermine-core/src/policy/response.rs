use std::{fmt, time::Duration};

/// What is done about a failure: first it is tried again, then something is done for good.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    retries: Vec<Duration>,
    then: Option<Action>,
}

/// What is done for good about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// The event is passed and leaves a dead letter; of an unknown type, it is counted.
    Skip,
    /// The event is passed, and no more than counted.
    Ignore,
    /// The shard stands still for so long, and goes on where it was.
    Pause(Duration),
    /// All shards of this process stand still for so long.
    PauseAll(Duration),
    /// The shard stands still until the store answers again, at most for so long.
    AwaitStore(Duration),
    /// The shard stands still, longer each time up to a cap, and tries again; a run that ends, as a rebuild does, fails.
    Halt,
    /// The shard stands still until somebody starts it.
    Stop,
    /// All shards of this process stand still until somebody starts them.
    StopAll,
    /// The shard is left to the process that has taken it, unless that one does not move it.
    StandBack,
}

/// Tries again at once, one time.
#[must_use]
pub fn retry_now() -> Response {
    retry_later([Duration::ZERO])
}

/// Tries again after each of `delays`, and gives up after the last. What follows is said with
/// [`then`](Response::then); otherwise it is up to the next rule.
#[must_use]
pub fn retry_later(delays: impl IntoIterator<Item = Duration>) -> Response {
    Response { retries: delays.into_iter().collect(), then: None }
}

/// Passes the event, which leaves a dead letter.
#[must_use]
pub const fn skip() -> Response {
    Response::of(Action::Skip)
}

/// Passes the event, which is no more than counted. Of a failure that no event is to blame for: goes on as if it had not been.
#[must_use]
pub const fn ignore() -> Response {
    Response::of(Action::Ignore)
}

/// Lets the shard stand still for so long.
#[must_use]
pub const fn pause(duration: Duration) -> Response {
    Response::of(Action::Pause(duration))
}

/// Lets all shards of the process stand still for so long.
#[must_use]
pub const fn pause_all(duration: Duration) -> Response {
    Response::of(Action::PauseAll(duration))
}

/// Lets the shard stand still, each time longer; a rebuild fails.
#[must_use]
pub const fn halt() -> Response {
    Response::of(Action::Halt)
}

/// Stops the shard until somebody starts it.
#[must_use]
pub const fn stop() -> Response {
    Response::of(Action::Stop)
}

/// Stops all shards of the process until somebody starts them.
#[must_use]
pub const fn stop_all() -> Response {
    Response::of(Action::StopAll)
}

impl Response {
    /// An action and no retries.
    #[must_use]
    pub const fn of(action: Action) -> Self {
        Self { retries: Vec::new(), then: Some(action) }
    }

    /// Does this first, and `next` when it has not helped.
    #[must_use]
    pub fn then(mut self, next: Self) -> Self {
        self.retries.extend(next.retries);
        self.then = next.then.or(self.then);
        self
    }

    /// How long to wait before each try.
    #[must_use]
    pub fn retries(&self) -> &[Duration] {
        &self.retries
    }

    /// What is done when no try has helped; `None` leaves it to the next rule.
    #[must_use]
    pub const fn action(&self) -> Option<Action> {
        self.then
    }
}

impl fmt::Display for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if !self.retries.is_empty() {
            let delays: Vec<String> = self.retries.iter().map(|delay| format!("{delay:?}")).collect();
            parts.push(format!("retry after {}", delays.join(", ")));
        }
        parts.extend(self.then.map(|action| action.to_string()));
        f.write_str(&parts.join(", then "))
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Skip => f.write_str("skip"),
            Self::Ignore => f.write_str("ignore"),
            Self::Pause(duration) => write!(f, "pause for {duration:?}"),
            Self::PauseAll(duration) => write!(f, "pause all for {duration:?}"),
            Self::AwaitStore(duration) => write!(f, "wait for the store, at most {duration:?}"),
            Self::Halt => f.write_str("halt"),
            Self::Stop => f.write_str("stop"),
            Self::StopAll => f.write_str("stop all"),
            Self::StandBack => f.write_str("stand back"),
        }
    }
}

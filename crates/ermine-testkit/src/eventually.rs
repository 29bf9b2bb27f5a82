//! Waiting for a condition, with a deadline.

use std::{fmt::Display, future::Future, panic::Location, time::Duration};

use tokio::time::{Instant, sleep, timeout_at};

const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What a condition may return to [`eventually`]: `true`, `Some` and `Ok` end the wait.
///
/// `Err` is the best of them: it says what is still missing, and the panic repeats it.
pub trait Outcome {
    /// What [`eventually`] returns.
    type Value;

    /// The value, or why there is none yet.
    fn settle(self) -> Result<Self::Value, String>;
}

impl Outcome for bool {
    type Value = ();

    fn settle(self) -> Result<(), String> {
        if self { Ok(()) } else { Err("the condition is false".into()) }
    }
}

impl<T> Outcome for Option<T> {
    type Value = T;

    fn settle(self) -> Result<T, String> {
        self.ok_or_else(|| "the condition has no value".into())
    }
}

impl<T, E: Display> Outcome for Result<T, E> {
    type Value = T;

    fn settle(self) -> Result<T, String> {
        self.map_err(|missing| missing.to_string())
    }
}

/// Asks `condition` again and again until it holds, and returns what it then said.
///
/// # Panics
///
/// When it does not hold within `deadline`; the message names the caller's line and the last answer.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use std::time::Duration;
/// let mut looks = 0;
/// let enough = ermine_testkit::eventually(Duration::from_secs(5), || {
///     looks += 1;
///     async move { if looks < 3 { Err(format!("{looks} of 3 looks")) } else { Ok(looks) } }
/// });
/// assert_eq!(enough.await, 3);
/// # }
/// ```
#[track_caller]
pub fn eventually<C, F, O>(deadline: Duration, condition: C) -> impl Future<Output = O::Value>
where
    C: FnMut() -> F,
    F: Future<Output = O>,
    O: Outcome,
{
    let caller = Location::caller();
    async move {
        let outcome = becomes(deadline, condition).await;
        outcome.unwrap_or_else(|last| panic!("not so within {deadline:?} at {caller}: {last}"))
    }
}

/// The same for a caller that goes on when it does not hold: the error is the last answer.
pub async fn becomes<C, F, O>(deadline: Duration, mut condition: C) -> Result<O::Value, String>
where
    C: FnMut() -> F,
    F: Future<Output = O>,
    O: Outcome,
{
    let end = Instant::now() + deadline;
    let mut last = String::from("the condition has not answered at all");
    loop {
        match timeout_at(end, condition()).await.map(Outcome::settle) {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(missing)) => last = missing,
            Err(_) => return Err(format!("{last}, and the condition did not answer again")),
        }
        if Instant::now() + LOOK_EVERY > end {
            return Err(last);
        }
        sleep(LOOK_EVERY).await;
    }
}

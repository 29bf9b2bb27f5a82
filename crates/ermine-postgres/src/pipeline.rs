//! Several statements in one round trip.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
};

use tokio_postgres::Error;

/// One statement on its way.
pub(crate) type Step<'a> = Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>>;

/// Runs `steps` as a pipeline: each is sent in its turn, none waits for the answer to the one before it. The first poll
/// sends all of them, so a pipeline that is dropped has been sent as a whole or not at all.
///
/// # Errors
///
/// That of the first step that failed; the server answers in order, so it is the cause of those after it.
pub(crate) async fn run(steps: Vec<Step<'_>>) -> Result<(), Error> {
    let mut steps: Vec<(Step<'_>, Option<Result<(), Error>>)> =
        steps.into_iter().map(|step| (step, None)).collect();
    poll_fn(|context| {
        let mut pending = false;
        for (step, answer) in steps.iter_mut().filter(|(_, answer)| answer.is_none()) {
            match step.as_mut().poll(context) {
                Poll::Ready(result) => *answer = Some(result),
                Poll::Pending => pending = true,
            }
        }
        if pending { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    steps.into_iter().filter_map(|(_, answer)| answer).collect()
}

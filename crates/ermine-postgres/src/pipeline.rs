//! Several statements in one round trip.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
};

use tokio_postgres::Error;

/// One statement on its way.
pub(crate) type Step<'a, E = Error> = Pin<Box<dyn Future<Output = Result<(), E>> + Send + 'a>>;

/// A step, and the answer to it once it is there.
type Answered<'a, E> = (Step<'a, E>, Option<Result<(), E>>);

/// Runs `steps` as a pipeline: each is sent in its turn, none waits for the answer to the one before it. The first poll
/// sends all of them, so a pipeline that is dropped has been sent as a whole or not at all.
///
/// A step that fails without having been sent, as `is_unsent` tells from its error, ends the pipeline before any later
/// one is sent: a COMMIT must not go out without what it is to commit. The session then stands in the middle of
/// whatever was sent, and must not be used again. An answer of the server may be there before all is sent, too; it ends
/// nothing, since only the COMMIT after an error ends the transaction.
///
/// # Errors
///
/// That of the first step that failed; the server answers in order, so it is the cause of those after it.
pub(crate) async fn run<E>(steps: Vec<Step<'_, E>>, is_unsent: impl Fn(&E) -> bool) -> Result<(), E> {
    let mut steps: Vec<Answered<'_, E>> = steps.into_iter().map(|step| (step, None)).collect();
    let mut sending = true;
    poll_fn(|context| {
        let mut pending = false;
        for (step, answer) in steps.iter_mut().filter(|(_, answer)| answer.is_none()) {
            match step.as_mut().poll(context) {
                Poll::Ready(Err(error)) if sending && is_unsent(&error) => return Poll::Ready(Err(error)),
                Poll::Ready(result) => *answer = Some(result),
                Poll::Pending => pending = true,
            }
        }
        sending = false;
        if pending { Poll::Pending } else { Poll::Ready(Ok(())) }
    })
    .await?;
    steps.into_iter().filter_map(|(_, answer)| answer).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn nothing_is_sent_after_a_step_that_cannot_be_sent() {
        let sent = AtomicUsize::new(0);
        let step = |ok: bool| -> Step<'_, &'static str> {
            let mut polled = false;
            let sent = &sent;
            Box::pin(poll_fn(move |context| {
                if !ok {
                    return Poll::Ready(Err("too large to transmit"));
                }
                if !std::mem::replace(&mut polled, true) {
                    sent.fetch_add(1, Ordering::Relaxed);
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Poll::Ready(Ok(()))
            }))
        };
        let three = || vec![step(true), step(false), step(true)];
        assert_eq!(run(three(), |_| true).await, Err("too large to transmit"));
        assert_eq!(sent.swap(0, Ordering::Relaxed), 1, "the step before it, and not the one after it");
        assert_eq!(
            run(three(), |_| false).await,
            Err("too large to transmit"),
            "a quick answer of the server"
        );
        assert_eq!(sent.swap(0, Ordering::Relaxed), 2, "what ends the transaction is sent all the same");
        assert_eq!(run(vec![step(true), step(true)], |_| true).await, Ok(()));
        assert_eq!(sent.load(Ordering::Relaxed), 2);
    }
}

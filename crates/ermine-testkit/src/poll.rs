//! Dropping a future halfway.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};

/// Polls `future` up to `times` times, each time that it asks to be polled, and then drops it; its output if it came
/// to an end before.
///
/// A cancellation test runs this for 0, 1, 2 and so on until it returns `Some`, and looks each time at what was left
/// behind. A future that never asks to be polled again makes this wait for ever.
pub async fn poll_times<F: Future>(times: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = times;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

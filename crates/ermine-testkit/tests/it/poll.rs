use std::{
    future::ready,
    sync::atomic::{AtomicUsize, Ordering},
};

use ermine_testkit::poll_times;
use tokio::task::yield_now;

#[tokio::test]
async fn a_future_is_dropped_at_every_await_until_it_completes() {
    let steps = AtomicUsize::new(0);
    let mut seen = Vec::new();
    for times in 0.. {
        steps.store(0, Ordering::Relaxed);
        let outcome = poll_times(times, async {
            for _ in 0..2 {
                steps.fetch_add(1, Ordering::Relaxed);
                yield_now().await;
            }
            "done"
        })
        .await;
        seen.push(steps.load(Ordering::Relaxed));
        if outcome == Some("done") {
            break;
        }
    }
    assert_eq!(seen, [0, 1, 2, 2]);
}

#[tokio::test]
async fn a_ready_future_needs_one_poll() {
    assert_eq!(poll_times(0, ready(7)).await, None);
    assert_eq!(poll_times(1, ready(7)).await, Some(7));
}

use std::{cell::Cell, future::pending, panic::AssertUnwindSafe, thread, time::Duration};

use ermine_testkit::eventually;

fn message_of(run: impl FnOnce() + Send + 'static) -> String {
    let panic = thread::spawn(AssertUnwindSafe(run).0).join().expect_err("it panics");
    panic.downcast_ref::<String>().expect("with a message").clone()
}

#[tokio::main(flavor = "current_thread")]
async fn never() {
    eventually(Duration::from_millis(50), || async { Err::<(), _>("3 of 5 views") }).await;
}

#[tokio::main(flavor = "current_thread")]
async fn stuck() {
    eventually(Duration::from_millis(50), pending::<bool>).await;
}

#[tokio::test]
async fn it_returns_what_the_condition_said_in_the_end() {
    let looks = Cell::new(0);
    let third = eventually(Duration::from_secs(5), || {
        looks.set(looks.get() + 1);
        async { (looks.get() == 3).then(|| looks.get()) }
    });
    assert_eq!(third.await, 3);
}

#[test]
fn giving_up_names_the_line_and_what_is_missing() {
    let message = message_of(never);
    assert!(message.contains("3 of 5 views"), "{message}");
    assert!(message.contains("tests/it/eventually.rs:"), "{message}");
}

#[test]
fn a_condition_that_hangs_does_not_hang_the_test() {
    assert!(message_of(stuck).contains("has not answered at all"));
}

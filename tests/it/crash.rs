//! The short form of `cargo xtask crash`.

use ermine_tests::crash::{Application, Plan, enter, run};

#[tokio::test(flavor = "multi_thread")]
async fn what_survives_a_crash_is_applied_once_and_nothing_new_is_missed() {
    let application = Application::this(&["--exact", "crash::application", "--nocapture"]);
    let report = run(&Plan { seed: 1, rounds: 3, application }).await;
    eprintln!("{report}");
    assert!(report.violations.is_empty(), "{report}");
    assert_eq!(report.rounds.len(), 3);
}

/// Not a test: what the test above starts as another process and kills. By itself it does nothing.
#[tokio::test(flavor = "multi_thread")]
async fn application() {
    enter().await;
}

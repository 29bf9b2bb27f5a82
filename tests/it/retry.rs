//! A process that retries dead letters is killed in the middle of it.

use ermine_testkit::pg::TestDatabase;
use ermine_tests::{
    crash::Application,
    retry::{Plan, enter, run},
};

async fn no_event_is_lost_or_doubled(url: String) {
    let application = Application::this(&["--exact", "retry::application", "--nocapture"]);
    let report = run(&Plan { seed: 1, rounds: 5, url, application }).await;
    eprintln!("{report}");
    assert!(report.violations.is_empty(), "{report}");
    // Otherwise the run was too tame to show anything.
    assert!(report.in_the_middle() > 0, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_that_is_killed_is_finished_by_the_next_process_on_postgres() {
    let database = TestDatabase::create().await;
    no_event_is_lost_or_doubled(database.url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_that_is_killed_is_finished_by_the_next_process_on_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("walks.db");
    no_event_is_lost_or_doubled(format!("sqlite:{}", path.display())).await;
}

/// Not a test: what the tests above start as another process and kill. By itself it does nothing.
#[tokio::test(flavor = "multi_thread")]
async fn application() {
    enter().await;
}

//! The short form of `cargo xtask stress`.

use std::time::Duration;

use ermine_tests::stress::{Plan, Recipe, run};

#[tokio::test(flavor = "multi_thread")]
async fn every_committed_event_is_applied_once_and_in_order() {
    let plan = Plan {
        seed: 1,
        writers: 16,
        lasts: Duration::from_secs(12),
        held_max: Duration::from_millis(300),
        spell: Duration::from_secs(2),
        known_bad: vec![Recipe::HighestVisible],
        window: Duration::from_millis(2),
        patience: Duration::from_secs(60),
    };
    let report = run(&plan).await;
    eprintln!("{report}");
    assert!(report.violations.is_empty(), "{report}");
    // Otherwise the run was too tame to show anything.
    assert!(report.lost[&Recipe::HighestVisible] > 0, "no event came late: {report}");
    assert!(report.dead > 0, "no number died: {report}");
}

//! The short form of `cargo xtask chaos`.

use std::time::Duration;

use ermine_tests::chaos::{Plan, run, stop_in_a_black_hole};

#[tokio::test(flavor = "multi_thread")]
async fn every_event_is_applied_once_and_in_order_whatever_goes_wrong_between_daemon_and_server() {
    let plan = Plan {
        seed: std::env::var("ERMINE_CHAOS_SEED").map_or(1, |seed| seed.parse().unwrap()),
        lasts: Duration::from_secs(55),
        fault_max: Duration::from_secs(3),
        hogged: Duration::from_secs(3),
        bout_max: 3,
    };
    let report = run(&plan).await;
    eprintln!("{report}");
    assert!(report.violations.is_empty(), "{report}");
    // Otherwise the run was too tame to show anything.
    assert!(report.faults >= 13 && report.poison > 0, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_stops_in_time_while_nothing_gets_through_to_its_server_and_leaves_nothing_behind() {
    let report = stop_in_a_black_hole().await;
    assert!(report.violations.is_empty(), "{report}");
}

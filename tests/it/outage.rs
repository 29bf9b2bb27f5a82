//! The server goes away; the daemon goes on by itself within five seconds of its return.

use std::time::Duration;

use ermine_testkit::pg::Stop;
use ermine_tests::outage::{Cut, Host};

#[tokio::test]
async fn the_daemon_goes_on_by_itself_after_an_outage() {
    let mut host = Host::start().await;
    host.survive_outage(Duration::from_secs(3), Stop::Fast).await;
    host.survive_outage(Duration::ZERO, Stop::Immediate).await;
    let report = host.finish().await;
    eprintln!("{report}");
    assert!(report.violations.is_empty(), "{report}");
}

#[tokio::test]
async fn the_daemon_goes_on_by_itself_after_any_of_its_connections_was_terminated() {
    let mut host = Host::start().await;
    for cut in Cut::EACH {
        host.survive_cut(cut).await;
    }
    let report = host.finish().await;
    eprintln!("{report}");
    assert!(report.violations.is_empty(), "{report}");
}

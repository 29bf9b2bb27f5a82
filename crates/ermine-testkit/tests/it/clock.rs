use std::time::Duration;

use ermine_core::Clock;
use ermine_testkit::ManualClock;
use jiff::Timestamp;

#[test]
fn time_moves_only_by_hand() {
    let clock = ManualClock::new(Timestamp::UNIX_EPOCH);
    assert_eq!(clock.now(), Timestamp::UNIX_EPOCH);
    clock.advance(Duration::from_millis(1500));
    assert_eq!(clock.now().as_millisecond(), 1500);
    clock.set(Timestamp::UNIX_EPOCH);
    assert_eq!(clock.now(), Timestamp::UNIX_EPOCH);
}

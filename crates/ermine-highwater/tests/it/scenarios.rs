//! Lives in which a mark that is a little wrong loses an event, goes back, or oversleeps.

use std::time::Duration;

use ermine_core::{EventRange, Evidence, HolderId, Incarnation, Observation, Seq, Timestamp, Uuid};
use ermine_highwater::{Hold, Next, Outlook, Policy, Tracker, Verdict};

fn seq(number: u64) -> Seq {
    Seq::new(number)
}

fn range(floor: u64, ceiling: u64) -> EventRange {
    EventRange::new(seq(floor), seq(ceiling)).expect("it is not empty")
}

fn floors(floors: &[u64]) -> Evidence {
    Evidence::Floors(floors.iter().copied().map(Seq::new).collect())
}

fn holders(names: &[&str]) -> Evidence {
    Evidence::Holders(names.iter().map(|name| HolderId((*name).into())).collect())
}

fn visible(contiguous: u64, next: Option<u64>) -> Evidence {
    Evidence::Visible { contiguous: seq(contiguous), next: next.map(Seq::new) }
}

/// An observation during which nothing happens.
fn still(last: u64, evidence: Evidence, highest_visible: u64) -> Observation {
    Observation {
        incarnation: Incarnation(Uuid::from_u128(1)),
        last: seq(last),
        evidence,
        last_again: seq(last),
        highest_visible: seq(highest_visible),
        at: Timestamp::UNIX_EPOCH,
    }
}

fn at(ms: i64, observation: Observation) -> Observation {
    let at = Timestamp::from_millisecond(ms).expect("tests run for less than an age");
    Observation { at, ..observation }
}

fn sound(tracker: &mut Tracker, observation: &Observation) -> Outlook {
    match tracker.handle_observation(observation, true) {
        Verdict::Sound(outlook) => outlook,
        other => panic!("{other:?}"),
    }
}

fn by_floors(progress: u64) -> Tracker {
    Tracker::resume(seq(progress), Policy::Floors)
}

fn by_clock() -> Tracker {
    Tracker::resume(seq(0), Policy::timed_skip())
}

#[test]
fn the_lowest_floor_holds_the_mark_and_is_named() {
    let mut tracker = by_floors(2);
    let outlook = sound(&mut tracker, &still(9, floors(&[7, 4, 6]), 9));
    assert_eq!(outlook.advanced, Some(range(2, 4)));
    assert_eq!(outlook.next, Next::Held(Hold::Floor(seq(4))));
}

#[test]
fn a_floor_below_the_mark_does_not_take_it_back() {
    // An appender reads the last number, loses the processor, and takes its floor after the mark has passed it.
    let mut tracker = by_floors(0);
    assert_eq!(sound(&mut tracker, &still(5, floors(&[]), 5)).advanced, Some(range(0, 5)));
    let outlook = sound(&mut tracker, &still(5, floors(&[0]), 5));
    assert_eq!((outlook.advanced, tracker.mark()), (None, seq(5)));
    assert_eq!(outlook.next, Next::Held(Hold::Floor(seq(0))), "it may still append without ringing");
}

#[test]
fn a_floor_above_the_last_number_does_not_take_the_mark_there() {
    // The floor was taken after the last number was read.
    let mut tracker = by_floors(0);
    let observation = Observation { last_again: seq(9), ..still(3, floors(&[8]), 8) };
    assert_eq!(sound(&mut tracker, &observation).advanced, Some(range(0, 3)));
}

#[test]
fn a_tail_of_dead_numbers_is_neither_passed_nor_waited_for() {
    let mut tracker = by_floors(0);
    let outlook = sound(&mut tracker, &still(9, floors(&[]), 6));
    assert_eq!(outlook.advanced, Some(range(0, 6)));
    assert_eq!(outlook.next, Next::MaySleep);
}

#[test]
fn a_deleted_tail_does_not_keep_the_driver_awake() {
    let mut tracker = by_floors(8);
    let outlook = sound(&mut tracker, &still(8, floors(&[]), 6));
    assert_eq!((outlook.next, tracker.mark()), (Next::MaySleep, seq(8)));
}

#[test]
fn who_comes_and_goes_between_last_and_evidence_is_not_slept_over() {
    // It drew 6 after S0 and before the bell was armed for it to see, and had ended before S1.
    let mut tracker = by_floors(5);
    let observation = Observation { last_again: seq(6), ..still(5, floors(&[]), 5) };
    assert_eq!(sound(&mut tracker, &observation).next, Next::Moving);
}

#[test]
fn an_event_that_shows_after_everything_else_is_not_slept_over() {
    let mut tracker = by_floors(5);
    let outlook = sound(&mut tracker, &still(5, floors(&[]), 6));
    assert_eq!((outlook.next, outlook.advanced), (Next::Moving, None));
}

#[test]
fn nobody_sleeps_when_nobody_would_ring() {
    let verdict = by_floors(5).handle_observation(&still(5, floors(&[]), 5), false);
    assert!(matches!(verdict, Verdict::Sound(outlook) if outlook.next == Next::CaughtUp));
}

#[test]
fn a_new_incarnation_is_not_believed_and_goes_on_being_reported() {
    let mut tracker = by_floors(0);
    sound(&mut tracker, &still(5, floors(&[]), 5));
    let incarnation = Incarnation(Uuid::from_u128(2));
    let after = Observation { incarnation, ..still(9, floors(&[]), 9) };
    for _ in 0..2 {
        assert_eq!(tracker.handle_observation(&after, true), Verdict::Rewound { incarnation });
        assert_eq!(tracker.mark(), seq(5));
    }
}

#[test]
fn a_crash_between_reading_progress_and_the_first_look_is_noticed() {
    let mut tracker = by_floors(5).in_incarnation(Incarnation(Uuid::from_u128(7)));
    let verdict = tracker.handle_observation(&still(9, floors(&[]), 9), true);
    assert!(matches!(verdict, Verdict::Rewound { .. }));
}

#[test]
fn a_sequence_that_went_back_is_refused() {
    let mut restored = by_floors(9);
    let verdict = restored.handle_observation(&still(7, floors(&[]), 7), true);
    assert_eq!(verdict, Verdict::Backwards { last: seq(7), known: seq(9) });

    // Numbers above the mark are issued again: under epochs an old list of holders would speak for new ones.
    let mut set_back = Tracker::resume(seq(0), Policy::SequenceEpochs);
    sound(&mut set_back, &still(9, holders(&["a"]), 3));
    let verdict = set_back.handle_observation(&still(5, holders(&["a", "b"]), 3), true);
    assert_eq!(verdict, Verdict::Backwards { last: seq(5), known: seq(9) });

    let mut meanwhile = by_floors(0);
    let observation = Observation { last_again: seq(2), ..still(5, floors(&[]), 2) };
    let verdict = meanwhile.handle_observation(&observation, true);
    assert_eq!(verdict, Verdict::Backwards { last: seq(2), known: seq(5) });
    assert_eq!(meanwhile.mark(), seq(0));
}

#[test]
fn evidence_of_another_kind_is_refused() {
    let mut tracker = by_floors(1);
    let verdict = tracker.handle_observation(&still(5, visible(5, None), 5), true);
    assert_eq!(verdict, Verdict::Unfit { policy: "floors", evidence: "visible events" });
    assert_eq!(tracker.mark(), seq(1));
}

#[test]
fn an_epoch_is_settled_when_the_last_of_its_holders_has_ended() {
    let mut tracker = Tracker::resume(seq(0), Policy::SequenceEpochs);
    let outlook = sound(&mut tracker, &still(4, holders(&["a", "b"]), 4));
    assert_eq!(outlook.advanced, None, "a fresh reader waits for all who hold the sequence");
    assert_eq!(sound(&mut tracker, &still(8, holders(&["b", "c"]), 8)).advanced, None);
    let outlook = sound(&mut tracker, &still(9, holders(&["c"]), 9));
    assert_eq!(outlook.advanced, Some(range(0, 4)));
    let Next::Held(Hold::Holders { floor, holders: names }) = outlook.next else { panic!("{outlook:?}") };
    assert_eq!((floor, names), (seq(4), vec![HolderId("c".into())]));
    let outlook = sound(&mut tracker, &still(9, holders(&[]), 9));
    assert_eq!((outlook.advanced, outlook.next), (Some(range(4, 9)), Next::MaySleep));
}

#[test]
fn a_hole_is_skipped_when_the_mark_has_stood_before_it_for_the_threshold() {
    let mut tracker = by_clock();
    let hole = || still(6, visible(3, Some(6)), 6);
    for ms in [0, 1000, 2999] {
        let outlook = sound(&mut tracker, &at(ms, hole()));
        assert_eq!((outlook.skipped, outlook.next), (None, Next::Held(Hold::Hole(range(3, 5)))));
    }
    let outlook = sound(&mut tracker, &at(3000, hole()));
    assert_eq!((outlook.skipped, outlook.advanced), (Some(range(3, 5)), Some(range(3, 6))));
    assert_eq!(outlook.next, Next::MaySleep);
    assert_eq!(tracker.skipped_numbers(), 2);
    assert_eq!(tracker.watched().collect::<Vec<_>>(), [range(3, 5)]);
}

#[test]
fn a_hole_younger_than_the_harbour_is_not_skipped_however_long_the_mark_stands() {
    let policy =
        Policy::TimedSkip { threshold: Duration::from_secs(1), safe_harbour: Duration::from_secs(60) };
    let mut tracker = Tracker::resume(seq(0), policy);
    for ms in [0, 30_000, 59_999] {
        assert_eq!(sound(&mut tracker, &at(ms, still(6, visible(3, Some(6)), 6))).skipped, None);
    }
    let outlook = sound(&mut tracker, &at(60_000, still(6, visible(3, Some(6)), 6)));
    assert_eq!(outlook.skipped, Some(range(3, 5)));
}

#[test]
fn an_old_hole_is_waited_for_when_it_is_first_met() {
    // The tail was dead for an hour; only now is there an event behind it.
    let mut tracker = by_clock();
    sound(&mut tracker, &at(0, still(5, visible(3, None), 3)));
    let hole = || still(6, visible(3, Some(6)), 6);
    assert_eq!(sound(&mut tracker, &at(3_600_000, hole())).skipped, None);
    assert_eq!(sound(&mut tracker, &at(3_602_999, hole())).skipped, None);
    assert_eq!(sound(&mut tracker, &at(3_603_000, hole())).skipped, Some(range(3, 5)));
}

#[test]
fn holes_of_one_age_cost_one_wait() {
    let mut tracker = by_clock();
    sound(&mut tracker, &at(0, still(9, visible(1, Some(3)), 9)));
    assert_eq!(sound(&mut tracker, &at(3000, still(9, visible(1, Some(3)), 9))).skipped, Some(range(1, 2)));
    assert_eq!(sound(&mut tracker, &at(3010, still(9, visible(5, Some(7)), 9))).skipped, Some(range(5, 6)));
    assert_eq!(sound(&mut tracker, &at(3020, still(9, visible(7, Some(9)), 9))).skipped, Some(range(7, 8)));
}

#[test]
fn an_event_that_fills_a_hole_in_time_starts_the_wait_anew() {
    let mut tracker = by_clock();
    sound(&mut tracker, &at(0, still(6, visible(2, Some(6)), 6)));
    sound(&mut tracker, &at(2900, still(6, visible(3, Some(6)), 6)));
    assert_eq!(sound(&mut tracker, &at(3100, still(6, visible(3, Some(6)), 6))).skipped, None);
    assert_eq!(sound(&mut tracker, &at(5900, still(6, visible(3, Some(6)), 6))).skipped, Some(range(3, 5)));
}

#[test]
fn a_clock_that_went_back_makes_nothing_older() {
    let mut tracker = by_clock();
    sound(&mut tracker, &at(100_000, still(6, visible(3, Some(6)), 6)));
    assert_eq!(sound(&mut tracker, &at(1000, still(6, visible(3, Some(6)), 6))).skipped, None);
    assert_eq!(sound(&mut tracker, &at(3999, still(6, visible(3, Some(6)), 6))).skipped, None);
    assert_eq!(sound(&mut tracker, &at(4000, still(6, visible(3, Some(6)), 6))).skipped, Some(range(3, 5)));
}

#[test]
fn a_skipped_hole_is_looked_at_again_at_growing_distances_and_then_released() {
    let mut tracker = by_clock();
    sound(&mut tracker, &at(0, still(6, visible(3, Some(6)), 6)));
    sound(&mut tracker, &at(3000, still(6, visible(3, Some(6)), 6)));
    let (mut looks, mut released) = (Vec::new(), None);
    for seconds in 4..=3 * 1024 + 3 {
        let outlook = sound(&mut tracker, &at(seconds * 1000, still(6, visible(6, None), 6)));
        if outlook.look_back == [range(3, 5)] {
            looks.push(seconds);
        }
        if outlook.released == [range(3, 5)] {
            released = Some(seconds);
        }
    }
    assert_eq!(looks, [6, 12, 24, 48, 96, 192, 384, 768, 1536, 3072]);
    assert_eq!(released, Some(3072));
    assert_eq!(tracker.watched().count(), 0);
}

#[test]
fn what_the_watch_list_cannot_hold_is_said() {
    let mut tracker = by_clock();
    sound(&mut tracker, &at(0, still(400, visible(0, Some(2)), 400)));
    let mut released = Vec::new();
    for hole in 0..140 {
        let observation = at(3000, still(400, visible(2 * hole, Some(2 * hole + 2)), 400));
        released.extend(sound(&mut tracker, &observation).released);
    }
    assert_eq!(tracker.watched().count(), 128);
    assert_eq!(released.len(), 12);
    assert_eq!(released[0], range(0, 1), "the oldest go first");
    assert_eq!(tracker.skipped_numbers(), 140);
}

#[test]
fn a_young_tail_keeps_the_driver_awake_and_an_old_one_does_not() {
    let mut tracker = by_clock();
    let outlook = sound(&mut tracker, &at(0, still(5, visible(3, None), 3)));
    assert_eq!(outlook.next, Next::Held(Hold::Hole(range(3, 5))));
    assert_eq!(sound(&mut tracker, &at(3000, still(5, visible(3, None), 3))).next, Next::MaySleep);
}

//! When to look again, and when the bell shall ring.

use std::time::Duration;

use ermine_core::{Bell, Evidence, HolderId, Incarnation, Observation, Seq, Timestamp, Uuid};
use ermine_highwater::{Pace, Policy, Round, Tempo, Tracker, Verdict, Wait};

const FAST: Duration = Duration::from_micros(300);
const SAFETY: Duration = Duration::from_secs(5);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A store in which `last` numbers have been drawn and are visible.
fn verdict(policy: Policy, last: u64, evidence: Evidence, armed: bool) -> Verdict {
    let last = Seq::new(last);
    let observation = Observation {
        incarnation: Incarnation(Uuid::nil()),
        last,
        evidence,
        last_again: last,
        highest_visible: last,
        at: Timestamp::UNIX_EPOCH,
    };
    Tracker::resume(Seq::ZERO, policy).handle_observation(&observation, armed)
}

fn quiet(last: u64, armed: bool) -> Verdict {
    verdict(Policy::Floors, last, Evidence::Floors(vec![]), armed)
}

fn held(last: u64) -> Verdict {
    verdict(Policy::Floors, last, Evidence::Floors(vec![Seq::ZERO]), true)
}

fn round(now: Duration, last: u64) -> Round {
    Round { now, took: FAST, last: Seq::new(last), busy: false }
}

fn pace() -> Pace {
    Pace::new(Tempo::default())
}

/// A pace with an observation under way, whose maker hears the bell.
fn looking() -> Pace {
    let mut pace = pace();
    assert!(pace.look(ms(0), true).armed);
    pace
}

/// One observation of a quiet store.
fn look_at_quiet(pace: &mut Pace, now: Duration, last: u64, listening: bool) -> Wait {
    let look = pace.look(now, listening);
    pace.handle_verdict(&quiet(last, look.armed), &round(now, last))
}

#[test]
fn idle_is_a_safety_poll_while_somebody_can_ring_and_a_second_while_nobody_can() {
    assert_eq!(look_at_quiet(&mut pace(), ms(0), 7, true), Wait { pause: ms(0), listen: SAFETY });
    assert_eq!(look_at_quiet(&mut pace(), ms(0), 7, false), Wait { pause: ms(1000), listen: ms(0) });
}

#[test]
fn the_bell_is_armed_first_and_then_renewed_before_it_expires() {
    let mut pace = pace();
    let (mut now, mut until, mut armings) = (ms(0), ms(0), 0);
    while now < ms(120_000) {
        let look = pace.look(now, true);
        if let Bell::Arm(rings_for) = look.bell {
            (until, armings) = (now + rings_for, armings + 1);
        }
        assert!(look.armed);
        let wait = pace.handle_verdict(&quiet(7, look.armed), &round(now, 7));
        now += wait.pause + wait.listen;
        assert!(now < until, "the bell expired in its sleep");
    }
    assert!((9..=13).contains(&armings), "{armings} armings in two minutes");
}

#[test]
fn a_failed_observation_leaves_the_bell_unknown() {
    let mut pace = pace();
    assert!(matches!(pace.look(ms(0), true).bell, Bell::Arm(_)));
    assert!(matches!(pace.look(ms(10), true).bell, Bell::Arm(_)), "nobody said that the first was answered");
    let _ = pace.handle_verdict(&quiet(7, true), &round(ms(20), 7));
    assert_eq!(pace.look(ms(30), true).bell, Bell::Leave);
}

#[test]
fn nothing_is_armed_for_one_who_does_not_listen() {
    let mut pace = pace();
    assert!(!pace.look(ms(0), false).armed);
    let _ = pace.handle_verdict(&quiet(7, false), &round(ms(0), 7));
    assert!(pace.look(ms(10), true).armed, "the bell itself is up, and now it is heard");
}

#[test]
fn a_crash_takes_the_bell_with_it_and_is_followed_up_at_once() {
    let mut pace = pace();
    let _ = look_at_quiet(&mut pace, ms(0), 7, true);
    let rewound = Verdict::Rewound { incarnation: Incarnation(Uuid::max()) };
    let wait = pace.handle_verdict(&rewound, &round(ms(10), 7));
    assert_eq!(wait, Wait { pause: ms(0), listen: ms(0) });
    assert!(matches!(pace.look(ms(10), true).bell, Bell::Arm(_)));
}

#[test]
fn what_holds_the_mark_decides_how_soon_to_look() {
    let mut pace = looking();
    assert_eq!(pace.handle_verdict(&held(7), &round(ms(0), 7)).listen, ms(10));
    let busy = Round { busy: true, ..round(ms(0), 7) };
    assert_eq!(pace.handle_verdict(&held(7), &busy).listen, ms(5));
    let by_epochs = Evidence::Holders(vec![HolderId("3/7".into())]);
    let by_epochs = verdict(Policy::SequenceEpochs, 7, by_epochs, true);
    assert_eq!(pace.handle_verdict(&by_epochs, &round(ms(0), 7)).listen, ms(1));
    let looked_at = Evidence::Holders(vec![HolderId("3/7".into())]);
    let looked_at = verdict(Policy::SequenceEpochs, 0, looked_at, true);
    assert_eq!(pace.handle_verdict(&looked_at, &round(ms(0), 0)).listen, ms(10), "it has drawn nothing");
    let by_clock = Evidence::Visible { contiguous: Seq::new(2), next: Some(Seq::new(7)) };
    let by_clock = verdict(Policy::timed_skip(), 7, by_clock, true);
    assert_eq!(pace.handle_verdict(&by_clock, &round(ms(0), 7)).listen, ms(50));
}

#[test]
fn what_needs_a_person_is_looked_at_now_and_then() {
    let backwards = Verdict::Backwards { last: Seq::ZERO, known: Seq::new(7) };
    assert_eq!(looking().handle_verdict(&backwards, &round(ms(0), 7)).listen, SAFETY);
}

#[test]
fn there_are_not_more_than_a_hundred_looks_a_second_for_long() {
    let mut pace = pace();
    let (mut now, mut looks, mut in_first_second) = (ms(0), 0, 0);
    while now < ms(20_000) {
        let _ = pace.look(now, true);
        let busy = Round { busy: true, ..round(now, 7) };
        let wait = pace.handle_verdict(&held(7), &busy);
        now += wait.pause + Duration::from_micros(700); // somebody rings at once
        looks += 1;
        in_first_second += u32::from(now < ms(1000));
    }
    assert!((2000..=2110).contains(&looks), "{looks} looks in 20 s");
    assert!(in_first_second > 150, "a burst is served at once: {in_first_second} looks");
}

#[test]
fn a_slow_look_is_followed_by_a_rest_ten_times_as_long() {
    let mut pace = looking();
    let slow = |now| Round { took: ms(21), ..round(now, 7) };
    assert_eq!(pace.handle_verdict(&held(7), &slow(ms(0))).pause, ms(0), "one alone says nothing");
    assert_eq!(pace.handle_verdict(&held(7), &slow(ms(100))), Wait { pause: ms(200), listen: ms(0) });
    assert_eq!(pace.handle_verdict(&held(7), &round(ms(400), 7)).pause, ms(0));
    let stuck = |now| Round { took: ms(60_000), ..round(now, 7) };
    let _ = pace.handle_verdict(&held(7), &stuck(ms(100_000)));
    assert_eq!(
        pace.handle_verdict(&held(7), &stuck(ms(200_000))).pause,
        SAFETY,
        "and never longer than this"
    );
}

/// Looks every 10 ms for `seconds` while `per_second` numbers are drawn; gives the bells that were not left alone.
fn bells(pace: &mut Pace, now: &mut Duration, last: &mut u64, per_second: u64, seconds: u64) -> Vec<Bell> {
    let mut bells = Vec::new();
    for look in 0..seconds * 100 {
        *now += ms(10);
        *last += per_second * (look + 1) / 100 - per_second * look / 100;
        let look = pace.look(*now, true);
        bells.extend((look.bell != Bell::Leave).then_some(look.bell));
        let verdict = quiet(*last, look.armed);
        let wait = pace.handle_verdict(&verdict, &round(*now, *last));
        let polls = wait.pause + wait.listen <= ms(10);
        assert_eq!(polls, !look.armed, "whoever is not rung for polls");
    }
    bells
}

#[test]
fn the_bell_is_silenced_while_much_is_appended() {
    let (mut pace, mut now, mut last) = (pace(), ms(0), 0);
    let mut run = |per_second, seconds| bells(&mut pace, &mut now, &mut last, per_second, seconds);
    assert!(matches!(run(150, 5)[..], [Bell::Arm(_)]), "a light load is rung for");
    assert_eq!(run(1000, 5), [Bell::Silence]);
    assert!(run(150, 5).is_empty(), "between the bounds nothing changes");
    assert!(matches!(run(10, 5)[..], [Bell::Arm(_)]));
}

#[test]
fn one_large_append_does_not_silence_the_bell() {
    let (mut pace, mut now, mut last) = (pace(), ms(0), 0);
    bells(&mut pace, &mut now, &mut last, 10, 3);
    last += 10_000;
    bells(&mut pace, &mut now, &mut last, 10, 3);
    assert!(!pace.is_silenced());
}

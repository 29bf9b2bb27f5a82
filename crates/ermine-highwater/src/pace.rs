use std::time::Duration;

use ermine_core::{Bell, Seq};

use crate::{Hold, Next, Verdict};

/// How often to look under which circumstances.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tempo {
    /// While asleep with the bell armed: what finds events whose append did not ring. 5 s.
    pub safety_poll: Duration,
    /// While caught up when nobody can ring, because LISTEN is down. 1 s.
    pub deaf_poll: Duration,
    /// While something keeps the mark, or the bell is silenced. 10 ms.
    pub held_poll: Duration,
    /// While pages come back with events, or numbers were drawn during the observation. 5 ms.
    pub busy_poll: Duration,
    /// While the holders of a sequence keep the mark below the last number: it moves one observation after the number
    /// was seen, so the second one is worth hurrying for. 1 ms.
    pub epoch_poll: Duration,
    /// While a hole waits for the clock. 50 ms.
    pub hole_poll: Duration,
    /// How many observations per second there may be for longer than about a second. 100.
    pub looks_per_second_max: u32,
    /// Above so many numbers drawn per second, for two seconds, the bell is silenced; below half of it armed again. 200.
    pub ring_below_per_second: u32,
}

impl Default for Tempo {
    fn default() -> Self {
        Self {
            safety_poll: Duration::from_secs(5),
            deaf_poll: Duration::from_secs(1),
            held_poll: Duration::from_millis(10),
            busy_poll: Duration::from_millis(5),
            epoch_poll: Duration::from_millis(1),
            hole_poll: Duration::from_millis(50),
            looks_per_second_max: 100,
            ring_below_per_second: 200,
        }
    }
}

/// Says when to look again, and when the bell shall ring.
///
/// Like the tracker it has no clock: `now` is the time since any fixed moment, by a clock that never goes back.
///
/// ```
/// use std::time::Duration;
/// use ermine_core::{Bell, Evidence, Incarnation, Observation, Seq, Timestamp, Uuid};
/// use ermine_highwater::{Pace, Policy, Round, Tempo, Tracker};
///
/// let (mut pace, mut tracker) = (Pace::new(Tempo::default()), Tracker::resume(Seq::ZERO, Policy::Floors));
/// let now = Duration::ZERO;
/// let look = pace.look(now, true);
/// assert!(matches!(look.bell, Bell::Arm(_)), "armed is the resting state");
/// // .. ask the store, with `look.bell` and `tracker.mark()`
/// # let observation = Observation {
/// #     incarnation: Incarnation(Uuid::nil()), last: Seq::ZERO, evidence: Evidence::Floors(vec![]),
/// #     last_again: Seq::ZERO, highest_visible: Seq::ZERO, at: Timestamp::UNIX_EPOCH,
/// # };
/// let verdict = tracker.handle_observation(&observation, look.armed);
/// let took = Duration::from_millis(1);
/// let wait = pace.handle_verdict(&verdict, &Round { now: now + took, took, last: observation.last, busy: false });
/// assert_eq!(wait.listen, Duration::from_secs(5));
/// ```
#[derive(Clone, Debug)]
pub struct Pace {
    tempo: Tempo,
    /// Until when appends ring, where that is known.
    armed_until: Option<Duration>,
    /// The arming that goes out with the observation under way.
    arming_until: Option<Duration>,
    listening: bool,
    meter: Meter,
    limit: Limit,
    took_before: Duration,
}

/// What the next observation asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Look {
    /// What the observation does with the bell.
    pub bell: Bell,
    /// Whether appends ring, and are heard, from then until after the next sleep: for the tracker.
    pub armed: bool,
}

/// How an observation went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Round {
    /// When its answer was there.
    pub now: Duration,
    /// How long it took.
    pub took: Duration,
    /// The last number drawn, as it said.
    pub last: Seq,
    /// Whether shards have loaded events since the observation before: pages come back non-empty.
    pub busy: bool,
}

/// How long to wait before the next observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "without the wait the store is asked without end"]
pub struct Wait {
    /// Wait so long whoever rings.
    pub pause: Duration,
    /// Then wait for a ring, at most so long. Zero while rings are not heard; waiting for one all the same, with this
    /// time-out, says whether they are again.
    pub listen: Duration,
}

impl Pace {
    /// Starts with the bell in an unknown state.
    #[must_use]
    pub fn new(tempo: Tempo) -> Self {
        Self {
            tempo,
            armed_until: None,
            arming_until: None,
            listening: false,
            meter: Meter::default(),
            limit: Limit::default(),
            took_before: Duration::ZERO,
        }
    }

    /// Whether the bell is kept quiet because so much is appended that polling is cheaper.
    #[must_use]
    pub fn is_silenced(&self) -> bool {
        self.meter.is_loud
    }

    /// What to ask for now. `listening` is whether rings are heard, and it has to have begun before this call.
    ///
    /// When the observation then fails, nothing has to be told: the bell is armed again by the next one.
    pub fn look(&mut self, now: Duration, listening: bool) -> Look {
        self.listening = listening;
        self.arming_until = None;
        if self.meter.is_loud {
            let was_armed = self.armed_until.take().is_some();
            return Look { bell: if was_armed { Bell::Silence } else { Bell::Leave }, armed: false };
        }
        let rings_for = self.tempo.safety_poll.saturating_mul(3);
        if self.armed_until.is_some_and(|until| until.saturating_sub(now) >= rings_for / 2) {
            return Look { bell: Bell::Leave, armed: listening };
        }
        self.armed_until = None;
        self.arming_until = Some(now.saturating_add(rings_for));
        Look { bell: Bell::Arm(rings_for), armed: listening }
    }

    /// When to look again.
    pub fn handle_verdict(&mut self, verdict: &Verdict, round: &Round) -> Wait {
        self.armed_until = self.arming_until.take().or(self.armed_until);
        self.meter.note(round.last, round.now, self.tempo.ring_below_per_second);
        let pause = self.limit.take(round.now, self.tempo.looks_per_second_max);
        let pause = pause.max(self.rest_after(round.took)).min(self.tempo.safety_poll);
        let listen = match verdict {
            Verdict::Sound(outlook) => self.listen_for(&outlook.next, round),
            Verdict::Rewound { .. } => {
                self.armed_until = None; // a bell may be lost in a crash
                Duration::ZERO
            }
            Verdict::Backwards { .. } | Verdict::Unfit { .. } => self.tempo.safety_poll,
        };
        if self.listening {
            Wait { pause, listen: listen.saturating_sub(pause) }
        } else {
            Wait { pause: pause.max(listen), listen: Duration::ZERO }
        }
    }

    fn listen_for(&self, next: &Next, round: &Round) -> Duration {
        let tempo = &self.tempo;
        match next {
            Next::MaySleep => tempo.safety_poll,
            Next::CaughtUp if round.busy => tempo.busy_poll,
            Next::CaughtUp if self.meter.is_loud => tempo.held_poll,
            Next::CaughtUp if !self.listening => tempo.deaf_poll,
            Next::CaughtUp => Duration::ZERO,
            Next::Held(Hold::Holders { floor, .. }) if *floor < round.last => tempo.epoch_poll,
            Next::Held(Hold::Holders { .. }) => tempo.held_poll,
            Next::Held(Hold::Hole(_)) => tempo.hole_poll,
            Next::Held(Hold::Floor(_)) if round.busy => tempo.busy_poll,
            Next::Held(Hold::Floor(_)) => tempo.held_poll,
            Next::Moving => tempo.busy_poll,
        }
    }

    /// Ten times as long as looking took beyond a millisecond: it gets slow when the cluster holds thousands of locks, and
    /// then it slows others too. One slow observation alone says nothing.
    fn rest_after(&mut self, took: Duration) -> Duration {
        let steady = took.min(std::mem::replace(&mut self.took_before, took));
        steady.saturating_sub(Duration::from_millis(1)) * 10
    }
}

/// How fast numbers are drawn, over windows of a second or longer.
#[derive(Clone, Debug, Default)]
struct Meter {
    window: Option<(Duration, Seq)>,
    loud_windows: u32,
    is_loud: bool,
}

impl Meter {
    fn note(&mut self, last: Seq, now: Duration, ring_below_per_second: u32) {
        let (began, first) = *self.window.get_or_insert((now, last));
        let elapsed_ms = now.saturating_sub(began).as_millis();
        if elapsed_ms < 1000 {
            return;
        }
        let per_second = u128::from(last.since(first)) * 1000 / elapsed_ms;
        let bound = u128::from(ring_below_per_second);
        self.loud_windows = if per_second > bound { self.loud_windows + 1 } else { 0 };
        self.is_loud = if self.is_loud { per_second * 2 >= bound } else { self.loud_windows >= 2 };
        self.window = Some((now, last));
    }
}

/// Lets a second's worth of observations be made at once, and no more than that in the long run.
#[derive(Clone, Debug, Default)]
struct Limit {
    /// When all observations so far would have been made at an even pace.
    even_until: Duration,
}

impl Limit {
    fn take(&mut self, now: Duration, per_second_max: u32) -> Duration {
        let burst = Duration::from_secs(1);
        self.even_until = self.even_until.max(now) + burst / per_second_max.max(1);
        self.even_until.saturating_sub(now + burst)
    }
}

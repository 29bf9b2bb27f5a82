use std::{collections::VecDeque, time::Duration};

use ermine_core::{EventRange, Seq, Timestamp};

use crate::{Hold, tracker::Finding};

/// How many skipped holes are watched.
const WATCHED_MAX: usize = 128;
/// How often a skipped hole is looked at again; each time after twice as long as before.
const LOOKS_MAX: u32 = 10;
/// The least time before the first of these looks: an impatient policy needs them most.
const FIRST_LOOK_MIN: Duration = Duration::from_secs(1);
/// How many steps the safe harbour is measured in: a number looks up to one step younger than it is.
const HARBOUR_STEPS: u32 = 32;

/// What [`Evidence::Visible`](ermine_core::Evidence::Visible) shows at one moment.
pub(crate) struct Glance {
    pub(crate) last: Seq,
    pub(crate) mark: Seq,
    pub(crate) contiguous: Seq,
    pub(crate) next: Option<Seq>,
    pub(crate) highest_visible: Seq,
    pub(crate) at: Timestamp,
}

/// Waits for holes to fill, and gives up on them after a while.
#[derive(Clone, Debug)]
pub(crate) struct Patience {
    threshold: Duration,
    safe_harbour: Duration,
    /// When which number was seen to have been drawn, ascending in both. All but the first are younger than the safe
    /// harbour.
    drawn: VecDeque<(Timestamp, Seq)>,
    /// Where the mark stands before a hole, and since when.
    stuck: Option<(Seq, Timestamp)>,
    /// Whether the last hole was skipped: then holes of the same age behind it are skipped without waiting anew.
    skipping: bool,
    watched: VecDeque<Watched>,
    skipped_numbers: u64,
}

#[derive(Clone, Debug)]
struct Watched {
    hole: EventRange,
    looks: u32,
    looked_at: Timestamp,
}

impl Patience {
    pub(crate) fn new(threshold: Duration, safe_harbour: Duration) -> Self {
        Self {
            threshold,
            safe_harbour,
            drawn: VecDeque::new(),
            stuck: None,
            skipping: false,
            watched: VecDeque::new(),
            skipped_numbers: 0,
        }
    }

    pub(crate) fn skipped_numbers(&self) -> u64 {
        self.skipped_numbers
    }

    pub(crate) fn watched(&self) -> impl Iterator<Item = EventRange> {
        self.watched.iter().map(|watched| watched.hole)
    }

    pub(crate) fn observe(&mut self, glance: &Glance) -> Finding {
        self.note_time(glance.at);
        self.note_drawn(glance.last, glance.at);
        let contiguous = glance.mark.max(glance.contiguous);
        let next = glance.next.filter(|next| *next <= glance.highest_visible).unwrap_or_default();
        let hole = EventRange::new(contiguous, Seq::new(next.get().saturating_sub(1)));
        let skipped = hole.filter(|hole| self.is_to_be_skipped(hole, glance.at));
        self.skipping = skipped.is_some();
        // The event after the hole is there to be seen, so the mark stops at it and not before.
        let settled = if skipped.is_some() { next } else { contiguous };
        let hold = hole.filter(|_| skipped.is_none()).or_else(|| self.young_tail(settled, glance));
        let (look_back, mut released) = self.look_back(glance.at);
        released.extend(skipped.and_then(|hole| self.watch(hole, glance.at)));
        Finding { settled, hold: hold.map(Hold::Hole), skipped, look_back, released }
    }

    /// A clock that went back makes every age wrong: all of them start again.
    fn note_time(&mut self, at: Timestamp) {
        if self.drawn.back().is_some_and(|(newest, _)| at < *newest) {
            self.drawn.clear();
            self.stuck = None;
            self.skipping = false;
            self.watched.iter_mut().for_each(|watched| watched.looked_at = at);
        }
    }

    fn note_drawn(&mut self, last: Seq, at: Timestamp) {
        let step = self.safe_harbour / HARBOUR_STEPS;
        let newest = self.drawn.len().checked_sub(1);
        match newest {
            Some(newest) if newest > 0 && elapsed(self.drawn[newest - 1].0, at) < step => {
                self.drawn[newest] = (at, last);
            }
            _ => self.drawn.push_back((at, last)),
        }
        while self.drawn.get(1).is_some_and(|(seen, _)| elapsed(*seen, at) >= self.safe_harbour) {
            self.drawn.pop_front();
        }
    }

    /// The last number that was seen to have been drawn at least a safe harbour ago.
    fn harbour(&self, at: Timestamp) -> Seq {
        let oldest = self.drawn.front().filter(|(seen, _)| elapsed(*seen, at) >= self.safe_harbour);
        oldest.map_or(Seq::ZERO, |(_, last)| *last)
    }

    fn is_to_be_skipped(&mut self, hole: &EventRange, at: Timestamp) -> bool {
        let since = match self.stuck {
            Some((floor, since)) if floor == hole.floor() => since,
            _ => at,
        };
        self.stuck = Some((hole.floor(), since));
        hole.ceiling() <= self.harbour(at) && (self.skipping || elapsed(since, at) >= self.threshold)
    }

    /// Numbers above the last visible event that may still be in flight. Old ones are taken for dead.
    fn young_tail(&self, settled: Seq, glance: &Glance) -> Option<EventRange> {
        EventRange::new(settled.max(self.harbour(glance.at)), glance.last)
    }

    fn watch(&mut self, hole: EventRange, at: Timestamp) -> Option<EventRange> {
        self.skipped_numbers += hole.span();
        self.watched.push_back(Watched { hole, looks: 0, looked_at: at });
        if self.watched.len() > WATCHED_MAX {
            self.watched.pop_front().map(|oldest| oldest.hole)
        } else {
            None
        }
    }

    /// The holes whose turn it is, and those of them that are looked at for the last time.
    fn look_back(&mut self, at: Timestamp) -> (Vec<EventRange>, Vec<EventRange>) {
        let first_after = self.threshold.max(FIRST_LOOK_MIN);
        let (mut due, mut released) = (Vec::new(), Vec::new());
        for watched in &mut self.watched {
            if elapsed(watched.looked_at, at) >= first_after.saturating_mul(1 << watched.looks) {
                watched.looks += 1;
                watched.looked_at = at;
                due.push(watched.hole);
                released.extend((watched.looks == LOOKS_MAX).then_some(watched.hole));
            }
        }
        self.watched.retain(|watched| watched.looks < LOOKS_MAX);
        (due, released)
    }
}

/// How long after `from` it was at `to`; zero when it was before.
fn elapsed(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or(Duration::ZERO)
}

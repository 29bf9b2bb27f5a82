use std::{num::NonZeroU64, time::Duration};

use super::Action;

/// What a projection does with the events that it passes because they have failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct DeadLetters {
    /// Whether later events wait behind a letter.
    pub parks: bool,
    /// How many letters and waiting events there may be. Default 10,000.
    pub cap: NonZeroU64,
    /// What happens at the first one that is too many. Default [`Action::Halt`].
    pub when_full: Action,
    /// Whether events of unknown types leave letters too. By default they are counted.
    pub for_unknown_events: bool,
    /// How long letters are kept whose events were replayed. Default 30 days.
    pub keep_replayed: Duration,
}

impl DeadLetters {
    /// Later events go on as if the failed one were not there.
    pub const fn skip() -> Self {
        Self {
            parks: false,
            cap: NonZeroU64::new(10_000).expect("not 0"),
            when_full: Action::Halt,
            for_unknown_events: false,
            keep_replayed: Duration::from_secs(30 * 24 * 60 * 60),
        }
    }

    /// Later events of the same view, where it is known, else of the same stream, wait behind the failed one; everything else
    /// goes on. So what is applied later is applied in order.
    pub const fn park() -> Self {
        Self { parks: true, ..Self::skip() }
    }

    /// How many letters and waiting events there may be before `when_full` is done.
    pub const fn cap(mut self, cap: NonZeroU64) -> Self {
        self.cap = cap;
        self
    }

    /// What happens at the first letter that is too many.
    pub const fn when_full(mut self, action: Action) -> Self {
        self.when_full = action;
        self
    }

    /// Keeps letters also of events of unknown types.
    pub const fn for_unknown_events(mut self) -> Self {
        self.for_unknown_events = true;
        self
    }

    /// How long letters are kept whose events were replayed.
    pub const fn keep_replayed(mut self, duration: Duration) -> Self {
        self.keep_replayed = duration;
        self
    }

    /// What cannot work: passing an event is what there is no room for.
    pub(super) fn fault(self) -> Option<String> {
        match self.when_full {
            Action::Pause(_) | Action::PauseAll(_) | Action::Halt | Action::Stop | Action::StopAll => None,
            action => Some(format!(
                "\"{action}\" cannot be what is done when there are as many dead letters as may be: it has to be pause, pause \
                 all, halt, stop or stop all"
            )),
        }
    }
}

impl Default for DeadLetters {
    fn default() -> Self {
        Self::skip()
    }
}

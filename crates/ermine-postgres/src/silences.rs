use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// What the silence of one session says about the others of a pool: what has cut one off has often cut off all that were
/// open, and each of them would cost whoever is lent it a deadline.
#[derive(Debug, Default)]
pub(crate) struct Silences(Mutex<Latest>);

#[derive(Clone, Copy, Debug, Default)]
struct Latest {
    work: Option<Instant>,
    check: Option<Instant>,
}

/// What is to be thought of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// It has answered since the last silence.
    Full,
    /// It has to be asked first: a session fell silent over some work, which may have been the work's fault.
    None,
    /// A session did not even say that it is there.
    Lost,
}

impl Silences {
    /// A session that was asked to do something at that moment has not answered.
    pub(crate) fn over_work(&self, asked: Instant) {
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        latest.work = latest.work.max(Some(asked));
    }

    /// A session that was asked at that moment whether it is there has not answered.
    pub(crate) fn over_check(&self, asked: Instant) {
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        latest.check = latest.check.max(Some(asked));
    }

    /// What is to be thought of a session that was heard of at that moment.
    pub(crate) fn trust(&self, heard: Instant) -> Trust {
        let latest = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match () {
            () if latest.check >= Some(heard) => Trust::Lost,
            () if latest.work >= Some(heard) => Trust::None,
            () => Trust::Full,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_session_is_trusted_when_it_was_heard_of_after_the_question_that_nobody_answered() {
        let (silences, began) = (Silences::default(), Instant::now());
        let at = |seconds| began + Duration::from_secs(seconds);
        assert_eq!(silences.trust(at(1)), Trust::Full);
        silences.over_work(at(5));
        silences.over_work(at(3));
        assert_eq!([4, 5, 6].map(|heard| silences.trust(at(heard))), [Trust::None, Trust::None, Trust::Full]);
        silences.over_check(at(4));
        assert_eq!([4, 5, 6].map(|heard| silences.trust(at(heard))), [Trust::Lost, Trust::None, Trust::Full]);
    }
}

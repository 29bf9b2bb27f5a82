use ermine_core::ErrorKind;

/// What a worker does about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Read progress again and go on after a short delay.
    Retry,
    /// Read progress again and go on at once: only knowledge was lost.
    Reread,
    /// Leave the shard to whoever has taken it, and look again later.
    StandBack,
    /// Somebody has to look; try again after a longer delay.
    Pause,
    /// There is no use in going on.
    Stop,
}

/// Decides by the kind of failure alone; `strict` runs (rebuilds) never pause.
pub(crate) fn next(kind: &ErrorKind, strict: bool) -> Next {
    match kind {
        ErrorKind::Transient | ErrorKind::OutcomeUnknown => Next::Retry,
        ErrorKind::Rewound => Next::Reread,
        // Progress is read again after every failure, so a commit out of order means that somebody else commits in our
        // epoch, unless it is our own that was given up and came through after all; the worker knows about that.
        ErrorKind::Fenced { .. } | ErrorKind::OutOfOrder { .. } => Next::StandBack,
        _ if strict => Next::Stop,
        _ => Next::Pause,
    }
}

#[cfg(test)]
mod tests {
    use ermine_core::Seq;

    use super::*;

    #[test]
    fn a_passing_fault_is_retried_and_a_poison_event_pauses_or_stops() {
        assert_eq!(next(&ErrorKind::Transient, true), Next::Retry);
        assert_eq!(next(&ErrorKind::OutcomeUnknown, false), Next::Retry);
        assert_eq!(next(&ErrorKind::Rewound, false), Next::Reread);
        assert_eq!(next(&ErrorKind::OutOfOrder { at: Seq::ZERO }, false), Next::StandBack);
        let poison = ErrorKind::Apply { seq: Seq::new(7) };
        assert_eq!(next(&poison, false), Next::Pause);
        assert_eq!(next(&poison, true), Next::Stop);
    }
}

//! The rules about failures that hold for one shard, put together from what everybody has said.

use std::{error::Error as StdError, fmt, time::Duration};

use ermine_core::{
    Action, DeadLetters, Error, ErrorClass, ErrorHandling, ErrorKind, ErrorPolicy, ErrorRule, Seq, StreamId,
    TypeName, policy, ports::Store,
};

/// What is done about failures of one shard: the projection's own rules, then the daemon's, then the defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorTable {
    continuous: Vec<ErrorLine>,
    rebuild: Vec<ErrorLine>,
    letters: DeadLetters,
}

/// One rule, and who has made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorLine {
    /// Where it comes from: `projection`, `daemon` or `default`.
    pub source: &'static str,
    /// The rule.
    pub rule: ErrorRule,
}

/// What is done about one failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is tried again after so long.
    Retry(Duration),
    Do(Action),
}

impl ErrorTable {
    pub(crate) fn new(projection: &ErrorHandling, daemon: &ErrorHandling) -> Self {
        let lines = |of: fn(&ErrorHandling) -> &ErrorPolicy, default: ErrorPolicy| {
            let lines = |source, policy: &ErrorPolicy| {
                let rules = policy.rules().to_vec().into_iter();
                rules.map(move |rule| ErrorLine { source, rule })
            };
            lines("projection", of(projection))
                .chain(lines("daemon", of(daemon)))
                .chain(lines("default", &default))
                .collect()
        };
        Self {
            continuous: lines(|handling| &handling.continuous, ErrorPolicy::continuous()),
            rebuild: lines(|handling| &handling.rebuild, ErrorPolicy::rebuild()),
            letters: projection.dead_letters.or(daemon.dead_letters).unwrap_or_default(),
        }
    }

    /// The rules of runs that follow the log, in the order in which they are asked.
    #[must_use]
    pub fn continuous(&self) -> &[ErrorLine] {
        &self.continuous
    }

    /// The rules of runs that end.
    #[must_use]
    pub fn rebuild(&self) -> &[ErrorLine] {
        &self.rebuild
    }

    /// What becomes of events that are passed.
    pub const fn dead_letters(&self) -> DeadLetters {
        self.letters
    }

    /// What to do about a failure after so many vain attempts to try again.
    pub(crate) fn verdict(&self, strict: bool, class: ErrorClass, error: &Error, attempts: u32) -> Verdict {
        let mut attempts = usize::try_from(attempts).unwrap_or(usize::MAX);
        let lines = if strict { &self.rebuild } else { &self.continuous };
        for line in lines.iter().filter(|line| line.rule.matcher.matches(class, error)) {
            let retries = line.rule.response.retries();
            if let Some(delay) = retries.get(attempts) {
                return Verdict::Retry(*delay);
            }
            attempts -= retries.len();
            match line.rule.response.action() {
                Some(Action::Skip) if !class.is_about_an_event() => {}
                Some(action) => return Verdict::Do(action),
                None => {}
            }
        }
        Verdict::Do(Action::Halt)
    }
}

impl ErrorTable {
    /// The table as it is shown, line by line.
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> {
        let runs = [("continuous", &self.continuous), ("rebuild", &self.rebuild)];
        let rules = runs.into_iter().flat_map(|(run, lines)| {
            lines.iter().map(move |line| format!("{run}: {} ({})", line.rule, line.source))
        });
        rules.chain([self.about_letters()])
    }

    fn about_letters(&self) -> String {
        let (letters, cap) = (self.letters, self.letters.cap);
        let mode =
            if letters.parks { "later events of the view or stream wait" } else { "later events go on" };
        let unknown = if letters.for_unknown_events { ", also for unknown events" } else { "" };
        format!("dead letters: {mode}; at most {cap}, then {}{unknown}", letters.when_full)
    }
}

impl fmt::Display for ErrorTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines().collect::<Vec<_>>().join("\n"))
    }
}

/// The class of what user code has said about an event: a passing fault is never held against it.
pub(crate) fn class_of_refusal(store: &dyn Store, error: &Error) -> ErrorClass {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(cause) = next {
        if policy::is_passing(cause) || store.is_passing(cause) {
            return ErrorClass::Transient;
        }
        next = cause.source();
    }
    error.class()
}

/// An event of a type that nothing registered knows.
pub(crate) fn unknown_event(seq: Seq, stream: &StreamId, type_name: &TypeName) -> Error {
    Error::new(
        ErrorKind::UnknownEvent { seq },
        format!(
            "event {seq} of stream \"{stream}\" is of type \"{type_name}\", which nothing registered knows"
        ),
    )
}

/// An error with its causes, as stores can keep it: they take no NUL, and nobody knows what user code puts into a message.
pub(crate) fn storable(error: &Error) -> String {
    error.chain().replace('\0', "\u{fffd}")
}

/// Whether the store has lost what was known of its log, after which there is nothing to decide.
pub(crate) fn is_rewound(error: &Error) -> bool {
    *error.kind() == ErrorKind::Rewound
}

#[cfg(test)]
mod tests {
    use ermine_core::policy::{of_type, pause, retry_later, retry_now, skip, stop};

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn refused() -> Error {
        Error::new(ErrorKind::Apply { seq: Seq::new(7) }, "refused")
            .with_source("x".parse::<i32>().unwrap_err())
    }

    fn table(projection: ErrorPolicy, daemon: ErrorPolicy) -> ErrorTable {
        let of = |continuous| ErrorHandling { continuous, ..ErrorHandling::default() };
        ErrorTable::new(&of(projection), &of(daemon))
    }

    #[test]
    fn the_projection_is_asked_before_the_daemon_and_both_before_the_defaults() {
        let by_type = ErrorClass::Apply.and(of_type::<std::num::ParseIntError>());
        let daemon = ErrorPolicy::new().on_error(ErrorClass::Apply, stop());
        let of = |projection| table(projection, daemon.clone());
        let verdict = |table: &ErrorTable| table.verdict(false, ErrorClass::Apply, &refused(), 0);
        assert_eq!(verdict(&of(ErrorPolicy::new())), Verdict::Do(Action::Stop));
        assert_eq!(
            verdict(&of(ErrorPolicy::new().on_error(by_type, pause(MS)))),
            Verdict::Do(Action::Pause(MS))
        );
        assert_eq!(verdict(&table(ErrorPolicy::new(), ErrorPolicy::new())), Verdict::Do(Action::Skip));
    }

    #[test]
    fn attempts_run_through_the_retries_of_one_rule_and_on_into_the_next() {
        let ours = ErrorPolicy::new()
            .on_error(of_type::<std::num::ParseIntError>(), retry_now())
            .on_error(ErrorClass::Apply, retry_later([MS, 2 * MS]).then(skip()));
        let table = table(ours, ErrorPolicy::new());
        let verdicts: Vec<Verdict> =
            (0..4).map(|n| table.verdict(false, ErrorClass::Apply, &refused(), n)).collect();
        assert_eq!(
            verdicts,
            [
                Verdict::Retry(Duration::ZERO),
                Verdict::Retry(MS),
                Verdict::Retry(2 * MS),
                Verdict::Do(Action::Skip)
            ]
        );
    }

    #[test]
    fn a_rebuild_skips_nothing_unless_it_is_told_to() {
        let table = table(ErrorPolicy::new(), ErrorPolicy::new());
        for class in [ErrorClass::Apply, ErrorClass::Serialization, ErrorClass::UnknownEvent] {
            assert_eq!(table.verdict(false, class, &refused(), 0), Verdict::Do(Action::Skip));
            assert_eq!(table.verdict(true, class, &refused(), 0), Verdict::Do(Action::Halt));
        }
    }

    #[test]
    fn skipping_by_type_does_not_skip_what_no_event_is_to_blame_for() {
        let ours = ErrorPolicy::new().on_error(of_type::<std::num::ParseIntError>(), skip());
        let verdict = table(ours, ErrorPolicy::new()).verdict(false, ErrorClass::Fatal, &refused(), 0);
        assert_eq!(verdict, Verdict::Do(Action::Halt));
    }

    #[test]
    fn the_table_says_where_each_line_comes_from() {
        let shown = table(ErrorPolicy::new().skip_apply_errors(false), ErrorPolicy::new()).to_string();
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[0], "continuous: apply: halt (projection)");
        assert_eq!(
            lines[1],
            "continuous: transient: retry after 250ms, 500ms, 1s, then wait for the store, at most 30s (default)"
        );
        assert_eq!(lines.last(), Some(&"dead letters: later events go on; at most 10000, then halt"));
    }
}

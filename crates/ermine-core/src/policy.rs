//! What to do when something goes wrong, as data.
//!
//! ```
//! use std::time::Duration;
//!
//! use ermine_core::policy::{ErrorClass, ErrorPolicy, of_type, pause, retry_later, skip};
//!
//! let ms = Duration::from_millis;
//! let policy = ErrorPolicy::new()
//!     .on_error(ErrorClass::Apply.and(of_type::<std::num::ParseIntError>()), skip())
//!     .on_error(ErrorClass::Apply, retry_later([ms(50), ms(250)]).then(pause(Duration::from_secs(60))));
//! assert_eq!(policy.rules()[1].to_string(), "apply: retry after 50ms, 250ms, then pause for 60s");
//! ```

mod class;
mod dead_letters;
mod handling;
mod matcher;
mod response;

use std::{fmt, time::Duration};

pub use class::{ErrorClass, is_passing};
pub use dead_letters::DeadLetters;
pub use handling::ErrorHandling;
pub use matcher::{Matcher, of_type, when};
pub use response::{
    Action, Response, halt, ignore, pause, pause_all, retry_later, retry_now, skip, stop, stop_all,
};

/// Rules about failures; the first that is for a failure counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "a policy does nothing until a projection or a daemon has it"]
pub struct ErrorPolicy {
    rules: Vec<ErrorRule>,
}

/// What is done about some failures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorRule {
    /// Which failures.
    pub matcher: Matcher,
    /// What is done.
    pub response: Response,
}

impl ErrorPolicy {
    /// A policy without rules: what is below it decides.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a rule after those that are there.
    pub fn on_error(mut self, which: impl Into<Matcher>, response: Response) -> Self {
        self.rules.push(ErrorRule { matcher: which.into(), response });
        self
    }

    /// Whether events are passed that user code refuses. Those that are not halt the shard.
    pub fn skip_apply_errors(self, skips: bool) -> Self {
        self.on_error(ErrorClass::Apply, skip_or_halt(skips))
    }

    /// Whether events are passed whose bodies cannot be decoded. Those that are not halt the shard.
    pub fn skip_serialization_errors(self, skips: bool) -> Self {
        self.on_error(ErrorClass::Serialization, skip_or_halt(skips))
    }

    /// Whether events are passed whose types nothing registered knows. Those that are not halt the shard.
    pub fn skip_unknown_events(self, skips: bool) -> Self {
        self.on_error(ErrorClass::UnknownEvent, skip_or_halt(skips))
    }

    /// The rules in their order.
    #[must_use]
    pub fn rules(&self) -> &[ErrorRule] {
        &self.rules
    }

    /// What holds where nobody has said anything else, in a run that follows the log.
    pub fn continuous() -> Self {
        Self::common()
            .skip_apply_errors(true)
            .skip_serialization_errors(true)
            .skip_unknown_events(true)
            .on_error(ErrorClass::Configuration, halt())
            .on_error(ErrorClass::Fatal, halt())
    }

    /// What holds where nobody has said anything else, in a run that ends: a rebuild, or catching up. About events of unknown types
    /// catching up goes by the rules of continuous runs, because in a test most types may be unknown.
    pub fn rebuild() -> Self {
        Self::common()
            .skip_apply_errors(false)
            .skip_serialization_errors(false)
            .skip_unknown_events(false)
            .on_error(ErrorClass::Configuration, halt())
            .on_error(ErrorClass::Fatal, halt())
    }

    fn common() -> Self {
        let ms = Duration::from_millis;
        let patience = retry_later([ms(250), ms(500), ms(1_000)]);
        Self::new()
            .on_error(
                ErrorClass::Transient,
                patience.then(Response::of(Action::AwaitStore(Duration::from_secs(30)))),
            )
            .on_error(ErrorClass::Fenced, Response::of(Action::StandBack))
            .on_error(ErrorClass::OutOfOrder, Response::of(Action::StandBack))
    }

    /// What cannot work about these rules, each a sentence.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for (at, rule) in self.rules.iter().enumerate() {
            let is_covered = |earlier: &&ErrorRule| {
                earlier.matcher.is_unconditional()
                    && earlier.response.action().is_some()
                    && earlier.matcher.class() == rule.matcher.class()
            };
            if let Some(earlier) = self.rules[..at].iter().find(is_covered) {
                faults.push(format!(
                    "the rule \"{rule}\" is never reached, because of \"{earlier}\" before it: put it first, or leave \
                     it out"
                ));
            }
            if rule.response.action().is_none() && rule.response.retries().is_empty() {
                faults.push(format!(
                    "the rule for {} says nothing to do: give it retries or an action",
                    rule.matcher
                ));
            }
            if let (Some(class), Some(action)) = (rule.matcher.class(), rule.response.action())
                && let Some(reason) = misfit(class, action)
            {
                faults.push(format!("the rule \"{rule}\" cannot work: {reason}"));
            }
        }
        faults
    }
}

/// Why an action cannot be taken about failures of a class, if it cannot.
fn misfit(class: ErrorClass, action: Action) -> Option<&'static str> {
    match action {
        Action::Skip if !class.is_about_an_event() => {
            Some("no event is to blame for such a failure, so none can be skipped")
        }
        Action::StandBack if !matches!(class, ErrorClass::Fenced | ErrorClass::OutOfOrder) => {
            Some("standing back is for shards that another process has taken")
        }
        _ => None,
    }
}

fn skip_or_halt(skips: bool) -> Response {
    if skips { skip() } else { halt() }
}

impl fmt::Display for ErrorRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.matcher, self.response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    #[test]
    fn an_entry_that_is_never_reached_is_a_fault() {
        let policy = ErrorPolicy::new()
            .on_error(ErrorClass::Apply, skip())
            .on_error(ErrorClass::Apply.and(of_type::<std::fmt::Error>()), stop())
            .on_error(ErrorClass::Serialization, stop());
        let faults = policy.faults();
        assert_eq!(
            faults,
            [
                "the rule \"apply, of type core::fmt::Error: stop\" is never reached, because of \"apply: skip\" before it: put it \
                 first, or leave it out"
            ]
        );
    }

    #[test]
    fn retries_alone_leave_the_rest_to_the_next_rule() {
        let policy = ErrorPolicy::new().on_error(ErrorClass::Apply, retry_now()).skip_apply_errors(true);
        assert!(policy.faults().is_empty());
    }

    #[test]
    fn what_no_event_is_to_blame_for_cannot_be_skipped() {
        let faults = ErrorPolicy::new().on_error(ErrorClass::Transient, skip()).faults();
        assert!(faults[0].contains("no event is to blame"), "{faults:?}");
    }

    #[test]
    fn a_rule_by_type_finds_the_error_among_the_causes() {
        let parsing = "x".parse::<i32>().unwrap_err();
        let error = Error::fatal("folding").with_source(parsing).context("running");
        assert!(of_type::<std::num::ParseIntError>().matches(ErrorClass::Apply, &error));
        assert!(!of_type::<std::fmt::Error>().matches(ErrorClass::Apply, &error));
        let really_bad = when("really bad", |error| error.chain().contains("invalid digit"));
        assert!(really_bad.and(ErrorClass::Apply).matches(ErrorClass::Apply, &error));
    }

    #[test]
    fn the_defaults_have_no_faults() {
        assert!(ErrorPolicy::continuous().faults().is_empty());
        assert!(ErrorPolicy::rebuild().faults().is_empty());
    }
}

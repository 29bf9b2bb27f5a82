use super::{DeadLetters, ErrorPolicy, Matcher, Response};

/// All that a projection, or a daemon, says about failures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorHandling {
    /// In a run that follows the log.
    pub continuous: ErrorPolicy,
    /// In a run that ends: a rebuild, or catching up.
    pub rebuild: ErrorPolicy,
    /// What becomes of events that are passed; `None` leaves it to the daemon.
    pub dead_letters: Option<DeadLetters>,
}

impl ErrorHandling {
    /// Whether nothing is said.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Adds a rule for runs that follow the log.
    pub fn on_error(&mut self, which: impl Into<Matcher>, response: Response) {
        self.continuous = std::mem::take(&mut self.continuous).on_error(which, response);
    }

    /// What cannot work, each a sentence.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = self.continuous.faults();
        faults.extend(self.rebuild.faults().into_iter().map(|fault| format!("for rebuilds: {fault}")));
        faults.extend(self.dead_letters.and_then(DeadLetters::fault));
        faults
    }
}

use std::{fmt, future::Future, pin::Pin, time::Duration};

use crate::{Harness, Outcome, Stop, bench::Bench};

/// No promise takes longer to look at, even on a slow disk.
const DEADLINE: Duration = Duration::from_secs(120);

pub(crate) type Run = for<'b> fn(&'b Bench<'b>) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'b>>;

/// One line of a port's contract, and what looks whether a store keeps it.
#[derive(Clone, Copy)]
pub struct Case {
    pub(crate) port: &'static str,
    pub(crate) name: &'static str,
    pub(crate) promise: &'static str,
    pub(crate) run: Run,
}

impl Case {
    /// The port: the name of its file in `ermine_core::ports`.
    #[must_use]
    pub const fn port(&self) -> &'static str {
        self.port
    }

    /// The name of the test.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The line of the contract.
    #[must_use]
    pub const fn promise(&self) -> &'static str {
        self.promise
    }

    /// Looks whether the store of `harness`, which no other case has used, keeps the promise.
    ///
    /// # Errors
    ///
    /// [`Stop::Broken`] when it does not, [`Stop::Skipped`] when this harness cannot show it.
    pub async fn check(&self, harness: &dyn Harness) -> Outcome {
        let bench = Bench::new(harness);
        let run = (self.run)(&bench);
        tokio::time::timeout(DEADLINE, run).await.unwrap_or_else(|_| {
            let seconds = DEADLINE.as_secs();
            Err(Stop::Broken(format!(
                "no end after {seconds} s: a call hangs, or what it promises never comes"
            )))
        })
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::{} ({})", self.port, self.name, self.promise)
    }
}

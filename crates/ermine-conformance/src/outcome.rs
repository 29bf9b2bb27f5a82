use std::fmt;

use ermine_core::Error;

/// What a case came to: `Ok` when the promise was kept.
pub type Outcome = Result<(), Stop>;

/// Why a case ended early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The store broke the promise; says how.
    Broken(String),
    /// The harness lacks an ability that the case needs; says which.
    Skipped(String),
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(how) => write!(f, "broken: {how}"),
            Self::Skipped(why) => write!(f, "skipped: {why}"),
        }
    }
}

impl std::error::Error for Stop {}

/// An error where the contract wants an answer.
impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Broken(format!("a call failed that must not: {error:?}"))
    }
}

/// Ends the case as broken unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::Stop::Broken(format!($($message)+)));
        }
    };
}

/// Ends the case as broken unless both are equal.
macro_rules! ensure_eq {
    ($found:expr, $wanted:expr, $($message:tt)+) => {
        match (&$found, &$wanted) {
            (found, wanted) => {
                if found != wanted {
                    let what = format!($($message)+);
                    return Err($crate::Stop::Broken(format!("{what}: found {found:?}, wanted {wanted:?}")));
                }
            }
        }
    };
}

/// Ends the case as broken unless the call failed with an error of this kind.
macro_rules! ensure_kind {
    ($answer:expr, $kind:pat, $($message:tt)+) => {
        match &$answer {
            Err(error) if matches!(error.kind(), $kind) => {}
            other => {
                let what = format!($($message)+);
                let wanted = stringify!($kind);
                return Err($crate::Stop::Broken(format!("{what}: wanted {wanted}, the answer was {other:?}")));
            }
        }
    };
}

pub(crate) use {ensure, ensure_eq, ensure_kind};

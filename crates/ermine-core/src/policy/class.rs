use std::{error::Error as StdError, fmt, io, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind};

/// What kind of failure it is, as far as it matters for what to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorClass {
    /// A passing fault of network or server. It never counts against an event, also when it comes out of user code.
    Transient,
    /// Another process has taken the shard.
    Fenced,
    /// Another process has moved the shard.
    OutOfOrder,
    /// User code refuses an event, or the store refuses what it made of it.
    Apply,
    /// The body of an event or a view cannot be decoded or encoded.
    Serialization,
    /// The type of an event is one that nothing registered knows.
    UnknownEvent,
    /// An input or a setting that cannot work.
    Configuration,
    /// Anything else: it needs a person.
    Fatal,
}

impl ErrorClass {
    /// Every class.
    pub const ALL: [Self; 8] = [
        Self::Transient,
        Self::Fenced,
        Self::OutOfOrder,
        Self::Apply,
        Self::Serialization,
        Self::UnknownEvent,
        Self::Configuration,
        Self::Fatal,
    ];

    /// The class of an error.
    #[must_use]
    pub fn of(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::Transient | ErrorKind::OutcomeUnknown | ErrorKind::Rewound => Self::Transient,
            ErrorKind::Fenced { .. } => Self::Fenced,
            ErrorKind::OutOfOrder { .. } => Self::OutOfOrder,
            ErrorKind::Apply { .. } | ErrorKind::Rejected | ErrorKind::Archived { .. } => Self::Apply,
            ErrorKind::Serialization { .. } => Self::Serialization,
            ErrorKind::UnknownEvent { .. } => Self::UnknownEvent,
            ErrorKind::Configuration | ErrorKind::NotFound => Self::Configuration,
            _ => Self::Fatal,
        }
    }

    /// Whether failures of this class are about an event, which can be passed.
    #[must_use]
    pub const fn is_about_an_event(self) -> bool {
        matches!(self, Self::Apply | Self::Serialization | Self::UnknownEvent)
    }

    /// The name, as it is stored and shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Fenced => "fenced",
            Self::OutOfOrder => "out_of_order",
            Self::Apply => "apply",
            Self::Serialization => "serialization",
            Self::UnknownEvent => "unknown_event",
            Self::Configuration => "configuration",
            Self::Fatal => "fatal",
        }
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for ErrorClass {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|class| class.as_str() == name).ok_or_else(|| {
            let all = Self::ALL.map(Self::as_str).join(", ");
            Error::configuration(format!("\"{name}\" is no class of errors: there are {all}"))
        })
    }
}

/// Whether an error, or one of its causes, is a passing fault as far as that can be said without a driver: an error of Ermine's
/// that says so, or a connection that broke.
#[must_use]
pub fn is_passing(error: &(dyn StdError + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let passes = error.downcast_ref::<Error>().is_some_and(Error::is_transient)
            || error.downcast_ref::<io::Error>().is_some_and(|error| breaks(error.kind()));
        if passes {
            return true;
        }
        next = error.source();
    }
    false
}

const fn breaks(kind: io::ErrorKind) -> bool {
    use io::ErrorKind as Io;
    matches!(
        kind,
        Io::ConnectionRefused
            | Io::ConnectionReset
            | Io::ConnectionAborted
            | Io::NotConnected
            | Io::BrokenPipe
            | Io::TimedOut
            | Io::HostUnreachable
            | Io::NetworkUnreachable
            | Io::NetworkDown
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_reads_back_as_it_was_written() {
        for class in ErrorClass::ALL {
            assert_eq!(class.as_str().parse::<ErrorClass>().unwrap(), class);
        }
        let refused = "poison".parse::<ErrorClass>().unwrap_err().to_string();
        assert!(refused.starts_with("\"poison\" is no class of errors: there are transient, "), "{refused}");
    }

    #[test]
    fn a_broken_connection_inside_of_user_code_passes() {
        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        let error = Error::fatal("calling the bank").with_source(reset);
        assert!(is_passing(&error));
        assert!(is_passing(
            &Error::transient("loading").context("calling the bank").with_kind(ErrorKind::Fatal)
        ));
        assert!(!is_passing(&io::Error::from(io::ErrorKind::InvalidData)));
    }
}

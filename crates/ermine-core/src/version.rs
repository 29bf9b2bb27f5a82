use std::fmt;

use serde::{Deserialize, Serialize};

/// An event's number in its stream, or how many events a stream has: 1, 2, 3 without holes; 0 is an empty stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(u64);

impl Version {
    /// A stream without events.
    pub const ZERO: Self = Self(0);
    /// The first event of a stream.
    pub const FIRST: Self = Self(1);

    /// The version `number`, held at `i64::MAX`.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(if number > i64::MAX as u64 { i64::MAX as u64 } else { number })
    }

    /// The number itself, `0..=i64::MAX`.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The number as databases hold it.
    #[must_use]
    pub const fn as_i64(self) -> i64 {
        self.0.cast_signed()
    }

    /// The version of a number out of a database; negative ones are [`Version::ZERO`].
    #[must_use]
    pub const fn from_i64(number: i64) -> Self {
        Self(if number < 0 { 0 } else { number.cast_unsigned() })
    }

    /// This version `count` events later.
    #[must_use]
    pub const fn plus(self, count: usize) -> Self {
        Self::new(self.0.saturating_add(count as u64))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What an append demands of its stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExpectedVersion {
    /// Nothing: append after whatever is there.
    #[default]
    Any,
    /// That it has no event yet.
    NoStream,
    /// That its last event has this version; 0 means the same as [`ExpectedVersion::NoStream`].
    Exact(Version),
}

impl ExpectedVersion {
    /// Whether a stream at `version` meets the demand.
    #[must_use]
    pub fn admits(self, version: Version) -> bool {
        match self {
            Self::Any => true,
            Self::NoStream => version == Version::ZERO,
            Self::Exact(exact) => version == exact,
        }
    }
}

impl fmt::Display for ExpectedVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any version"),
            Self::NoStream => f.write_str("version 0"),
            Self::Exact(version) => write!(f, "version {version}"),
        }
    }
}

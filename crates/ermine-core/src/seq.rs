use std::fmt;

use serde::{Deserialize, Serialize};

/// An event's place in the store-wide order.
///
/// Numbers start at 1; 0 is the place before the first event. The order may have holes: a number drawn by a
/// transaction that rolled back never becomes an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seq(u64);

impl Seq {
    /// Before the first event.
    pub const ZERO: Self = Self(0);
    /// The highest number that every store can hold: `i64::MAX`.
    pub const MAX: Self = Self(i64::MAX as u64);

    /// The place `number`; numbers above [`Seq::MAX`] are held at it.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        if number > Self::MAX.0 { Self::MAX } else { Self(number) }
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

    /// The place of a number out of a database; negative ones are before the first event.
    #[must_use]
    pub const fn from_i64(number: i64) -> Self {
        if number < 0 { Self::ZERO } else { Self(number.cast_unsigned()) }
    }

    /// How many numbers lie in `(earlier, self]`; 0 when `earlier` is not earlier.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The number before this one; 0 has none and stays 0.
    #[must_use]
    pub const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// The number after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self::new(self.0 + 1)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<u32> for Seq {
    fn from(number: u32) -> Self {
        Self(number.into())
    }
}

/// How far an append reached: what to wait for to read one's own writes.
///
/// A position is always that of a committed event, so waiting for it never waits for a dead gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(Seq);

impl Position {
    /// The position of the event numbered `seq`.
    #[must_use]
    pub const fn new(seq: Seq) -> Self {
        Self(seq)
    }

    /// The number of the event at this position.
    #[must_use]
    pub const fn seq(self) -> Seq {
        self.0
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

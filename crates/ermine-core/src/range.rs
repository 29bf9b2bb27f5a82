use std::fmt;

use crate::Seq;

/// The events numbered in `(floor, ceiling]`; never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventRange {
    floor: Seq,
    ceiling: Seq,
}

impl EventRange {
    /// The range `(floor, ceiling]`, or `None` where it would be empty.
    #[must_use]
    pub fn new(floor: Seq, ceiling: Seq) -> Option<Self> {
        (floor < ceiling).then_some(Self { floor, ceiling })
    }

    /// The number before the first one of the range.
    #[must_use]
    pub const fn floor(&self) -> Seq {
        self.floor
    }

    /// The last number of the range.
    #[must_use]
    pub const fn ceiling(&self) -> Seq {
        self.ceiling
    }

    /// How many numbers the range spans, holes included; at least 1.
    #[must_use]
    pub const fn span(&self) -> u64 {
        self.ceiling.since(self.floor)
    }

    /// Whether `seq` lies in the range.
    #[must_use]
    pub fn contains(&self, seq: Seq) -> bool {
        self.floor < seq && seq <= self.ceiling
    }
}

impl fmt::Display for EventRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({}, {}]", self.floor, self.ceiling)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_excludes_its_floor_and_is_never_empty() {
        let range = EventRange::new(Seq::new(3), Seq::new(5)).unwrap();
        let inside: Vec<u64> = (0..8).filter(|n| range.contains(Seq::new(*n))).collect();
        assert_eq!(inside, [4, 5]);
        assert_eq!(range.span(), 2);
        assert_eq!(range.to_string(), "(3, 5]");
        assert_eq!(EventRange::new(Seq::new(5), Seq::new(5)), None);
    }
}

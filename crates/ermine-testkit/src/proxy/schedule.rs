use std::{ops::Range, time::Duration};

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::Fault;

/// Faults in an order and at moments that a seed decides; it has no end.
#[derive(Debug)]
pub struct Schedule {
    rng: StdRng,
    calm: Range<Duration>,
    lasts: Range<Duration>,
}

/// A fault, and the calm before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spell {
    /// How long nothing is wrong.
    pub calm: Duration,
    /// What happens then.
    pub fault: Fault,
    /// How long.
    pub lasts: Duration,
}

impl Schedule {
    /// Spells of calm and of faults that last as long as these two say.
    pub fn new(seed: u64, calm: Range<Duration>, lasts: Range<Duration>) -> Self {
        Self { rng: StdRng::seed_from_u64(seed), calm, lasts }
    }
}

impl Iterator for Schedule {
    type Item = Spell;

    fn next(&mut self) -> Option<Spell> {
        let calm = self.rng.random_range(self.calm.clone());
        let fault = Fault::random(&mut self.rng);
        Some(Spell { calm, fault, lasts: self.rng.random_range(self.lasts.clone()) })
    }
}

use std::time::Duration;

/// Delays that double from a first to a longest one, each shortened at random by up to a half, so that workers that
/// failed together do not come back together.
#[derive(Debug)]
pub(crate) struct Backoff {
    first: Duration,
    max: Duration,
    attempts: u32,
}

impl Backoff {
    pub(crate) fn new(first: Duration, max: Duration) -> Self {
        Self { first, max, attempts: 0 }
    }

    /// How many delays there have been since the last success.
    pub(crate) fn attempts(&self) -> u32 {
        self.attempts
    }

    pub(crate) fn succeeded(&mut self) {
        self.attempts = 0;
    }

    pub(crate) fn next_delay(&mut self) -> Duration {
        let whole = self.first.saturating_mul(1 << self.attempts.min(16)).min(self.max);
        self.attempts = self.attempts.saturating_add(1);
        whole.mul_f64(rand::random_range(0.5..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_the_longest_and_start_again_after_a_success() {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
        let delays: Vec<Duration> = (0..100).map(|_| backoff.next_delay()).collect();
        assert!(delays[0] <= Duration::from_millis(50) && delays[0] >= Duration::from_millis(25));
        assert!(delays.iter().all(|d| *d <= Duration::from_secs(2)));
        assert!(delays[50..].iter().all(|d| *d >= Duration::from_secs(1)));
        backoff.succeeded();
        assert!(backoff.next_delay() <= Duration::from_millis(50));
    }
}

use std::{num::NonZeroUsize, time::Duration};

use ermine_core::{Error, Options, Result};
use tokio::sync::Semaphore;

/// How the engine spends memory and time.
///
/// `cargo xtask bench` takes page size, events in flight and threads as arguments. On two cores, pages from 2,000 to
/// 20,000 events made no difference beyond the noise, except in memory: so the defaults are small.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// The most events in a page. Bigger pages write a view less often while catching up; smaller ones cost less
    /// memory. Default 5,000 events.
    pub page_events_max: NonZeroUsize,
    /// A page ends with the event that reaches this many bytes of bodies. Default 8 MiB.
    pub page_bytes_max: usize,
    /// How many events a shard holds between loading and the answer to their commit. Default 20,000 events.
    pub in_flight_events_max: usize,
    /// How many bytes of bodies a shard holds between loading and the answer to their commit. Default 32 MiB.
    pub in_flight_bytes_max: usize,
    /// How many bytes of views a shard remembers, so that it need not read them again. It is what memory grows by with
    /// the number of views, per shard. Default 4 MiB, about 20,000 small views.
    pub cache_bytes_max: usize,
    /// How many threads fold one page. Default: the machine's, at most 4.
    pub fold_threads: NonZeroUsize,
    /// How long an open page may take to be committed after the daemon was told to stop. Default 5 s.
    pub drain_deadline: Duration,
    /// How long one call of the store may take before it counts as lost. Default 60 s.
    pub call_deadline: Duration,
    /// The delay after the first of several transient failures in a row; it doubles up to [`Settings::retry_max`].
    /// Default 50 ms.
    pub retry_first: Duration,
    /// The longest delay after a transient failure. Default 2 s.
    pub retry_max: Duration,
    /// The delay after the first failure that is not transient; it doubles up to [`Settings::pause_max`]. Default 5 s.
    pub pause_first: Duration,
    /// The longest pause. Default 5 min.
    pub pause_max: Duration,
    /// How long a shard that was taken over by another process waits before it looks whether that process is still
    /// at work. Default 10 s.
    pub fenced_retry: Duration,
    /// After how long user code that is at work on one page is named in status and log. Default 30 s.
    pub slow_code_after: Duration,
    /// After how long a shard that is behind the mark and commits nothing is named in status and log. Default 60 s.
    pub stalled_after: Duration,
    /// After how long a loop that does not turn is replaced. It must be more than `call_deadline`. Default 150 s.
    pub stuck_after: Duration,
    /// How often the store's promises are checked again. Default 60 s.
    pub check_every: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get).min(4);
        Self {
            page_events_max: NonZeroUsize::new(5_000).expect("not 0"),
            page_bytes_max: 8 << 20,
            in_flight_events_max: 20_000,
            in_flight_bytes_max: 32 << 20,
            cache_bytes_max: 4 << 20,
            fold_threads: NonZeroUsize::new(threads).expect("not 0"),
            drain_deadline: Duration::from_secs(5),
            call_deadline: Duration::from_secs(60),
            retry_first: Duration::from_millis(50),
            retry_max: Duration::from_secs(2),
            pause_first: Duration::from_secs(5),
            pause_max: Duration::from_secs(300),
            fenced_retry: Duration::from_secs(10),
            slow_code_after: Duration::from_secs(30),
            stalled_after: Duration::from_secs(60),
            stuck_after: Duration::from_secs(150),
            check_every: Duration::from_secs(60),
        }
    }
}

impl Settings {
    /// The same settings with what one projection wants instead. What it holds in flight grows with its pages.
    pub(crate) fn with(&self, options: Options) -> Self {
        let mut settings = self.clone();
        if let Some(events) = options.page_events_max {
            settings.page_events_max = events;
            settings.in_flight_events_max = settings.in_flight_events_max.max(events.get());
        }
        settings.in_flight_events_max = options.in_flight_events_max.unwrap_or(settings.in_flight_events_max);
        settings.cache_bytes_max = options.cache_bytes_max.unwrap_or(settings.cache_bytes_max);
        settings
    }

    /// Refuses what cannot work.
    pub(crate) fn check(&self) -> Result<()> {
        let page = self.page_events_max.get();
        if self.in_flight_events_max < page {
            return Err(Error::configuration(format!(
                "in_flight_events_max is {} and must be at least page_events_max, which is {page}",
                self.in_flight_events_max
            )));
        }
        if self.page_bytes_max == 0 || self.in_flight_bytes_max < self.page_bytes_max {
            return Err(Error::configuration(format!(
                "in_flight_bytes_max is {} and must be at least page_bytes_max, which is {} and must not be 0",
                self.in_flight_bytes_max, self.page_bytes_max
            )));
        }
        if self.in_flight_events_max > Semaphore::MAX_PERMITS
            || self.in_flight_bytes_max > Semaphore::MAX_PERMITS
        {
            return Err(Error::configuration(format!(
                "in_flight_events_max is {} and in_flight_bytes_max is {}: neither can be above {}",
                self.in_flight_events_max,
                self.in_flight_bytes_max,
                Semaphore::MAX_PERMITS
            )));
        }
        for (name, duration) in [
            ("call_deadline", self.call_deadline),
            ("fenced_retry", self.fenced_retry),
            ("check_every", self.check_every),
        ] {
            if duration.is_zero() {
                return Err(Error::configuration(format!("{name} is 0 and must not be")));
            }
        }
        if self.stuck_after <= self.call_deadline {
            return Err(Error::configuration(format!(
                "stuck_after is {:?} and must be more than call_deadline, which is {:?}",
                self.stuck_after, self.call_deadline
            )));
        }
        for (name, first, max) in
            [("retry", self.retry_first, self.retry_max), ("pause", self.pause_first, self.pause_max)]
        {
            if first.is_zero() || max < first {
                return Err(Error::configuration(format!(
                    "{name}_first is {first:?} and {name}_max is {max:?}: the first must not be 0 nor above the other"
                )));
            }
        }
        Ok(())
    }
}

use std::time::Duration;

use ermine_core::{Bell, Error, ErrorKind, Observe, Position, Result, Seq, ShardName, ports::Store};
use ermine_highwater::{Tracker, Verdict};

use crate::highwater::exact_policy;

/// The longest time between two looks.
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_millis(100);

/// Waits until the stored progress of each of `shards` has reached `position`, whichever process runs them.
///
/// # Errors
///
/// [`TimedOut`](ErrorKind::TimedOut) that names each shard that lags and where it is.
///
/// # Cancellation
///
/// Safe: it only reads.
pub async fn wait_for_stored(
    store: &dyn Store,
    shards: &[ShardName],
    position: Position,
    timeout: Duration,
) -> Result<()> {
    let began = tokio::time::Instant::now();
    let mut pause = Duration::from_millis(2);
    loop {
        let left = timeout.saturating_sub(began.elapsed()).max(pause);
        let progress = match tokio::time::timeout(left, store.read_progress()).await {
            Ok(Err(error)) if error.is_transient() && began.elapsed() < timeout => {
                tokio::time::sleep(pause).await;
                continue;
            }
            Ok(read) => read?,
            Err(_) => {
                let doing = format!("waited {timeout:?} for position {position}: the store does not answer");
                return Err(Error::new(ErrorKind::TimedOut, doing));
            }
        };
        let at = |shard: &ShardName| {
            progress.iter().find(|p| p.shard == *shard).map(|p| p.seq).unwrap_or_default()
        };
        let lagging: Vec<String> = shards
            .iter()
            .filter(|s| at(s) < position.seq())
            .map(|s| format!("{s} is at {}", at(s)))
            .collect();
        if lagging.is_empty() {
            return Ok(());
        }
        if began.elapsed() >= timeout {
            return Err(Error::new(
                ErrorKind::TimedOut,
                format!(
                    "waited {timeout:?} for position {position}: {}; no daemon runs in this process, so another one \
                     has to",
                    lagging.join("; ")
                ),
            ));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LOOK_AT_LEAST_EVERY);
    }
}

/// The last event that is committed by now.
///
/// # Errors
///
/// [`TimedOut`](ErrorKind::TimedOut) when the store does not answer, and those of the connection.
///
/// # Cancellation
///
/// Safe: it only reads.
pub async fn highest(store: &dyn Store, timeout: Duration) -> Result<Position> {
    let observation = store.observe(Observe { mark: Seq::ZERO, bell: Bell::Leave });
    match tokio::time::timeout(timeout, observation).await {
        Ok(observation) => Ok(Position::new(observation?.highest_visible)),
        Err(_) => {
            Err(Error::new(ErrorKind::TimedOut, format!("the store did not answer within {timeout:?}")))
        }
    }
}

/// The high-water mark as one look at the store proves it.
///
/// # Errors
///
/// [`Configuration`](ErrorKind::Configuration) when the store cannot prove which numbers are settled, and those of the
/// connection.
///
/// # Cancellation
///
/// Safe: it only reads.
pub async fn high_water_mark(store: &dyn Store) -> Result<Position> {
    let observation = store.observe(Observe { mark: Seq::ZERO, bell: Bell::Leave }).await?;
    let policy = exact_policy(&observation.evidence)?;
    let mut tracker = Tracker::resume(Seq::ZERO, policy).in_incarnation(observation.incarnation);
    match tracker.handle_observation(&observation, false) {
        Verdict::Sound(_) => Ok(Position::new(tracker.mark())),
        other => Err(Error::fatal(format!("one look at the store does not show its mark: {other:?}"))),
    }
}

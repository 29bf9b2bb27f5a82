use std::{fmt, sync::Arc, time::Duration};

use ermine_core::{
    DeadLetter, Error, ErrorKind, LetterId, LetterQuery, LetterRequest, LetterStatus, Result,
    ports::{DeadLetterStore, Store},
};
use tokio::time::Instant;

use crate::{Handle, control::Control};

/// The longest time between two looks whether a request has been dealt with.
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_millis(100);

/// The events that the shards of a daemon have refused, and what can be done about them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Letters {
    store: Arc<dyn Store>,
    shards: Arc<[(Arc<Control>, Late)]>,
}

/// How an event is applied that other events have overtaken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Late {
    /// The view is made again out of all events of its stream, so that order is kept.
    FoldAgain,
    /// It is applied on top of what has been applied meanwhile.
    OnTop,
    /// It is delivered again, out of order.
    Deliver,
}

/// A retry that has not begun: [`run`](Retry::run) begins it, and `Display` says what it will do.
#[derive(Debug)]
#[must_use = "nothing is retried before it is run"]
pub struct Retry {
    letters: Letters,
    query: LetterQuery,
    by: String,
    shards: Vec<RetriedShard>,
}

/// What a retry will do in one shard.
#[derive(Debug)]
struct RetriedShard {
    control: Arc<Control>,
    parked: u64,
    loose: u64,
    late: Late,
}

/// What came of a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retried {
    /// How many events have been applied.
    pub replayed: u64,
    /// How many were refused again.
    pub refused: u64,
}

impl Letters {
    pub(crate) fn new(handle: &Handle) -> Result<Self> {
        if handle.store.dead_letters().is_none() {
            let kind = handle.store.kind();
            return Err(Error::configuration(format!("the store \"{kind}\" keeps no dead letters")));
        }
        let shards = handle.shards.iter().map(|shard| (shard.control.clone(), shard.late));
        Ok(Self { store: handle.store.clone(), shards: shards.collect() })
    }

    /// The letters that match, in the order of shards and events. Go on after the last one with
    /// [`after`](LetterQuery::after).
    ///
    /// # Errors
    ///
    /// Those of the connection.
    pub async fn list(&self, query: LetterQuery) -> Result<Vec<DeadLetter>> {
        self.port()?.letters(query).await
    }

    /// How many letters match.
    ///
    /// # Errors
    ///
    /// Those of the connection.
    pub async fn count(&self, query: LetterQuery) -> Result<u64> {
        self.port()?.count_letters(query).await
    }

    /// One letter.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) when there is none, and those of the connection.
    pub async fn show(&self, id: &LetterId) -> Result<DeadLetter> {
        let query =
            LetterQuery { shard: Some(id.shard.clone()), seq: Some(id.seq), ..LetterQuery::default() };
        let found = self.port()?.letters(query).await?.into_iter().find(|letter| letter.id == *id);
        found.ok_or_else(|| Error::new(ErrorKind::NotFound, format!("there is no dead letter for {id}")))
    }

    /// Prepares to apply the waiting letters that match again; `by` says who wants that. Print the answer before you run it:
    /// it says what will happen to the order of events.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) when no letter waits that matches, and those of the connection.
    pub async fn retry(&self, query: LetterQuery, by: impl Into<String>) -> Result<Retry> {
        let query = LetterQuery { statuses: vec![LetterStatus::Waiting], after: None, limit: None, ..query };
        let port = self.port()?;
        let mut shards = Vec::new();
        for (control, late) in self.shards.iter() {
            let of_shard = query.shard.as_ref().is_none_or(|shard| *shard == control.shard);
            let all = LetterQuery { shard: Some(control.shard.clone()), ..query.clone() };
            let waiting = if of_shard { port.count_letters(all.clone()).await? } else { 0 };
            if waiting > 0 {
                let parked = self.count_parked(all).await?;
                // Letters may be written between the two counts.
                let loose = waiting.saturating_sub(parked);
                shards.push(RetriedShard { control: control.clone(), parked, loose, late: *late });
            }
        }
        if shards.is_empty() {
            return Err(Error::new(ErrorKind::NotFound, "no dead letter waits that matches"));
        }
        Ok(Retry { letters: self.clone(), query, by: by.into(), shards })
    }

    /// Gives up the letters that match and are not settled; what waits behind them goes on. Says how many there are; whoever
    /// runs their shards does it.
    ///
    /// # Errors
    ///
    /// Those of the connection.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves open whether they are marked; ask again.
    pub async fn discard(
        &self,
        query: LetterQuery,
        by: impl Into<String>,
        reason: impl Into<String>,
    ) -> Result<u64> {
        let request = LetterRequest::Discard { by: by.into().into(), reason: reason.into() };
        let query = LetterQuery { after: None, limit: None, ..query };
        self.port()?.request(query, request).await
    }

    async fn count_parked(&self, query: LetterQuery) -> Result<u64> {
        const PAGE: usize = 500;
        let mut query = LetterQuery { limit: Some(PAGE), ..query };
        let mut parked = 0;
        loop {
            let letters = self.port()?.letters(query.clone()).await?;
            parked += letters.iter().filter(|letter| letter.id.key.is_some()).count() as u64;
            match letters.last() {
                Some(last) if letters.len() == PAGE => query.after = Some(last.id.clone()),
                _ => return Ok(parked),
            }
        }
    }

    fn port(&self) -> Result<&dyn DeadLetterStore> {
        self.store.dead_letters().ok_or_else(|| Error::configuration("the store keeps no dead letters"))
    }
}

impl Retry {
    /// Has whoever runs the shards apply the events, and waits for the outcome.
    ///
    /// # Errors
    ///
    /// [`TimedOut`](ErrorKind::TimedOut) when that takes longer than `timeout`: the letters stay marked, and are retried as
    /// soon as their shards run. And those of the connection.
    ///
    /// # Cancellation
    ///
    /// Dropping the future does not take the request back.
    pub async fn run(self, timeout: Duration) -> Result<Retried> {
        let began = Instant::now();
        let port = self.letters.port()?;
        let count = |statuses: &[LetterStatus]| {
            port.count_letters(LetterQuery { statuses: statuses.to_vec(), ..self.query.clone() })
        };
        let before = count(&[LetterStatus::Replayed]).await?;
        let request = LetterRequest::Retry { by: self.by.as_str().into() };
        let asked = port.request(self.query.clone(), request).await?;
        // The workers of this process need not wait until the store rings.
        for RetriedShard { control, .. } in &self.shards {
            control.letters.notify_one();
        }
        let mut pause = Duration::from_millis(2);
        loop {
            let left = count(&LetterStatus::REQUESTED).await?;
            if left == 0 {
                let replayed = count(&[LetterStatus::Replayed]).await?.saturating_sub(before).min(asked);
                return Ok(Retried { replayed, refused: asked - replayed });
            }
            if began.elapsed() >= timeout {
                return Err(Error::new(
                    ErrorKind::TimedOut,
                    format!(
                        "waited {timeout:?} for {asked} dead letters, and {left} are not dealt with yet: they will be as soon \
                         as their shards run"
                    ),
                ));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LOOK_AT_LEAST_EVERY);
        }
    }
}

impl fmt::Display for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = Vec::new();
        for RetriedShard { control, parked, loose, late } in &self.shards {
            let shard = &control.shard;
            if *parked > 0 {
                lines.push(format!("{shard}: {parked} parked events and what waits behind them, in order"));
            }
            if *loose > 0 {
                lines.push(format!("{shard}: {loose} skipped events, {late}"));
            }
        }
        f.write_str(&lines.join("\n"))
    }
}

impl fmt::Display for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FoldAgain => "whose views are made again out of their streams, in order",
            Self::OnTop => "which are applied late, on top of the events that came after them",
            Self::Deliver => "which are delivered late, after the events that came after them",
        })
    }
}

use std::num::NonZeroUsize;

use async_trait::async_trait;

use crate::{DeadLetter, Event, LetterQuery, LetterRequest, ParkKey, Result, Seq, ShardName, Timestamp};

/// Keeps the events that shards have refused. They are written by commits alone; what is to become of them can be asked for from
/// anywhere.
///
/// # Contract
///
/// - Letters, parked events and the progress that passes them become visible together or not at all.
/// - A letter takes the place of the one with the same id, and comes back as it was written: its body untouched, its times to the
///   microsecond.
/// - Letters are given as `LetterQuery::matches` says, in the order of `LetterId::order`, up to the limit.
/// - Counting says how many letters match, whatever `limit` says.
/// - Asking marks the letters that match and are not settled, says how many, and wakes a waiter whose bell is not armed, too.
/// - Parked events are given in the order of their numbers, after a number, up to the limit; parking one twice is as once.
/// - The parked keys of a shard are those behind which any of its events wait, each with how many.
/// - Reading events gives those that there are, once each in the order of their numbers, with their bodies, skipped or not.
/// - Purging removes the letters that were replayed before a moment, and no other.
#[async_trait]
pub trait DeadLetterStore: Send + Sync {
    /// The letters that match.
    ///
    /// # Errors
    ///
    /// Those of the connection.
    async fn letters(&self, query: LetterQuery) -> Result<Vec<DeadLetter>>;

    /// How many letters match.
    ///
    /// # Errors
    ///
    /// Those of the connection.
    async fn count_letters(&self, query: LetterQuery) -> Result<u64>;

    /// Says what is to become of the letters that match and are not settled; whoever runs their shards will do it. Without
    /// regard to the limit of the query.
    ///
    /// # Errors
    ///
    /// Those of the connection.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves open whether they are marked; ask again.
    async fn request(&self, query: LetterQuery, request: LetterRequest) -> Result<u64>;

    /// Behind what events of a shard wait, and how many.
    ///
    /// # Errors
    ///
    /// Those of the connection.
    async fn parked_keys(&self, shard: &ShardName) -> Result<Vec<(ParkKey, u64)>>;

    /// The events that wait behind `key`.
    ///
    /// # Errors
    ///
    /// Those of the connection.
    async fn parked(
        &self,
        shard: &ShardName,
        key: &ParkKey,
        after: Seq,
        limit: NonZeroUsize,
    ) -> Result<Vec<Seq>>;

    /// Events by their numbers.
    ///
    /// # Errors
    ///
    /// Those of the connection.
    async fn read_events(&self, seqs: &[Seq]) -> Result<Vec<Event>>;

    /// Forgets letters whose events were replayed before `moment`; says how many. A letter that was discarded stays, because it
    /// says why its event is not applied.
    ///
    /// # Errors
    ///
    /// Those of the connection.
    async fn purge_letters(&self, moment: Timestamp) -> Result<u64>;
}

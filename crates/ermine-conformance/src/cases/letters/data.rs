//! Letters of the suite, and all that a store says about refused events.

use std::time::Duration;

use ermine_core::{
    DeadLetter, ErrorClass, LetterChanges, LetterId, LetterQuery, LetterRequest, LetterState, ParkKey, Seq,
    ShardName, TenantId, Timestamp, Version, ViewKey,
    ports::{DeadLetterStore, Store},
};

use crate::{
    Outcome, Stop,
    bench::{HAPPENED, Worker, at_most, body, key, stream, tenant, type_name},
    outcome::{ensure, ensure_eq},
};

/// A moment, `micros` microseconds after the first.
pub(crate) fn moment(micros: u64) -> Timestamp {
    Timestamp::UNIX_EPOCH + Duration::from_secs(1_767_225_600) + Duration::from_micros(micros)
}

/// The letter of a shard about event `seq` that says nothing in particular.
pub(super) fn letter(shard: &ShardName, seq: u64, key: Option<ParkKey>) -> DeadLetter {
    DeadLetter {
        id: LetterId { shard: shard.clone(), seq: Seq::new(seq), key },
        tenant: TenantId::default(),
        stream: stream("s"),
        version: Version::new(seq),
        type_name: type_name(HAPPENED),
        body: body(format!("event {seq}")),
        class: Some(ErrorClass::Apply),
        error: format!("event {seq} was refused"),
        attempts: 1,
        first_at: Timestamp::UNIX_EPOCH,
        last_at: moment(0),
        state: LetterState::Waiting,
    }
}

/// Every state that a letter can be in.
pub(super) fn states() -> [LetterState; 5] {
    [
        LetterState::Waiting,
        LetterState::Requested(LetterRequest::Retry { by: "o'brien: \u{e4}".into() }),
        LetterState::Requested(LetterRequest::Discard { by: "grace".into(), reason: "line\nline".into() }),
        LetterState::Replayed { at: moment(7) },
        LetterState::Discarded { at: moment(8), by: "grace".into(), reason: "'); drop \u{1f9a6}".into() },
    ]
}

pub(super) fn behind_stream(id: &str) -> ParkKey {
    ParkKey::Stream { tenant: TenantId::default(), stream: stream(id) }
}

pub(super) fn behind_view(id: &str) -> ParkKey {
    ParkKey::View(key(id))
}

/// Keys of which some differ only in their kind, their tenant, or where the one ends and the other begins.
pub(super) fn keys() -> Vec<ParkKey> {
    let owners =
        [("", "x"), ("a", "x"), ("a:x", "x"), ("a", "x:x"), ("A", "x"), ("a", "X"), ("", "it's \u{e4}")];
    let owned = |owner: &str| if owner.is_empty() { TenantId::default() } else { tenant(owner) };
    let streams = owners.map(|(owner, id)| ParkKey::Stream { tenant: owned(owner), stream: stream(id) });
    let views = owners.map(|(owner, id)| ParkKey::View(ViewKey { tenant: owned(owner), ..key(id) }));
    streams.into_iter().chain(views).collect()
}

pub(super) fn written(letters: &[DeadLetter]) -> LetterChanges {
    LetterChanges { letters: letters.to_vec(), ..LetterChanges::default() }
}

/// A letter and an event behind it.
pub(crate) fn parking(shard: &ShardName) -> LetterChanges {
    LetterChanges {
        letters: vec![letter(shard, 1, Some(behind_stream("a")))],
        parked: vec![(behind_stream("a"), Seq::new(2))],
        released: Vec::new(),
    }
}

/// Commits a batch that changes nothing else.
pub(super) async fn commit(
    store: &dyn Store,
    worker: &mut Worker,
    to: u64,
    letters: LetterChanges,
) -> Outcome {
    worker.batch.letters = letters;
    worker.commit(store, to, Vec::new()).await?;
    worker.batch.letters = LetterChanges::default();
    Ok(())
}

pub(super) async fn all(letters: &dyn DeadLetterStore) -> Result<Vec<DeadLetter>, Stop> {
    Ok(letters.letters(LetterQuery::default()).await?)
}

/// Ends the case unless both are the same letters, at the first that is not.
pub(super) fn ensure_same(found: &[DeadLetter], wanted: &[DeadLetter], what: &str) -> Outcome {
    let ids = |letters: &[DeadLetter]| letters.iter().map(|letter| letter.id.clone()).collect::<Vec<_>>();
    let (found_ids, wanted_ids) = (ids(found), ids(wanted));
    let odd: Vec<&LetterId> = found_ids
        .iter()
        .filter(|id| !wanted_ids.contains(id))
        .chain(wanted_ids.iter().filter(|id| !found_ids.contains(id)))
        .collect();
    ensure!(odd.is_empty(), "{what}: only one of what was found and what was wanted has {odd:?}");
    ensure_eq!(found_ids, wanted_ids, "the order of {what}");
    for (found, wanted) in found.iter().zip(wanted) {
        ensure_eq!(found.body, wanted.body, "{what}: the body of {}", wanted.id);
        ensure_eq!(found, wanted, "{what}");
    }
    Ok(())
}

/// The events that wait behind each key of a shard, after checking that it has said how many.
pub(super) async fn parked(
    letters: &dyn DeadLetterStore,
    shard: &ShardName,
) -> Result<Vec<(ParkKey, Vec<u64>)>, Stop> {
    let mut parked = Vec::new();
    for (key, count) in letters.parked_keys(shard).await? {
        let waiting = waiting(letters, shard, &key).await?;
        if waiting.len() as u64 != count {
            return Err(Stop::Broken(format!(
                "{count} events are said to wait behind {key} in shard {shard}, and there are {waiting:?}"
            )));
        }
        parked.push((key, waiting));
    }
    // Which key comes first is not promised.
    parked.sort_unstable();
    Ok(parked)
}

/// The events that wait behind a key.
pub(super) async fn waiting(
    letters: &dyn DeadLetterStore,
    shard: &ShardName,
    key: &ParkKey,
) -> Result<Vec<u64>, Stop> {
    let waiting = letters.parked(shard, key, Seq::ZERO, at_most(10_000)).await?;
    Ok(waiting.into_iter().map(Seq::get).collect())
}

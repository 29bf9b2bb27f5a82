//! Short names for what every test needs.

use std::num::NonZeroUsize;

use ermine_core::{
    AppendBatch, Bell, Body, DeadLetter, EffectId, ErrorClass, EventFilter, EventPage, EventRange,
    Incarnation, LetterId, LetterState, Message, NewEvent, Observation, Observe, Operation, PageRequest,
    ParkKey, ProjectionName, Seq, ShardBatch, ShardName, StoredView, StreamAppend, StreamId, TakenShard,
    TenantId, Timestamp, TypeName, Version, ViewId, ViewKey, ViewTable,
    ports::{EventReader, HighWaterSource, ViewStore},
};
use ermine_memory::MemoryStore;

pub(crate) fn type_name() -> TypeName {
    TypeName::new("trip.started").unwrap()
}

pub(crate) fn event() -> NewEvent {
    NewEvent::new(type_name(), Body::encode("ada").unwrap())
}

pub(crate) fn one(stream: &str) -> AppendBatch {
    AppendBatch::new().stream(StreamAppend::new(StreamId::new(stream).unwrap(), vec![event()]))
}

pub(crate) async fn observe(store: &MemoryStore) -> Observation {
    store.observe(Observe { mark: Seq::ZERO, bell: Bell::Leave }).await.unwrap()
}

/// The numbers of all visible events.
pub(crate) async fn seqs(store: &MemoryStore) -> Vec<u64> {
    page(store).await.events.iter().map(|event| event.seq.get()).collect()
}

/// All visible events.
pub(crate) async fn page(store: &MemoryStore) -> EventPage {
    let incarnation = observe(store).await.incarnation;
    let request = PageRequest {
        range: EventRange::new(Seq::ZERO, Seq::MAX).unwrap(),
        filter: EventFilter::new([type_name()], []),
        events_max: NonZeroUsize::MAX,
        bytes_max: usize::MAX,
        incarnation,
    };
    store.load_page(request).await.unwrap()
}

pub(crate) fn message() -> Message {
    let projection = ProjectionName::new("Trip").unwrap();
    Message {
        id: EffectId::derive(&projection, Seq::new(1), None, 0),
        projection,
        seq: Seq::new(1),
        tenant: TenantId::default(),
        topic: "trips".into(),
        body: Body::encode("sent").unwrap(),
    }
}

pub(crate) fn shard() -> ShardName {
    ShardName::all(ProjectionName::new("Trip").unwrap(), 1)
}

pub(crate) fn table() -> ViewTable {
    ViewTable::new(ProjectionName::new("Trip").unwrap(), 1)
}

pub(crate) fn key(id: &str) -> ViewKey {
    ViewKey::new(ViewId::new(id).unwrap())
}

/// A batch that stores one view and moves progress to `to`.
pub(crate) fn batch(taken: &TakenShard, incarnation: Incarnation, to: u64) -> ShardBatch {
    let view = StoredView { body: Body::encode(&to).unwrap(), version: Version::new(to), seq: Seq::new(to) };
    ShardBatch {
        operations: vec![Operation::Store { table: table(), key: key("trip-1"), view }],
        ..ShardBatch::new(taken.shard.clone(), taken.epoch, incarnation, taken.seq, Seq::new(to))
    }
}

/// The number in the view that [`batch`] stores.
pub(crate) async fn stored(store: &MemoryStore) -> Option<u64> {
    let views = store.load_views(&table(), &[key("trip-1")]).await.unwrap();
    views[0].as_ref().map(|view| view.seq.get())
}

/// What waits behind letters: the stream "a".
pub(crate) fn behind() -> ParkKey {
    ParkKey::Stream { tenant: TenantId::default(), stream: StreamId::new("a").unwrap() }
}

/// A letter of [`shard`] about event `seq`, behind which others wait.
pub(crate) fn letter(seq: u64) -> DeadLetter {
    DeadLetter {
        id: LetterId { shard: shard(), seq: Seq::new(seq), key: Some(behind()) },
        tenant: TenantId::default(),
        stream: StreamId::new("a").unwrap(),
        version: Version::new(seq),
        type_name: type_name(),
        body: Body::encode("ada").unwrap(),
        class: Some(ErrorClass::Apply),
        error: "no such driver".into(),
        attempts: 1,
        first_at: Timestamp::UNIX_EPOCH,
        last_at: Timestamp::UNIX_EPOCH,
        state: LetterState::Waiting,
    }
}

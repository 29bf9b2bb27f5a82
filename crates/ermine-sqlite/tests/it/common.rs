//! What the tests of this crate share.

use std::{num::NonZeroUsize, path::PathBuf, time::Duration};

use ermine_core::{
    AppendBatch, Bell, Body, DeadLetter, ErrorClass, Event, EventFilter, EventRange, ExpectedVersion,
    LetterId, LetterState, NewEvent, Observation, Observe, Operation, PageRequest, ParkKey, ProjectionName,
    Seq, ShardBatch, ShardName, StoredView, StreamAppend, StreamId, TenantId, Timestamp, TypeName, Version,
    ViewId, ViewKey, ViewTable,
    ports::{EventReader, HighWaterSource, ProgressStore, Registration, SchemaAdmin},
};
use ermine_sqlite::{SqliteOptions, Store, Synchronous};
use rusqlite::Connection;
use tempfile::TempDir;

/// Long enough for a machine that compiles at the same time.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) const LEAVE: Observe = Observe { mark: Seq::ZERO, bell: Bell::Leave };

/// A directory for the file of one test, removed at the end.
pub(crate) struct Place {
    directory: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    /// Where the store is.
    pub(crate) fn file(&self) -> PathBuf {
        self.directory.path().join("trips.db")
    }

    /// A store on the file, as another process would open it. It does not wait for the disk, which is not what is tested.
    pub(crate) async fn open(&self) -> Store {
        SqliteOptions::new(self.file()).synchronous(Synchronous::Normal).open().await.unwrap()
    }

    /// The same, migrated.
    pub(crate) async fn store(&self) -> Store {
        let store = self.open().await;
        store.migrate(&registration()).await.unwrap();
        store
    }

    /// The file in the hands of a stranger who writes SQL.
    pub(crate) fn sql(&self) -> Connection {
        let connection = Connection::open(self.file()).unwrap();
        connection.busy_timeout(DEADLINE).unwrap();
        connection
    }
}

pub(crate) fn table() -> ViewTable {
    ViewTable::new(ProjectionName::new("trip").unwrap(), 1)
}

pub(crate) fn registration() -> Registration {
    Registration { tables: vec![table().into()] }
}

pub(crate) fn shard() -> ShardName {
    "trip:All".parse().unwrap()
}

pub(crate) fn stream(id: &str) -> StreamId {
    StreamId::new(id).unwrap()
}

pub(crate) fn event(json: &str) -> NewEvent {
    NewEvent::new(TypeName::new("Travelled").unwrap(), Body::from_json(json.to_owned()).unwrap())
}

/// An append of events to one stream, with the bodies 1, 2, 3.
pub(crate) fn batch(id: &str, events: usize) -> AppendBatch {
    batch_expecting(id, events, ExpectedVersion::Any)
}

pub(crate) fn batch_expecting(id: &str, events: usize, expected: ExpectedVersion) -> AppendBatch {
    let events = (1..=events).map(|nth| event(&nth.to_string())).collect();
    AppendBatch::new().stream(StreamAppend::new(stream(id), events).expecting(expected))
}

pub(crate) async fn observe(store: &Store) -> Observation {
    store.observe(LEAVE).await.unwrap()
}

/// Every event of type `Travelled`.
pub(crate) async fn log(store: &Store) -> Vec<Event> {
    let seen = observe(store).await;
    let Some(range) = EventRange::new(Seq::ZERO, seen.highest_visible) else { return Vec::new() };
    let request = PageRequest {
        range,
        filter: EventFilter::new([TypeName::new("Travelled").unwrap()], []),
        events_max: NonZeroUsize::MAX,
        bytes_max: usize::MAX,
        incarnation: seen.incarnation,
    };
    store.load_page(request).await.unwrap().events
}

pub(crate) fn key(id: &str) -> ViewKey {
    ViewKey::new(ViewId::new(id).unwrap())
}

pub(crate) fn put(id: &str, json: &str) -> Operation {
    let body = Body::from_json(json.to_owned()).unwrap();
    let view = StoredView { body, version: Version::FIRST, seq: Seq::new(1) };
    Operation::Store { table: table(), key: key(id), view }
}

/// A batch that takes the shard, moves it on by one and does this.
pub(crate) async fn next_batch(store: &Store, operations: Vec<Operation>) -> ShardBatch {
    let incarnation = observe(store).await.incarnation;
    let taken = store.take_shards(&[shard()]).await.unwrap().remove(0);
    let mut batch = ShardBatch::new(shard(), taken.epoch, incarnation, taken.seq, taken.seq.next());
    batch.operations = operations;
    batch
}

/// A letter of [`shard`] about an event, behind which later events of its stream wait.
pub(crate) fn letter(event: Seq) -> DeadLetter {
    DeadLetter {
        id: LetterId { shard: shard(), seq: event, key: Some(behind()) },
        tenant: TenantId::default(),
        stream: stream("trip-1"),
        version: Version::FIRST,
        type_name: TypeName::new("Travelled").unwrap(),
        body: Body::from_store("{\"cut off".into()),
        class: Some(ErrorClass::Apply),
        error: "no such trip".into(),
        attempts: 3,
        first_at: Timestamp::UNIX_EPOCH,
        last_at: Timestamp::UNIX_EPOCH,
        state: LetterState::Waiting,
    }
}

/// What waits behind [`letter`].
pub(crate) fn behind() -> ParkKey {
    ParkKey::Stream { tenant: TenantId::default(), stream: stream("trip-1") }
}

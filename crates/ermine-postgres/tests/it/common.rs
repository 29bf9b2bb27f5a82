//! What the tests of this crate share.

use std::{num::NonZeroUsize, time::Duration};

use ermine_core::{
    AppendBatch, Appended, Bell, Body, EffectId, EventFilter, EventPage, EventRange, Evidence,
    ExpectedVersion, Message, NewEvent, Observation, Observe, Operation, PageRequest, ProjectionName, Result,
    Seq, StoredView, StreamAppend, StreamId, TypeName, Version, ViewId, ViewKey, ViewTable,
    ports::{EventAppender, EventReader, HighWaterSource, Registration, SchemaAdmin},
};
use ermine_postgres::Store;
use ermine_testkit::pg::{OwnedClient, Settings, TestDatabase};

/// Long enough for a machine that compiles at the same time.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) const LEAVE: Observe = Observe { mark: Seq::ZERO, bell: Bell::Leave };

/// A server that keeps what it has committed when it crashes.
pub(crate) const DURABLE: Settings<'static> =
    Settings { fsync: false, tcp: false, extra: &[("synchronous_commit", "on")] };

/// A migrated store on a database of its own. The database goes last.
pub(crate) struct Fixture {
    pub(crate) store: Store,
    pub(crate) database: TestDatabase,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        let database = TestDatabase::create().await;
        let store = Store::connect(database.url()).await.unwrap();
        store.migrate(&registration()).await.unwrap();
        Self { store, database }
    }

    /// A session of a stranger who writes SQL.
    pub(crate) async fn sql(&self) -> OwnedClient {
        self.database.connect().await
    }

    pub(crate) async fn observe(&self) -> Observation {
        observe(&self.store).await
    }
}

pub(crate) async fn observe(store: &Store) -> Observation {
    store.observe(LEAVE).await.unwrap()
}

/// The last number, and the mark that follows from the floors.
pub(crate) fn last_and_mark(observation: &Observation) -> (u64, u64) {
    let Evidence::Floors(floors) = &observation.evidence else { panic!("no floors: {observation:?}") };
    let mark = floors.iter().copied().fold(observation.last, Seq::min);
    (observation.last.get(), mark.get())
}

pub(crate) fn table() -> ViewTable {
    ViewTable::new(ProjectionName::new("Trip").unwrap(), 1)
}

pub(crate) fn registration() -> Registration {
    Registration { tables: vec![table().into()] }
}

pub(crate) fn event(type_name: &str, json: &str) -> NewEvent {
    NewEvent::new(TypeName::new(type_name).unwrap(), Body::from_json(json.to_owned()).unwrap())
}

pub(crate) fn stream(id: &str, events: usize) -> StreamAppend {
    let events = (1..=events).map(|n| event("Travelled", &format!("{{\"km\":{n}}}"))).collect();
    StreamAppend::new(StreamId::new(id).unwrap(), events)
}

pub(crate) fn batch(id: &str, events: usize) -> AppendBatch {
    AppendBatch::new().stream(stream(id, events))
}

pub(crate) async fn append(
    store: &Store,
    id: &str,
    expected: ExpectedVersion,
    events: usize,
) -> Result<Appended> {
    store.append(AppendBatch::new().stream(stream(id, events).expecting(expected))).await
}

pub(crate) fn names(names: &[&str]) -> Vec<TypeName> {
    names.iter().map(|name| TypeName::new(*name).unwrap()).collect()
}

/// All events up to the last number, in pages of `events_max`.
pub(crate) async fn page(
    store: &Store,
    from: u64,
    to: u64,
    events_max: usize,
    filter: EventFilter,
) -> EventPage {
    let incarnation = observe(store).await.incarnation;
    let request = PageRequest {
        range: EventRange::new(Seq::new(from), Seq::new(to)).unwrap(),
        filter,
        events_max: NonZeroUsize::new(events_max).unwrap(),
        bytes_max: usize::MAX,
        incarnation,
    };
    store.load_page(request).await.unwrap()
}

pub(crate) fn key(id: &str) -> ViewKey {
    ViewKey::new(ViewId::new(id).unwrap())
}

pub(crate) fn store_operation(id: &str, json: &str) -> Operation {
    let body = Body::from_json(json.to_owned()).unwrap();
    let view = StoredView { body, version: Version::FIRST, seq: Seq::new(1) };
    Operation::Store { table: table(), key: key(id), view }
}

pub(crate) fn publish(what: &str) -> Operation {
    let projection = ProjectionName::new("Trip").unwrap();
    Operation::Publish(Message {
        id: EffectId::derive(&projection, Seq::new(1), Some(&key(what)), 0),
        projection,
        seq: Seq::new(1),
        tenant: Default::default(),
        topic: "trips".into(),
        body: Body::encode(&what).unwrap(),
    })
}

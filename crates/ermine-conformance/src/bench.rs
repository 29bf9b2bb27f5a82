//! What the cases build on: the store in a known state, short names for data, and readings of the log.

use std::{
    future::poll_fn,
    num::NonZeroUsize,
    pin::pin,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

use ermine_core::{
    AppendBatch, Bell, Body, EffectId, Epoch, Event, EventFilter, EventPage, EventRange, Incarnation,
    Message, Native, NewEvent, Observation, Observe, Operation, PageRequest, Progress, ProjectionName,
    Result, Seq, ShardBatch, ShardName, StoredView, StreamAppend, StreamId, TakenShard, TenantId, TypeName,
    Version, ViewId, ViewKey, ViewPin, ViewTable,
    ports::{DeadLetterStore, Outbox, Registration, Store, StreamAdmin, TableSpec, WishStore},
};

use crate::{Harness, HeldAppend, Stop};

/// The type of events that means nothing in particular.
pub(crate) const HAPPENED: &str = "conformance.happened";

/// One case's access to its store.
pub(crate) struct Bench<'h> {
    harness: &'h dyn Harness,
}

impl<'h> Bench<'h> {
    pub(crate) fn new(harness: &'h dyn Harness) -> Self {
        Self { harness }
    }

    /// The store as the harness gave it.
    pub(crate) fn fresh(&self) -> Arc<dyn Store> {
        self.harness.store()
    }

    /// The store, migrated.
    pub(crate) async fn ready(&self) -> Result<Arc<dyn Store>, Stop> {
        self.ready_with([]).await
    }

    /// The store, migrated with more tables than the usual ones.
    pub(crate) async fn ready_with(
        &self,
        tables: impl IntoIterator<Item = TableSpec>,
    ) -> Result<Arc<dyn Store>, Stop> {
        let store = self.fresh();
        let mut registration = registration();
        registration.tables.extend(tables);
        store.migrate(&registration).await?;
        Ok(store)
    }

    /// Another node where the harness has one, else the same store again.
    pub(crate) async fn other(&self) -> Result<Arc<dyn Store>, Stop> {
        Ok(self.harness.other_node().await?.unwrap_or_else(|| self.fresh()))
    }

    pub(crate) async fn true_other(&self) -> Result<Option<Arc<dyn Store>>, Stop> {
        Ok(self.harness.other_node().await?)
    }

    pub(crate) async fn try_hold(&self, batch: AppendBatch) -> Result<Option<Box<dyn HeldAppend>>, Stop> {
        Ok(self.harness.hold_append(batch).await?)
    }

    pub(crate) async fn hold(&self, batch: AppendBatch) -> Result<Box<dyn HeldAppend>, Stop> {
        let held = self.try_hold(batch).await?;
        held.ok_or_else(|| Stop::Skipped("the harness cannot hold an append open".into()))
    }

    pub(crate) async fn crash(&self) -> bool {
        self.harness.crash().await
    }

    pub(crate) async fn restart(&self) -> bool {
        self.harness.restart().await
    }
}

pub(crate) fn registration() -> Registration {
    Registration {
        tables: [table("Balance", 1), table("Balance", 2), table("Ride", 1)].map(Into::into).into(),
    }
}

/// What archives streams and skips events, where the store can.
pub(crate) fn stream_admin(store: &dyn Store) -> Result<&dyn StreamAdmin, Stop> {
    store
        .stream_admin()
        .ok_or_else(|| Stop::Skipped("the store cannot archive streams or skip events".into()))
}

/// The outbox, where the store has one.
pub(crate) fn outbox(store: &dyn Store) -> Result<&dyn Outbox, Stop> {
    store.outbox().ok_or_else(|| Stop::Skipped("the store has no outbox".into()))
}

/// Where dead letters are, where the store has them.
pub(crate) fn dead_letters(store: &dyn Store) -> Result<&dyn DeadLetterStore, Stop> {
    store.dead_letters().ok_or_else(|| Stop::Skipped("the store keeps no dead letters".into()))
}

/// Where wishes are, where the store keeps them.
pub(crate) fn wish_store(store: &dyn Store) -> Result<&dyn WishStore, Stop> {
    store.wishes().ok_or_else(|| Stop::Skipped("the store keeps no wishes".into()))
}

pub(crate) fn table(projection: &str, version: u32) -> ViewTable {
    ViewTable::new(name(projection), version)
}

pub(crate) fn shard(projection: &str, version: u32) -> ShardName {
    ShardName::all(name(projection), version)
}

fn name(projection: &str) -> ProjectionName {
    ProjectionName::new(projection).expect("the suite's names are names")
}

pub(crate) fn stream(id: &str) -> StreamId {
    StreamId::new(id).expect("the suite's ids are ids")
}

pub(crate) fn tenant(id: &str) -> TenantId {
    TenantId::new(id).expect("the suite's ids are ids")
}

pub(crate) fn key(id: &str) -> ViewKey {
    ViewKey::new(ViewId::new(id).expect("the suite's ids are ids"))
}

pub(crate) fn type_name(name: &str) -> TypeName {
    TypeName::new(name).expect("the suite's types are types")
}

pub(crate) fn body<T: Into<serde_json::Value>>(value: T) -> Body {
    Body::encode(&value.into()).expect("the suite's bodies are JSON")
}

/// What a body says, however a store spells it.
pub(crate) fn json(body: &Body) -> Result<serde_json::Value, Stop> {
    body.decode().map_err(|e| Stop::Broken(format!("a body came back that is not JSON ({e}): {body:?}")))
}

/// Whether two documents say the same, however their numbers are spelled.
pub(crate) fn same(one: &serde_json::Value, other: &serde_json::Value) -> bool {
    use serde_json::Value as Json;
    match (one, other) {
        (Json::Number(one), Json::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        (Json::Array(one), Json::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Json::Object(one), Json::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, one)| other.get(name).is_some_and(|other| same(one, other)))
        }
        (one, other) => one == other,
    }
}

pub(crate) fn event(text: &str) -> NewEvent {
    NewEvent::new(type_name(HAPPENED), body(text))
}

pub(crate) fn typed(name: &str) -> NewEvent {
    NewEvent::new(type_name(name), body(name))
}

/// An append of `count` events to each stream, with bodies that say `<stream> <nth>`.
pub(crate) fn batch(streams: &[(&str, usize)]) -> AppendBatch {
    streams.iter().fold(AppendBatch::new(), |batch, (id, count)| {
        let events = (1..=*count).map(|nth| event(&format!("{id} {nth}"))).collect();
        batch.stream(StreamAppend::new(stream(id), events))
    })
}

pub(crate) fn at_most(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).expect("a limit is at least 1")
}

pub(crate) async fn observe(store: &dyn Store) -> Result<Observation, Stop> {
    Ok(store.observe(Observe { mark: Seq::ZERO, bell: Bell::Leave }).await?)
}

/// Makes a call again while it fails in passing: what a client does whose connections may have been lost.
pub(crate) async fn patiently<T, F>(mut call: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match call().await {
            Err(error) if error.is_transient() && Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            answer => return answer,
        }
    }
}

pub(crate) async fn observe_patiently(store: &dyn Store) -> Result<Observation, Stop> {
    Ok(patiently(|| store.observe(Observe { mark: Seq::ZERO, bell: Bell::Leave })).await?)
}

/// A request for everything in `(floor, ceiling]` that the filter admits.
pub(crate) fn request(
    incarnation: Incarnation,
    floor: Seq,
    ceiling: Seq,
    filter: EventFilter,
) -> Result<PageRequest, Stop> {
    let range = EventRange::new(floor, ceiling)
        .ok_or_else(|| Stop::Broken(format!("there is nothing to read in ({floor}, {ceiling}]")))?;
    Ok(PageRequest { range, filter, events_max: at_most(100_000), bytes_max: usize::MAX >> 1, incarnation })
}

/// The page of all events in `(0, highest visible]`, with the types that are wanted and known.
pub(crate) async fn page_of(
    store: &dyn Store,
    wanted: &[&str],
    known: &[&str],
) -> Result<(PageRequest, EventPage), Stop> {
    let seen = observe(store).await?;
    let filter = EventFilter::new(names(wanted), names(known));
    let request = request(seen.incarnation, Seq::ZERO, seen.highest_visible, filter)?;
    let page = store.load_page(request.clone()).await?;
    Ok((request, page))
}

pub(crate) fn names(names: &[&str]) -> Vec<TypeName> {
    names.iter().map(|name| type_name(name)).collect()
}

/// Every visible event of type [`HAPPENED`].
pub(crate) async fn log(store: &dyn Store) -> Result<Vec<Event>, Stop> {
    if observe(store).await?.highest_visible == Seq::ZERO {
        return Ok(Vec::new());
    }
    Ok(page_of(store, &[HAPPENED], &[]).await?.1.events)
}

/// The texts of the events of [`batch`] in a stream, by version.
pub(crate) async fn texts(store: &dyn Store, id: &str) -> Result<Vec<serde_json::Value>, Stop> {
    let events = store.read_stream(&TenantId::default(), &stream(id), Version::ZERO, at_most(1000)).await?;
    events.iter().map(|event| json(&event.body)).collect()
}

/// The last number that was drawn.
pub(crate) async fn last(store: &dyn Store) -> Result<Seq, Stop> {
    Ok(observe(store).await?.last)
}

/// The stored progress of one shard.
pub(crate) async fn progress(store: &dyn Store, shard: &ShardName) -> Result<Progress, Stop> {
    let all = store.read_progress().await?;
    let found = all.into_iter().find(|progress| progress.shard == *shard);
    found.ok_or_else(|| Stop::Broken(format!("shard {shard} was taken and has no progress")))
}

/// Polls a future up to `times` times, each time that it asks for it, then drops it; its output if it ended before.
pub(crate) async fn poll_times<F: Future>(times: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = times;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// The document `value` as of event number `seq`.
pub(crate) fn view(value: u64, seq: Seq) -> StoredView {
    StoredView { body: body(value), version: Version::new(value), seq }
}

pub(crate) fn put(table: &ViewTable, id: &str, value: u64) -> Operation {
    Operation::Store { table: table.clone(), key: key(id), view: view(value, Seq::new(value)) }
}

/// What an append makes of a view: of no event that has a number yet.
pub(crate) fn put_inline(table: &ViewTable, id: &str, value: u64) -> Operation {
    Operation::Store { table: table.clone(), key: key(id), view: view(value, Seq::ZERO) }
}

/// Wants a view at a version, or absent.
pub(crate) fn pin(table: &ViewTable, id: &str, version: Option<u64>) -> ViewPin {
    ViewPin { table: table.clone(), key: key(id), version: version.map(Version::new), body: None }
}

/// A statement that no store there is understands.
pub(crate) fn foreign(table: &ViewTable) -> Operation {
    Operation::Native(Native {
        adapter: "nobody".into(),
        statement: "{table}, be empty".into(),
        parameters: Vec::new(),
        table: table.clone(),
    })
}

/// Message number `nth` of the suite.
pub(crate) fn message(nth: u64) -> Message {
    let projection = name("Balance");
    Message {
        id: EffectId::derive(&projection, Seq::new(nth), None, 0),
        projection,
        seq: Seq::new(nth),
        tenant: tenant("acme"),
        topic: "trips".into(),
        body: body(format!("message {nth}")),
    }
}

pub(crate) fn delete(table: &ViewTable, id: &str) -> Operation {
    Operation::Delete { table: table.clone(), key: key(id) }
}

/// The values that [`put`] stored under these ids.
pub(crate) async fn values(
    store: &dyn Store,
    table: &ViewTable,
    ids: &[&str],
) -> Result<Vec<Option<u64>>, Stop> {
    let keys: Vec<ViewKey> = ids.iter().map(|id| key(id)).collect();
    let views = store.load_views(table, &keys).await?;
    ensure_len(views.len(), keys.len())?;
    views.iter().map(|view| view.as_ref().map(value).transpose()).collect()
}

fn ensure_len(found: usize, wanted: usize) -> Result<(), Stop> {
    if found == wanted {
        return Ok(());
    }
    Err(Stop::Broken(format!("loading {wanted} views gave {found} answers")))
}

/// The value of a view, after checking that all its parts came back as [`view`] made them.
pub(crate) fn value(stored: &StoredView) -> Result<u64, Stop> {
    let value = json(&stored.body)?.as_u64().unwrap_or_default();
    if stored.version != Version::new(value) {
        return Err(Stop::Broken(format!(
            "a view came back with the version or body of another: {stored:?}"
        )));
    }
    Ok(value)
}

/// A worker that has taken a shard: makes batches that fit.
pub(crate) struct Worker {
    pub(crate) batch: ShardBatch,
}

impl Worker {
    pub(crate) async fn take(store: &dyn Store, shard: ShardName) -> Result<Self, Stop> {
        let incarnation = observe(store).await?.incarnation;
        let taken = store.take_shards(std::slice::from_ref(&shard)).await?;
        let batch = ShardBatch::new(shard, Epoch::default(), incarnation, Seq::ZERO, Seq::ZERO);
        let mut worker = Self { batch };
        worker.take_over(taken)?;
        Ok(worker)
    }

    /// Goes on from the answer to a taking of the one shard.
    pub(crate) fn take_over(&mut self, taken: Vec<TakenShard>) -> Result<(), Stop> {
        match <[TakenShard; 1]>::try_from(taken) {
            Ok([taken]) if taken.shard == self.batch.shard => {
                (self.batch.epoch, self.batch.from, self.batch.to) = (taken.epoch, taken.seq, taken.seq);
                Ok(())
            }
            Ok(other) => Err(Stop::Broken(format!("another shard was taken: {other:?}"))),
            Err(all) => Err(Stop::Broken(format!("taking one shard gave {} answers", all.len()))),
        }
    }

    /// The next batch: to `to`, with these changes.
    pub(crate) fn next(&self, to: u64, operations: Vec<Operation>) -> ShardBatch {
        ShardBatch { to: Seq::new(to), operations, ..self.batch.clone() }
    }

    /// Commits it, and stands at its end.
    pub(crate) async fn commit(
        &mut self,
        store: &dyn Store,
        to: u64,
        operations: Vec<Operation>,
    ) -> Result<(), Stop> {
        store.commit(self.next(to, operations)).await?;
        self.batch.from = Seq::new(to);
        self.batch.to = self.batch.from;
        Ok(())
    }
}

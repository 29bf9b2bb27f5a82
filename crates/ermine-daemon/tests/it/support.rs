//! A small domain, and a daemon that runs over a memory store.

use std::{
    num::NonZeroUsize,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use ermine_core::{
    Action, Aggregate, AppendBatch, ApplyError, DomainEvent, ErrorClass, ErrorPolicy, NewEvent, PageEffects,
    PageError, Position, ProjectionName, Recorded, Result, ShardName, StreamAppend, StreamId, Subscriber,
    ViewId, ViewKey, ViewTable,
    policy::{Response, retry_later},
    ports::{EventAppender, SchemaAdmin, Store, ViewStore},
    single_stream,
};
use ermine_daemon::{Daemon, DaemonBuilder, Handle, Settings, ShardState};
use ermine_memory::MemoryStore;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub(crate) const SOON: Duration = Duration::from_secs(20);

#[derive(DomainEvent)]
#[event(crate = "ermine_core")]
pub(crate) enum TripEvent {
    Travelled { km: u64 },
    Poisoned,
    Ended,
}

/// Remembers every event in order, so that nothing lost, doubled or overtaken goes unseen.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Trip {
    pub(crate) km: Vec<u64>,
}

/// While false, `Poisoned` is refused; for tests that mend the code while the daemon runs.
pub(crate) static ANTIDOTE: AtomicBool = AtomicBool::new(false);

impl Aggregate for Trip {
    type Event = TripEvent;

    fn evolve(trip: Option<Self>, event: &Recorded<TripEvent>) -> Result<Option<Self>, ApplyError> {
        let mut trip = trip.unwrap_or_default();
        match event.data() {
            TripEvent::Travelled { km: 13_000 } => panic!("13,000 km frighten this projection"),
            TripEvent::Travelled { km } => trip.km.push(*km),
            TripEvent::Poisoned if ANTIDOTE.load(Ordering::SeqCst) => {}
            TripEvent::Poisoned => return Err(ApplyError::msg("poison")),
            TripEvent::Ended => return Ok(None),
        }
        Ok(Some(trip))
    }
}

pub(crate) fn travelled(stream: &str, km: impl IntoIterator<Item = u64>) -> AppendBatch {
    batch(stream, km.into_iter().map(|km| TripEvent::Travelled { km }))
}

pub(crate) fn batch(stream: &str, events: impl IntoIterator<Item = TripEvent>) -> AppendBatch {
    let events = events.into_iter().map(|e| NewEvent::of(&e).unwrap()).collect();
    AppendBatch::new().stream(StreamAppend::new(StreamId::new(stream).unwrap(), events))
}

pub(crate) fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.retry_first = Duration::from_millis(1);
    settings.retry_max = Duration::from_millis(20);
    settings.pause_first = Duration::from_millis(5);
    settings.pause_max = Duration::from_millis(50);
    settings.fenced_retry = Duration::from_millis(50);
    settings
}

pub(crate) fn small_pages(events: usize) -> Settings {
    let mut settings = settings();
    settings.page_events_max = NonZeroUsize::new(events).unwrap();
    settings.in_flight_events_max = events * 3;
    settings
}

/// A daemon at work; dropping it ends it at once.
pub(crate) struct Rig {
    pub(crate) store: MemoryStore,
    pub(crate) handle: Handle,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: JoinSet<Result<()>>,
}

impl Rig {
    pub(crate) fn start(store: &MemoryStore, settings: Settings) -> Self {
        Self::run(store, builder(store).settings(settings))
    }

    pub(crate) fn run(store: &MemoryStore, builder: DaemonBuilder) -> Self {
        let daemon = builder.build().unwrap();
        let (handle, stop, mut tasks) = (daemon.handle(), CancellationToken::new(), JoinSet::new());
        let (migrating, stopped) = (store.node(), stop.clone());
        tasks.spawn(async move {
            migrating.migrate(daemon.registration()).await?;
            daemon.run(stopped).await
        });
        Self { store: store.clone(), handle, stop, tasks }
    }

    pub(crate) async fn append(&self, batch: AppendBatch) -> Position {
        self.store.append(batch).await.unwrap().position()
    }

    pub(crate) async fn reach(&self, position: Position) {
        self.handle.wait_for(position, SOON).await.unwrap();
    }

    /// Waits until the only shard's state is one that `wanted` accepts.
    pub(crate) async fn state(&self, wanted: impl Fn(&ShardState) -> bool) -> ShardState {
        ermine_testkit::eventually(SOON, || {
            let state = self.handle.status()[0].state.clone();
            let accepted = wanted(&state);
            async move { if accepted { Ok(state) } else { Err(format!("it is {state}")) } }
        })
        .await
    }

    pub(crate) async fn stop(self) -> Result<()> {
        self.stop.cancel();
        self.end().await
    }

    /// What the daemon says when it has ended by itself, as a run to a ceiling does.
    pub(crate) async fn end(mut self) -> Result<()> {
        let ended = tokio::time::timeout(SOON, self.tasks.join_next()).await;
        ended.expect("the daemon ends").unwrap().unwrap()
    }
}

pub(crate) fn builder(store: &MemoryStore) -> DaemonBuilder {
    let store: Arc<dyn Store> = Arc::new(store.clone());
    Daemon::builder(store).errors(impatient()).projection(single_stream::<Trip>("Trip"))
}

/// As the defaults, but for how long it waits.
pub(crate) fn impatient() -> ErrorPolicy {
    let retries = retry_later([Duration::from_millis(1); 3]);
    let awaits = Response::of(Action::AwaitStore(Duration::from_secs(30)));
    ErrorPolicy::new().on_error(ErrorClass::Transient, retries.then(awaits))
}

pub(crate) fn shard() -> ShardName {
    "Trip:All".parse().unwrap()
}

/// The kilometres of a trip's view.
pub(crate) async fn km(store: &MemoryStore, stream: &str) -> Option<Vec<u64>> {
    let table = ViewTable::new(ProjectionName::new("Trip").unwrap(), 1);
    let key = ViewKey::new(ViewId::new(stream).unwrap());
    let view = store.load_views(&table, &[key]).await.unwrap().remove(0)?;
    Some(view.body.decode::<Trip>().unwrap().km)
}

/// Counts events, and those that came before the stream's trip had seen them.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) events: u64,
    pub(crate) ahead: u64,
}

impl Aggregate for Seen {
    type Event = TripEvent;

    fn evolve(seen: Option<Self>, event: &Recorded<TripEvent>) -> Result<Option<Self>, ApplyError> {
        let mut seen = seen.unwrap_or_default();
        let trip = event.looked_up::<Trip>(event.stream()).map_or(0, |trip| trip.km.len() as u64);
        seen.events += 1;
        seen.ahead += u64::from(trip < event.version().get());
        Ok(Some(seen))
    }
}

/// Counts events.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Count {
    pub(crate) events: u64,
}

impl Aggregate for Count {
    type Event = TripEvent;

    fn evolve(count: Option<Self>, _: &Recorded<TripEvent>) -> Result<Option<Self>, ApplyError> {
        Ok(Some(Self { events: count.unwrap_or_default().events + 1 }))
    }
}

/// A stored view of version 1 of a projection.
pub(crate) async fn stored<T: serde::de::DeserializeOwned>(
    store: &MemoryStore,
    projection: &str,
    id: &str,
) -> Option<T> {
    let table = ViewTable::new(ProjectionName::new(projection).unwrap(), 1);
    let key = ViewKey::new(ViewId::new(id).unwrap());
    let view = store.load_views(&table, &[key]).await.unwrap().remove(0)?;
    Some(view.body.decode().unwrap())
}

/// Remembers what it was given.
#[derive(Clone, Default)]
pub(crate) struct Listener(pub(crate) Arc<Mutex<Vec<u64>>>);

#[async_trait]
impl Subscriber for Listener {
    type Event = TripEvent;

    async fn receive(&self, page: &[Recorded<TripEvent>], _: &mut PageEffects) -> Result<(), PageError> {
        for event in page {
            if let TripEvent::Travelled { km } = event.data() {
                self.0.lock().unwrap().push(*km);
            }
        }
        Ok(())
    }
}

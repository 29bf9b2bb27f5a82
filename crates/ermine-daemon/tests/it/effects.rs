//! What projections and subscriptions set off beside changes of views.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use ermine_core::{
    Message, Patch, Recorded, Registered, Start, ViewChanges, event_projection, field,
    ports::{EventAppender, Outbox, ProgressStore},
    single_stream, subscription,
};
use ermine_daemon::{Daemon, DaemonBuilder, Mode, ShardState, Sink};
use ermine_memory::{Call, MemoryStore};
use tokio::sync::Semaphore;

use crate::support::{Count, Listener, Rig, SOON, Trip, TripEvent, batch, km, small_pages, travelled};

fn daemon(store: &MemoryStore, registered: impl Into<Registered>) -> DaemonBuilder {
    Daemon::builder(Arc::new(store.clone())).projection(registered).settings(small_pages(1))
}

async fn outbox(store: &MemoryStore) -> Vec<String> {
    let messages = store.pending_messages(NonZeroUsize::new(1000).unwrap()).await.unwrap();
    messages.iter().map(|m| format!("{} {:?}", m.topic, m.body)).collect()
}

/// Publishes every kilometre under a topic of its own.
fn loud(version: u32, topic: &'static str) -> impl Into<Registered> {
    single_stream::<Trip>("Trip").version(version).raise(move |event, _, effects| {
        if let TripEvent::Travelled { km } = event.data() {
            effects.publish(topic, km)?;
        }
        Ok(())
    })
}

#[tokio::test]
async fn a_new_version_has_no_effects_where_the_old_one_has_been() {
    let store = MemoryStore::new();
    let rig = Rig::run(&store, daemon(&store, loud(1, "old")));
    let position = rig.append(travelled("a", [1, 2])).await;
    rig.reach(position).await;
    rig.stop().await.unwrap();
    assert_eq!(outbox(&store).await, ["old 1", "old 2"]);
    store.append(travelled("a", [3])).await.unwrap();
    // Under other names, so that nothing but the place tells old events from new ones.
    let renamed = single_stream::<Trip>("Trip").version(2).raise(|event, _, effects| {
        if let TripEvent::Travelled { km } = event.data() {
            effects.publish("other", &0)?;
            effects.publish("new", km)?;
        }
        Ok(())
    });
    let rig = Rig::run(&store, daemon(&store, renamed));
    let position = rig.append(travelled("a", [4])).await;
    rig.reach(position).await;
    rig.stop().await.unwrap();
    assert_eq!(outbox(&store).await, ["old 1", "old 2", "other 0", "new 3", "other 0", "new 4"]);
}

#[tokio::test]
async fn a_rebuild_has_no_effects() {
    let store = MemoryStore::new();
    let position = store.append(travelled("a", [1, 2])).await.unwrap().position();
    let rebuild = daemon(&store, loud(1, "loud")).mode(Mode::Rebuild { ceiling: position.seq() });
    Rig::run(&store, rebuild).end().await.unwrap();
    assert_eq!(outbox(&store).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_subscriber_is_given_the_next_page_when_the_last_one_is_committed() {
    let store = MemoryStore::new();
    let listener = Listener::default();
    let late = store.faults().commit_late(1);
    let rig = Rig::run(&store, daemon(&store, subscription("Listener", listener.clone())));
    let position = rig.append(travelled("a", 1..=9)).await;
    ermine_testkit::eventually(SOON, async || late.is_reached()).await;
    // Pages of one event: whatever came after the first one came too early.
    assert_eq!(*listener.0.lock().unwrap(), [1]);
    late.release();
    rig.reach(position).await;
    assert_eq!(*listener.0.lock().unwrap(), (1..=9).collect::<Vec<_>>());
    rig.stop().await.unwrap();
}

#[tokio::test]
async fn a_view_deleted_by_a_filter_is_not_remembered() {
    let store = MemoryStore::new();
    let counts = event_projection("Count", |event: &Recorded<TripEvent>, views: &mut ViewChanges<Count>| {
        match event.data() {
            TripEvent::Travelled { km: 0 } => views.store("all", &Count { events: 1 })?,
            TripEvent::Travelled { .. } => views.patch("all", Patch::new().increment("events", 1)?)?,
            TripEvent::Ended => views.delete_where(field("events")?.ge(1)),
            TripEvent::Poisoned => {}
        }
        Ok(())
    });
    let rig = Rig::run(&store, daemon(&store, counts));
    let mut events = Vec::new();
    for _ in 0..20 {
        events.extend([0, 1].map(|km| TripEvent::Travelled { km }));
        events.extend([TripEvent::Ended, TripEvent::Travelled { km: 1 }]);
    }
    let position = rig.append(batch("a", events)).await;
    rig.reach(position).await;
    assert_eq!(
        crate::support::stored::<Count>(&store, "Count", "all").await,
        None,
        "a patch brought it back"
    );
    rig.stop().await.unwrap();
}

#[tokio::test]
async fn a_rebuild_leaves_out_subscriptions_and_waits_for_none() {
    let (store, listener) = (MemoryStore::new(), Listener::default());
    let position = store.append(travelled("a", [1, 2])).await.unwrap().position();
    let rebuild = daemon(&store, subscription("Listener", listener.clone()))
        .projection(single_stream::<Trip>("Trip").after("Listener"))
        .mode(Mode::Rebuild { ceiling: position.seq() });
    let rig = Rig::run(&store, rebuild);
    let shards: Vec<String> = rig.handle.status().iter().map(|s| s.shard.to_string()).collect();
    assert_eq!(shards, ["Trip:All"]);
    rig.end().await.unwrap();
    assert_eq!(km(&store, "a").await.unwrap(), [1, 2]);
    assert_eq!(*listener.0.lock().unwrap(), [0; 0]);
    let progress = store.read_progress().await.unwrap();
    assert_eq!(progress.len(), 1, "the subscription goes on from where it is: {progress:?}");
}

#[tokio::test]
async fn a_rewind_that_its_caller_has_given_up_is_not_made() {
    let (store, listener) = (MemoryStore::new(), Listener::default());
    let rig = Rig::run(&store, daemon(&store, subscription("Listener", listener.clone())));
    let shard = "Listener:All".parse().unwrap();
    let mut position = rig.append(travelled("a", 1..=3)).await;
    rig.reach(position).await;
    let mut expected = vec![1, 2, 3];
    // It waits behind a page whose commit stands still, so however far it has come, nothing is done yet.
    for turns in 0..20 {
        let stalled = store.faults().stall(Call::Commit, 1);
        position = rig.append(travelled("a", [10 + turns])).await;
        expected.push(10 + turns);
        stalled.reached().await;
        let gives_up = async {
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            answer = rig.handle.rewind(&shard, Start::Beginning) => {
                panic!("it was answered before the page was committed: {answer:?}")
            }
            () = gives_up => {}
        }
        stalled.release();
        rig.reach(position).await;
    }
    rig.stop().await.unwrap();
    assert_eq!(*listener.0.lock().unwrap(), expected, "events came again");
}

/// Fails the first times.
#[derive(Clone, Default)]
struct Flaky {
    delivered: Arc<Mutex<Vec<String>>>,
    attempts: Arc<Mutex<u32>>,
}

#[async_trait]
impl Sink for Flaky {
    async fn deliver(&self, messages: &[Message]) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let attempts = {
            let mut attempts = self.attempts.lock().unwrap();
            *attempts += 1;
            *attempts
        };
        if attempts < 4 {
            return Err("the post office is closed".into());
        }
        self.delivered.lock().unwrap().extend(messages.iter().map(|m| format!("{:?}", m.body)));
        Ok(())
    }
}

#[tokio::test]
async fn messages_stay_in_the_outbox_until_the_sink_has_taken_them() {
    let (store, sink) = (MemoryStore::new(), Flaky::default());
    let rig = Rig::run(&store, daemon(&store, loud(1, "loud")).sink(Arc::new(sink.clone())));
    let position = rig.append(travelled("a", 1..=5)).await;
    rig.reach(position).await;
    ermine_testkit::eventually(SOON, async || {
        let left = outbox(&store).await;
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .await;
    assert_eq!(*sink.delivered.lock().unwrap(), ["1", "2", "3", "4", "5"]);
    rig.stop().await.unwrap();
}

/// Takes its time: as many deliveries come to an end as it has been given permits.
#[derive(Clone)]
struct Slow {
    begun: Arc<Mutex<u32>>,
    may_end: Arc<Semaphore>,
    delivered: Arc<Mutex<Vec<String>>>,
}

impl Slow {
    fn new(permits: usize) -> Self {
        Self { begun: Arc::default(), may_end: Arc::new(Semaphore::new(permits)), delivered: Arc::default() }
    }

    fn begun(&self) -> u32 {
        *self.begun.lock().unwrap()
    }

    fn delivered(&self) -> Vec<String> {
        self.delivered.lock().unwrap().clone()
    }
}

#[async_trait]
impl Sink for Slow {
    async fn deliver(&self, messages: &[Message]) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        *self.begun.lock().unwrap() += 1;
        self.may_end.acquire().await?.forget();
        self.delivered.lock().unwrap().extend(messages.iter().map(|m| format!("{:?}", m.body)));
        Ok(())
    }
}

#[tokio::test]
async fn a_delivery_under_way_at_the_end_is_ended_and_not_repeated() {
    let (store, sink) = (MemoryStore::new(), Slow::new(0));
    let rig = Rig::run(&store, daemon(&store, loud(1, "loud")).sink(Arc::new(sink.clone())));
    let position = rig.append(travelled("a", [1])).await;
    ermine_testkit::eventually(SOON, async || sink.begun() == 1).await;
    rig.reach(position).await;
    rig.stop.cancel();
    rig.state(|state| matches!(state, ShardState::Stopped { .. })).await;
    sink.may_end.add_permits(100);
    rig.end().await.unwrap();
    assert_eq!(sink.begun(), 1, "it was dropped and made again");
    assert_eq!(sink.delivered(), ["1"]);
    assert_eq!(outbox(&store).await, Vec::<String>::new());
}

#[tokio::test]
async fn what_the_last_commit_publishes_is_delivered_before_the_end() {
    let (store, sink) = (MemoryStore::new(), Slow::new(100));
    let stalled = store.faults().stall(Call::Commit, 1);
    let rig = Rig::run(&store, daemon(&store, loud(1, "loud")).sink(Arc::new(sink.clone())));
    rig.append(travelled("a", [1])).await;
    stalled.reached().await;
    rig.stop.cancel();
    // Whatever stops at once has a turn to do so.
    tokio::task::yield_now().await;
    stalled.release();
    rig.end().await.unwrap();
    assert_eq!(sink.delivered(), ["1"]);
    assert_eq!(outbox(&store).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_sink_that_never_answers_does_not_hold_the_end_and_keeps_its_messages() {
    let (store, sink) = (MemoryStore::new(), Slow::new(0));
    let mut settings = small_pages(1);
    settings.drain_deadline = std::time::Duration::from_millis(20);
    let builder = daemon(&store, loud(1, "loud")).settings(settings).sink(Arc::new(sink.clone()));
    let rig = Rig::run(&store, builder);
    let position = rig.append(travelled("a", [1])).await;
    rig.reach(position).await;
    ermine_testkit::eventually(SOON, async || sink.begun() == 1).await;
    rig.stop().await.unwrap();
    assert_eq!(sink.begun(), 1, "one deadline is enough");
    assert_eq!(outbox(&store).await, ["loud 1"]);
}

//! What projections and subscriptions set off beside changes of views.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use ermine_core::{
    Message, PageEffects, PageError, Patch, Recorded, Registered, Subscriber, ViewChanges, event_projection,
    field,
    ports::{EventAppender, Outbox},
    single_stream, subscription,
};
use ermine_daemon::{Daemon, DaemonBuilder, Mode, Sink};
use ermine_memory::MemoryStore;

use crate::support::{Count, Rig, SOON, Trip, TripEvent, batch, small_pages, travelled};

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
    let mut rig = Rig::run(&store, rebuild);
    rig.tasks.join_next().await.unwrap().unwrap().unwrap();
    assert_eq!(outbox(&store).await, Vec::<String>::new());
}

/// Remembers what it was given.
#[derive(Clone, Default)]
struct Listener(Arc<Mutex<Vec<u64>>>);

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

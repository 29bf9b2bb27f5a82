//! The daemon's own loops, and user code that takes its time.

use std::{
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use ermine_core::{Recorded, Seq, event_projection};
use ermine_daemon::{Daemon, Settings};
use ermine_memory::{Call, MemoryStore};

use crate::support::{Count, Rig, SOON, TripEvent, builder, km, settings, travelled};

#[tokio::test]
async fn a_panic_in_every_loop_is_lived_through() {
    let store = MemoryStore::new();
    for call in [Call::Observe, Call::Wait, Call::Wishes, Call::CountLetters, Call::Check] {
        store.faults().panic(call, 1, "a bug in the adapter");
    }
    let rig = Rig::start(&store, settings());
    for n in 1..=3 {
        let position = rig.append(travelled("a", [n])).await;
        rig.reach(position).await;
    }
    rig.handle.pause("Trip", "ada", "a look", None).await.unwrap();
    rig.handle.resume("Trip").await.unwrap();
    let position = rig.append(travelled("a", [4])).await;
    rig.reach(position).await;
    assert_eq!(km(&store, "a").await, Some(vec![1, 2, 3, 4]));
}

#[tokio::test]
async fn a_loop_that_does_not_turn_any_more_is_replaced() {
    let store = MemoryStore::new();
    // Waiting for the bell has no deadline of the daemon's: the store promises to come back.
    let never = store.faults().stall(Call::Wait, 2);
    let mut settings = settings();
    settings.call_deadline = Duration::from_millis(50);
    settings.stuck_after = Duration::from_millis(100);
    let rig = Rig::start(&store, settings);
    let mut n = 0;
    while !never.is_reached() {
        n += 1;
        let position = rig.append(travelled("a", [n])).await;
        rig.reach(position).await;
    }
    let position = rig.append(travelled("b", [7])).await;
    rig.reach(position).await;
    assert_eq!(km(&store, "b").await, Some(vec![7]));
}

/// Where user code stands until it is let go.
#[derive(Default)]
struct Barrier {
    entered: AtomicU32,
    open: Mutex<bool>,
    opened: Condvar,
}

impl Barrier {
    fn pass(&self) {
        self.entered.fetch_add(1, Ordering::SeqCst);
        let open = self.open.lock().unwrap();
        drop(self.opened.wait_while(open, |open| !*open).unwrap());
    }

    fn release(&self) {
        *self.open.lock().unwrap() = true;
        self.opened.notify_all();
    }
}

fn slow(store: &MemoryStore, barrier: &Arc<Barrier>, settings: Settings) -> Rig {
    let at = barrier.clone();
    let projection = event_projection("Slow", move |event: &Recorded<TripEvent>, views| {
        if matches!(event.data(), TripEvent::Ended) {
            at.pass();
        }
        views.store(event.stream().as_str(), &Count { events: event.version().get() })
    });
    Rig::run(store, Daemon::builder(Arc::new(store.clone())).settings(settings).projection(projection))
}

fn quickly_named() -> Settings {
    let mut settings = settings();
    settings.slow_code_after = Duration::from_millis(1);
    settings.drain_deadline = Duration::from_millis(50);
    settings
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_user_code_is_named_with_its_event_and_runs_once() {
    let (store, barrier) = (MemoryStore::new(), Arc::<Barrier>::default());
    let rig = slow(&store, &barrier, quickly_named());
    rig.append(travelled("a", [1])).await;
    let position = rig.append(crate::support::batch("a", [TripEvent::Ended])).await;
    let status = ermine_testkit::eventually(SOON, || async {
        Some(rig.handle.status().remove(0)).filter(|status| status.slow.is_some())
    })
    .await;
    assert_eq!(status.slow.as_ref().and_then(|slow| slow.seq), Some(Seq::new(2)));
    assert!(status.to_string().starts_with("Slow:All is at "), "{status}");
    assert!(status.to_string().ends_with(" at event 2"), "{status}");
    assert_eq!(barrier.entered.load(Ordering::SeqCst), 1, "nobody else runs it meanwhile");
    barrier.release();
    rig.reach(position).await;
    ermine_testkit::eventually(SOON, || async { rig.handle.status()[0].slow.is_none() }).await;
    assert_eq!(barrier.entered.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn shutting_down_does_not_wait_for_user_code_for_ever() {
    let (store, barrier) = (MemoryStore::new(), Arc::<Barrier>::default());
    let rig = slow(&store, &barrier, quickly_named());
    rig.append(crate::support::batch("a", [TripEvent::Ended])).await;
    ermine_testkit::eventually(SOON, || async { barrier.entered.load(Ordering::SeqCst) == 1 }).await;
    rig.stop().await.unwrap();
    barrier.release();
}

#[tokio::test]
async fn a_panic_while_the_daemon_is_told_to_stop_does_not_keep_it() {
    let store = MemoryStore::new();
    let rig = Rig::run(&store, builder(&store).settings(settings()));
    let position = rig.append(travelled("a", [1])).await;
    rig.reach(position).await;
    store.faults().panic(Call::Wait, 1, "a bug in the adapter");
    store.faults().panic(Call::Observe, 1, "and another one");
    rig.stop().await.unwrap();
}

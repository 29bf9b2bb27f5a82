use std::time::Duration;

use ermine_core::{
    Bell, Observe, Seq,
    ports::{EventAppender, HighWaterSource, WakeReason, Wakeup},
};
use ermine_memory::MemoryStore;

use crate::support::one;

const LONG: Duration = Duration::from_secs(60);

async fn ring_for(store: &MemoryStore, bell: Bell) {
    store.observe(Observe { mark: Seq::ZERO, bell }).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_armed_bell_rings_until_it_expires() {
    let store = MemoryStore::new();
    ring_for(&store, Bell::Arm(Duration::from_secs(5))).await;
    store.append(one("a")).await.unwrap();
    assert_eq!(store.wait(LONG).await, WakeReason::Rang, "rung between two waits");
    assert_eq!(store.wait(LONG).await, WakeReason::TimedOut);
    store.append(one("a")).await.unwrap();
    assert_eq!(store.wait(LONG).await, WakeReason::TimedOut, "expired a minute ago");
}

#[tokio::test(start_paused = true)]
async fn one_node_does_not_silence_another() {
    let store = MemoryStore::new();
    let other = store.node();
    ring_for(&store, Bell::Arm(LONG)).await;
    ring_for(&other, Bell::Arm(LONG)).await;
    ring_for(&other, Bell::Silence).await;
    store.append(one("a")).await.unwrap();
    assert_eq!(other.wait(LONG).await, WakeReason::TimedOut);
    assert_eq!(store.wait(LONG).await, WakeReason::Rang);
}

#[tokio::test(start_paused = true)]
async fn a_late_commit_rings_at_its_end_and_a_rollback_does_not() {
    let store = MemoryStore::new();
    ring_for(&store, Bell::Arm(LONG)).await;
    let mut late = store.begin();
    late.append(one("a")).await.unwrap();
    assert_eq!(store.wait(Duration::from_secs(1)).await, WakeReason::TimedOut);
    late.commit().unwrap();
    assert_eq!(store.wait(LONG).await, WakeReason::Rang);
    ring_for(&store, Bell::Arm(LONG)).await;
    let mut open = store.begin();
    open.append(one("a")).await.unwrap();
    open.rollback();
    assert_eq!(store.wait(LONG).await, WakeReason::TimedOut);
}

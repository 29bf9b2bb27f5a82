use std::time::Duration;

use ermine_core::{
    Bell, Observe, Seq,
    ports::{EventAppender, HighWaterSource, SchemaAdmin, ViewStore, WakeReason, Wakeup},
};
use ermine_sqlite::Store;

use crate::common::{DEADLINE, LEAVE, Place, batch, next_batch, put, registration};

const HOUR: Duration = Duration::from_secs(3600);

async fn arm(store: &Store) {
    store.observe(Observe { mark: Seq::ZERO, bell: Bell::Arm(HOUR) }).await.unwrap();
}

/// Whether somebody has rung, or does within the time that a few looks take.
async fn has_rung(store: &Store) -> bool {
    store.wait(Duration::from_millis(50)).await == WakeReason::Rang
}

#[tokio::test]
async fn an_append_of_another_store_on_the_file_wakes_the_waiter() {
    let place = Place::new();
    let (store, other) = (place.store().await, place.open().await);
    for nth in 1..=5 {
        arm(&store).await;
        let (woken, appended) = tokio::join!(store.wait(DEADLINE), other.append(batch("trip-1", 1)));
        assert_eq!(woken, WakeReason::Rang, "append {nth}");
        appended.unwrap();
    }
}

#[tokio::test]
async fn an_append_of_another_store_between_two_waits_is_found_by_the_next_one() {
    let place = Place::new();
    let (store, other) = (place.store().await, place.open().await);
    arm(&store).await;
    assert!(!has_rung(&store).await);
    other.append(batch("trip-1", 1)).await.unwrap();
    assert_eq!(store.wait(DEADLINE).await, WakeReason::Rang);
    assert!(!has_rung(&store).await, "it rings once");
}

#[tokio::test]
async fn one_append_of_this_store_rings_once() {
    let place = Place::new();
    let store = place.store().await;
    arm(&store).await;
    store.append(batch("trip-1", 3)).await.unwrap();
    assert_eq!(store.wait(DEADLINE).await, WakeReason::Rang);
    assert!(!has_rung(&store).await, "whoever looks into the file does not ring for it again");
}

#[tokio::test]
async fn commits_of_views_do_not_ring() {
    let place = Place::new();
    let (store, other) = (place.store().await, place.open().await);
    arm(&store).await;
    for committer in [&store, &other] {
        committer.commit(next_batch(committer, vec![put("trip-1", "1")]).await).await.unwrap();
    }
    assert!(!has_rung(&store).await);
}

#[tokio::test]
async fn what_was_shown_when_the_bell_was_armed_does_not_ring() {
    let place = Place::new();
    let (store, other) = (place.store().await, place.open().await);
    store.append(batch("trip-1", 1)).await.unwrap();
    other.append(batch("trip-1", 1)).await.unwrap();
    arm(&store).await;
    assert!(!has_rung(&store).await);
}

#[tokio::test]
async fn a_silent_or_expired_bell_does_not_ring() {
    let place = Place::new();
    let (store, other) = (place.store().await, place.open().await);
    arm(&store).await;
    store.observe(Observe { bell: Bell::Silence, ..LEAVE }).await.unwrap();
    store.append(batch("trip-1", 1)).await.unwrap();
    other.append(batch("trip-1", 1)).await.unwrap();
    assert!(!has_rung(&store).await);
    store.observe(Observe { bell: Bell::Arm(Duration::ZERO), ..LEAVE }).await.unwrap();
    assert!(!has_rung(&store).await);
    other.append(batch("trip-1", 1)).await.unwrap();
    assert!(!has_rung(&store).await);
}

#[tokio::test]
async fn a_shorter_arming_does_not_take_a_longer_one_back() {
    let place = Place::new();
    let store = place.store().await;
    arm(&store).await;
    store.observe(Observe { bell: Bell::Arm(Duration::ZERO), ..LEAVE }).await.unwrap();
    store.append(batch("trip-1", 1)).await.unwrap();
    assert_eq!(store.wait(DEADLINE).await, WakeReason::Rang);
}

#[tokio::test]
async fn an_append_rings_after_the_store_was_emptied() {
    let place = Place::new();
    let (store, other) = (place.store().await, place.open().await);
    for emptier in [&store, &other] {
        store.append(batch("trip-1", 10)).await.unwrap();
        arm(&store).await;
        emptier.reset(&registration()).await.unwrap();
        while has_rung(&store).await {}
        other.append(batch("trip-1", 1)).await.unwrap();
        assert_eq!(store.wait(DEADLINE).await, WakeReason::Rang);
    }
}

//! Several stores on one file, in this process and in others.

use std::collections::HashMap;

use ermine_core::{
    ErrorKind, Event, ExpectedVersion, Version,
    ports::{EventAppender, ProgressStore, SchemaAdmin, ViewStore},
};
use ermine_sqlite::Store;
use tokio::task::JoinSet;

use crate::{
    child::{Child, Duty},
    common::{DEADLINE, Place, batch, batch_expecting, key, log, next_batch, put, registration, table},
};

/// Looks that versions of every stream are 1, 2, 3 without holes, and numbers too.
pub(crate) fn is_without_holes(log: &[Event]) {
    let mut versions: HashMap<&str, u64> = HashMap::new();
    for (event, nth) in log.iter().zip(1..) {
        assert_eq!(event.seq.get(), nth, "sequence numbers");
        let version = versions.entry(event.stream.as_str()).or_default();
        *version += 1;
        assert_eq!(event.version.get(), *version, "versions of {}", event.stream);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stores_that_race_lose_no_event_and_give_no_version_twice() {
    const ROUNDS: usize = 60;
    let place = Place::new();
    place.store().await;
    let mut writers = JoinSet::new();
    for _ in 0..4 {
        let store = place.open().await;
        writers.spawn(async move {
            for nth in 0..ROUNDS {
                store.append(batch(&format!("trip-{}", nth % 3), 1 + nth % 2)).await.unwrap();
            }
        });
    }
    writers.join_all().await;
    let log = log(&place.open().await).await;
    assert_eq!(log.len(), 4 * (ROUNDS + ROUNDS / 2));
    is_without_holes(&log);
}

/// Each expects what it has read, so exactly one of all that try may win each version.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_stores_that_expect_the_same_version_one_wins() {
    let place = Place::new();
    place.store().await;
    let mut writers = JoinSet::new();
    for _ in 0..4 {
        let store = place.open().await;
        writers.spawn(async move { win(&store, 20).await });
    }
    let won: u64 = writers.join_all().await.into_iter().sum();
    let log = log(&place.open().await).await;
    assert_eq!(log.len() as u64, won);
    is_without_holes(&log);
}

/// Appends to a stream until it has won so often; goes on from the version that a conflict names.
async fn win(store: &Store, times: u64) -> u64 {
    let (mut won, mut version) = (0, Version::ZERO);
    while won < times {
        match store.append(batch_expecting("trip-1", 1, ExpectedVersion::Exact(version))).await {
            Ok(appended) => {
                won += 1;
                version = appended.version();
            }
            Err(error) => version = error.as_conflict().unwrap_or_else(|| panic!("{error:?}")).actual,
        }
    }
    won
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_race_lose_no_event_and_give_no_version_twice() {
    const APPENDS: u64 = 40;
    let place = Place::new();
    let store = place.store().await;
    let children: Vec<Child> =
        (0..3).map(|_| Child::start(&place, Duty::Append { times: APPENDS })).collect();
    for _ in 0..APPENDS {
        store.append(batch("shared", 2)).await.unwrap();
    }
    for child in children {
        child.wait(DEADLINE).await;
    }
    let log = log(&store).await;
    assert_eq!(log.len() as u64, 4 * 2 * APPENDS);
    is_without_holes(&log);
    store.check(&registration()).await.unwrap();
}

#[tokio::test]
async fn a_second_daemon_fences_the_first_one_off() {
    let place = Place::new();
    let (first, second) = (place.store().await, place.open().await);
    let stale = next_batch(&first, vec![put("trip-1", "1")]).await;
    let fresh = next_batch(&second, vec![put("trip-1", "2")]).await;
    let refused = first.commit(stale).await.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::Fenced { epoch: fresh.epoch });
    assert_eq!(refused.to_string(), "shard trip:All was taken over: epoch 2 has replaced epoch 1");
    second.commit(fresh.clone()).await.unwrap();
    let again = second.commit(fresh.clone()).await.unwrap_err();
    assert_eq!(*again.kind(), ErrorKind::OutOfOrder { at: fresh.to });
    let view = first.load_views(&table(), &[key("trip-1")]).await.unwrap().remove(0).unwrap();
    assert_eq!(view.body.as_bytes(), b"2");
    assert_eq!(first.read_progress().await.unwrap()[0].seq, fresh.to);
}

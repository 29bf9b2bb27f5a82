use std::time::Duration;

use ermine_core::{
    AppendBatch, ErrorKind,
    ports::{EventAppender, SchemaAdmin},
};
use ermine_memory::{Call, MemoryStore};

use crate::support::{Rig, SOON, builder, km, settings, small_pages, travelled};

fn batch() -> AppendBatch {
    travelled("a", 0..9)
}

#[tokio::test]
async fn stopping_commits_what_is_in_flight() {
    let store = MemoryStore::new();
    let stalled = store.faults().stall(Call::Commit, 1);
    let rig = Rig::start(&store, small_pages(1));
    rig.append(batch()).await;
    stalled.reached().await;
    rig.stop.cancel();
    stalled.release();
    rig.stop().await.unwrap();
    let applied = km(&store, "a").await.unwrap();
    assert!(!applied.is_empty() && applied.iter().copied().eq(0..applied.len() as u64), "{applied:?}");
}

#[tokio::test]
async fn stopping_gives_up_on_a_commit_that_never_ends() {
    let store = MemoryStore::new();
    let stalled = store.faults().stall(Call::Commit, 1);
    let mut settings = settings();
    settings.drain_deadline = Duration::from_millis(20);
    let rig = Rig::start(&store, settings);
    rig.append(batch()).await;
    stalled.reached().await;
    rig.stop().await.unwrap();
    assert_eq!(km(&store, "a").await, None);
}

#[tokio::test]
async fn run_until_ends_with_its_signal() {
    let store = MemoryStore::new();
    store.append(batch()).await.unwrap();
    let daemon = builder(&store).settings(settings()).build().unwrap();
    let handle = daemon.handle();
    store.migrate(daemon.registration()).await.unwrap();
    daemon
        .run_until(async {
            let position = ermine_core::Position::new(ermine_core::Seq::new(9));
            handle.wait_for(position, SOON).await.unwrap();
        })
        .await
        .unwrap();
    assert_eq!(km(&store, "a").await, Some((0..9).collect()));
}

#[tokio::test]
async fn waiters_hear_that_the_daemon_was_dropped() {
    let store = MemoryStore::new();
    let rig = Rig::start(&store, settings());
    let handle = rig.handle.clone();
    let never = ermine_core::Position::new(ermine_core::Seq::new(99));
    let waiting = handle.wait_for(never, SOON);
    drop(rig);
    assert_eq!(*waiting.await.unwrap_err().kind(), ErrorKind::Stopped);
}

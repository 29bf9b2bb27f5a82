use std::sync::atomic::Ordering;

use ermine_core::{Error, ErrorKind, ports::EventAppender};
use ermine_daemon::ShardState;
use ermine_memory::{Call, MemoryStore};

use crate::support::{
    ANTIDOTE, Rig, TripEvent, batch, builder, impatient, km, settings, small_pages, travelled,
};

/// Passes nothing that fails.
fn careful(store: &MemoryStore) -> ermine_daemon::DaemonBuilder {
    builder(store).errors(impatient().skip_apply_errors(false).skip_serialization_errors(false))
}

#[tokio::test]
async fn a_poison_event_pauses_the_shard_with_its_name_until_the_code_is_mended() {
    let store = MemoryStore::new();
    let rig = Rig::run(&store, careful(&store).settings(small_pages(1)));
    rig.append(travelled("a", [1])).await;
    let poison = rig.append(batch("a", [TripEvent::Poisoned])).await;
    let position = rig.append(travelled("a", [2])).await;
    let ShardState::Paused { reason, .. } = rig.state(|s| matches!(s, ShardState::Paused { .. })).await
    else {
        unreachable!("waited for")
    };
    assert_eq!(
        reason,
        "folding events (1, 2] of shard Trip:All: the projection refused event 2 (trip.poisoned, version 2 of stream \
         \"a\"): poison"
    );
    assert!(rig.handle.status()[0].progress < poison.seq(), "nothing is skipped");
    assert_eq!(km(&store, "a").await, Some(vec![1]), "what came before went through");
    ANTIDOTE.store(true, Ordering::SeqCst);
    rig.reach(position).await;
    assert_eq!(km(&store, "a").await, Some(vec![1, 2]));
}

#[tokio::test]
async fn a_panic_in_user_code_pauses_the_shard_and_names_the_event() {
    let store = MemoryStore::new();
    let rig = Rig::run(&store, careful(&store).settings(settings()));
    rig.append(travelled("a", [13_000])).await;
    let state = rig.state(|s| matches!(s, ShardState::Paused { .. })).await.to_string();
    assert!(
        state.contains("refused event 1 (trip.travelled, version 1 of stream \"a\"): it panicked: 13,000 km"),
        "{state}"
    );
}

#[tokio::test]
async fn a_body_that_cannot_be_decoded_pauses_the_shard_and_names_the_event() {
    use ermine_core::{AppendBatch, Body, NewEvent, StreamAppend, StreamId, TypeName};
    let store = MemoryStore::new();
    let rig = Rig::run(&store, careful(&store).settings(settings()));
    let odd = NewEvent::new(TypeName::new("trip.travelled").unwrap(), Body::encode("far").unwrap());
    rig.append(AppendBatch::new().stream(StreamAppend::new(StreamId::new("a").unwrap(), vec![odd]))).await;
    let state = rig.state(|s| matches!(s, ShardState::Paused { .. })).await.to_string();
    assert!(
        state.contains("cannot decode or encode at event 1 (trip.travelled, version 1 of stream \"a\")"),
        "{state}"
    );
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_not_made_twice() {
    let store = MemoryStore::new();
    store.faults().lose_answer(Call::Commit, 1);
    let rig = Rig::start(&store, settings());
    let position = rig.append(travelled("a", [1, 2])).await;
    rig.reach(position).await;
    let position = rig.append(travelled("a", [3])).await;
    rig.reach(position).await;
    assert_eq!(km(&store, "a").await, Some(vec![1, 2, 3]));
}

#[tokio::test]
async fn a_commit_that_was_given_up_and_came_through_late_is_nobody_elses() {
    let store = MemoryStore::new();
    let late = store.faults().commit_late(1);
    let again = store.faults().stall(Call::Commit, 2);
    let mut settings = settings();
    settings.call_deadline = std::time::Duration::from_millis(50);
    settings.fenced_retry = std::time::Duration::from_secs(3600);
    let rig = Rig::start(&store, settings);
    let position = rig.append(travelled("a", [1])).await;
    late.reached().await;
    again.reached().await; // progress has been read again, and is about to be overtaken
    late.release();
    again.release();
    rig.reach(position).await;
    let position = rig.append(travelled("a", [2])).await;
    rig.reach(position).await;
    assert_eq!(km(&store, "a").await, Some(vec![1, 2]));
}

#[tokio::test]
async fn whoever_holds_the_mark_for_long_is_named() {
    let store = MemoryStore::new();
    let rig = Rig::start(&store, settings());
    let mut open = store.begin().named("nightly import");
    open.append(travelled("a", [1])).await.unwrap();
    let position = rig.append(travelled("b", [2])).await;
    let trouble = ermine_testkit::eventually(crate::support::SOON, || async { rig.handle.trouble() }).await;
    assert!(trouble.contains("it is held at 0 by appends that are still open"), "{trouble}");
    assert!(trouble.contains("nightly import"), "{trouble}");
    open.commit().unwrap();
    rig.reach(position).await;
    assert_eq!(rig.handle.trouble(), None);
}

#[tokio::test]
async fn an_outage_is_survived() {
    let store = MemoryStore::new();
    let rig = Rig::start(&store, settings());
    let position = rig.append(travelled("a", [1])).await;
    rig.reach(position).await;
    store.faults().outage(true);
    let outside = store.node();
    let position = outside.append(travelled("a", [2])).await.unwrap().position();
    // Whether by the bell or by a poll, somebody finds out that nobody answers.
    ermine_testkit::eventually(crate::support::SOON, || async { rig.handle.trouble() }).await;
    store.faults().outage(false);
    rig.reach(position).await;
    assert_eq!(km(&store, "a").await, Some(vec![1, 2]));
}

#[tokio::test]
async fn a_crash_that_takes_the_last_commits_away_is_lived_through_by_the_same_process() {
    let store = MemoryStore::new();
    let rig = Rig::start(&store, settings());
    let before = rig.append(travelled("a", [1])).await;
    rig.reach(before).await;
    let lost = rig.append(travelled("b", [2])).await;
    rig.reach(lost).await;
    let mark = rig.handle.mark().unwrap();
    store.crash_losing(2); // the append to b, and the commit of its view
    ermine_testkit::eventually(crate::support::SOON, || async {
        rig.handle.mark().is_none_or(|now| now.incarnation != mark.incarnation)
    })
    .await;
    let again = rig.append(travelled("c", [3])).await;
    assert_eq!(again, lost, "the number was issued again");
    rig.reach(again).await;
    assert_eq!(km(&store, "c").await, Some(vec![3]), "progress from before the crash says nothing about it");
    assert_eq!(km(&store, "a").await, Some(vec![1]));
    assert_eq!(km(&store, "b").await, None);
}

#[tokio::test]
async fn a_panic_of_the_store_is_lived_through() {
    let store = MemoryStore::new();
    store.faults().panic(Call::Commit, 1, "a bug in the adapter");
    store.faults().panic(Call::Observe, 3, "another one");
    store.faults().panic(Call::TakeShards, 1, "and one more");
    let rig = Rig::start(&store, settings());
    let position = rig.append(travelled("a", [1])).await;
    rig.reach(position).await;
    let position = rig.append(travelled("a", [2])).await;
    rig.reach(position).await;
    assert_eq!(km(&store, "a").await, Some(vec![1, 2]));
}

#[tokio::test]
async fn a_store_that_breaks_its_promises_is_not_followed_and_says_why() {
    let store = MemoryStore::new();
    store.faults().fail(Call::Check, 1, Error::new(ErrorKind::Refused, "the floor trigger is disabled"));
    let rig = Rig::start(&store, settings());
    rig.append(travelled("a", [1])).await;
    let trouble = ermine_testkit::eventually(crate::support::SOON, || async { rig.handle.trouble() }).await;
    assert!(trouble.contains("the floor trigger is disabled"), "{trouble}");
    assert_eq!(rig.handle.mark(), None);
}

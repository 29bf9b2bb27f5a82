use ermine_core::{AppendBatch, Body};
use ermine_core::{
    ErrorKind, NewEvent, Position, Seq, StreamAppend, StreamId, TypeName, Version,
    ports::{ProgressStore, ViewStore},
};
use ermine_memory::{Call, EvidenceKind, MemoryStore};
use std::time::Duration;

use crate::support::{Rig, SOON, TripEvent, batch, builder, km, settings, shard, small_pages, travelled};

#[tokio::test]
async fn what_is_appended_is_projected() {
    let store = MemoryStore::new();
    let rig = Rig::start(&store, settings());
    rig.append(travelled("a", [1, 2])).await;
    rig.append(travelled("b", [3])).await;
    let position = rig.append(travelled("a", [4])).await;
    rig.reach(position).await;
    assert_eq!(km(&store, "a").await, Some(vec![1, 2, 4]));
    assert_eq!(km(&store, "b").await, Some(vec![3]));
    rig.stop().await.unwrap();
}

#[tokio::test]
async fn a_backlog_is_caught_up_after_a_restart_from_where_it_was_left() {
    let store = MemoryStore::new();
    let rig = Rig::start(&store, small_pages(2));
    let position = rig.append(travelled("a", 0..7)).await;
    rig.reach(position).await;
    rig.stop().await.unwrap();
    let loaded_before = store.calls(Call::LoadPage);

    let rig = Rig::start(&store, small_pages(2));
    let position = rig.append(travelled("a", 7..9)).await;
    rig.reach(position).await;
    assert_eq!(km(&store, "a").await, Some((0..9).collect()));
    assert_eq!(store.calls(Call::LoadPage) - loaded_before, 1, "what had been applied was not read again");
    rig.stop().await.unwrap();
}

#[tokio::test]
async fn late_commit_is_not_skipped() {
    let store = MemoryStore::new();
    let rig = Rig::start(&store, settings());
    let mut late = store.begin();
    late.append(travelled("a", [1])).await.unwrap();
    let overtaker = rig.append(travelled("b", [2])).await;
    let timed_out = rig.handle.wait_for(overtaker, Duration::from_millis(50)).await.unwrap_err();
    assert_eq!(*timed_out.kind(), ErrorKind::TimedOut);
    late.commit().unwrap();
    rig.reach(overtaker).await;
    assert_eq!(km(&store, "a").await, Some(vec![1]));
    assert_eq!(km(&store, "b").await, Some(vec![2]));
}

#[tokio::test]
async fn a_dead_gap_delays_nobody() {
    for evidence in [EvidenceKind::Floors, EvidenceKind::Holders] {
        let store = MemoryStore::with_evidence(evidence);
        let rig = Rig::start(&store, settings());
        let mut dead = store.begin();
        dead.append(travelled("a", [1, 2, 3])).await.unwrap();
        dead.rollback();
        let position = rig.append(travelled("b", [4])).await;
        let mut tail = store.begin();
        tail.append(travelled("c", [5])).await.unwrap();
        tail.rollback();
        rig.reach(position).await;
        assert_eq!(rig.handle.mark().unwrap().seq, Seq::new(4), "the dead tail is not waited for");
    }
}

#[tokio::test]
async fn a_view_whose_aggregate_ends_is_deleted_and_may_begin_again() {
    let store = MemoryStore::new();
    let rig = Rig::start(&store, small_pages(1));
    rig.append(travelled("a", [1])).await;
    let ended = rig.append(batch("a", [TripEvent::Ended])).await;
    rig.reach(ended).await;
    assert_eq!(km(&store, "a").await, None);
    let again = rig.append(travelled("a", [2])).await;
    rig.reach(again).await;
    assert_eq!(km(&store, "a").await, Some(vec![2]));
}

#[tokio::test]
async fn unknown_events_are_passed_and_counted() {
    let store = MemoryStore::new();
    let rig = Rig::start(&store, settings());
    let stranger = NewEvent::new(TypeName::new("stranger").unwrap(), Body::encode(&1).unwrap());
    let stream = StreamId::new("a").unwrap();
    rig.append(AppendBatch::new().stream(StreamAppend::new(stream, vec![stranger]))).await;
    let position = rig.append(travelled("a", [1])).await;
    rig.reach(position).await;
    assert_eq!(km(&store, "a").await, Some(vec![1]));
    assert_eq!(rig.handle.status_of(&shard()).unwrap().unknown_events, 1);
    assert_eq!(store.read_progress().await.unwrap()[0].unknown_events, 1);
}

#[tokio::test]
async fn a_view_carries_the_version_of_its_last_event() {
    let store = MemoryStore::new();
    let rig = Rig::start(&store, small_pages(2));
    let position = rig.append(travelled("a", 0..5)).await;
    rig.reach(position).await;
    let table = ermine_core::ViewTable::new(ermine_core::ProjectionName::new("Trip").unwrap(), 1);
    let key = ermine_core::ViewKey::new(ermine_core::ViewId::new("a").unwrap());
    let view = store.load_views(&table, &[key]).await.unwrap().remove(0).unwrap();
    assert_eq!((view.version, view.seq), (Version::new(5), Seq::new(5)));
}

#[tokio::test]
async fn waiting_too_long_names_the_shard_and_where_it_is() {
    let store = MemoryStore::new();
    let rig = Rig::start(&store, settings());
    let reached = rig.append(travelled("a", [1])).await;
    rig.reach(reached).await;
    let never = Position::new(Seq::new(99));
    let said = rig.handle.wait_for(never, Duration::from_millis(30)).await.unwrap_err().to_string();
    assert_eq!(said, "waited 30ms for position 99 (the mark is 1): Trip:All is at 1, running");
}

#[tokio::test(start_paused = true)]
async fn an_idle_daemon_asks_the_store_about_nothing() {
    let store = MemoryStore::new();
    let rig = Rig::start(&store, settings());
    let position = rig.append(travelled("a", [1])).await;
    rig.reach(position).await;
    let before = store.calls(Call::Observe);
    tokio::time::advance(Duration::from_secs(1)).await;
    tokio::time::sleep(Duration::from_secs(600)).await; // on a clock that jumps while everybody sleeps
    let looks = store.calls(Call::Observe) - before;
    assert!((1..=600 / 5 + 2).contains(&looks), "{looks} looks in ten minutes");
    let position = rig.append(travelled("a", [2])).await;
    rig.reach(position).await;
}

#[tokio::test]
async fn a_timed_policy_has_to_be_asked_for() {
    let store = MemoryStore::with_evidence(EvidenceKind::Visible);
    let rig = Rig::start(&store, settings());
    let trouble = ermine_testkit::eventually(SOON, || async { rig.handle.trouble() }).await;
    assert!(trouble.contains("may lose events and has to be asked for"), "{trouble}");

    let asked =
        Rig::run(&store, builder(&store).settings(settings()).policy(ermine_daemon::Policy::timed_skip()));
    let position = asked.append(travelled("a", [1])).await;
    asked.reach(position).await;
}

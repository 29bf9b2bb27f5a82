//! Views that are brought up to date with the append.

use std::sync::Arc;

use ermine_core::{
    Error, ErrorKind, ExpectedVersion, Projection, ProjectionName, Recorded, Version, ViewId, ViewKey,
    ViewTable, multi_stream,
    ports::{EventReader, SchemaAdmin, ViewStore},
    single_stream,
};
use ermine_daemon::{Daemon, Inline};
use ermine_memory::{Call, MemoryStore};
use tokio::task::JoinSet;

use crate::support::{Count, Trip, TripEvent, batch, km, travelled};

async fn inline(store: &MemoryStore, projection: impl Projection + 'static) -> Inline {
    let daemon = Daemon::builder(Arc::new(store.clone())).projection(projection).build().unwrap();
    store.migrate(daemon.registration()).await.unwrap();
    daemon.inline()
}

fn by_kilometre() -> impl Projection + 'static {
    let identify = |event: &Recorded<TripEvent>| match event.data() {
        TripEvent::Travelled { km } => Some(format!("view-{}", km % 10)),
        _ => None,
    };
    multi_stream::<Count, _, _>("Count", identify).inline()
}

#[tokio::test]
async fn sixteen_writers_on_ten_views_lose_no_update() {
    let store = MemoryStore::new();
    let inline = inline(&store, by_kilometre()).await;
    let mut writers = JoinSet::new();
    for writer in 0..16 {
        let inline = inline.clone();
        writers.spawn(async move {
            for km in 0..30 {
                inline.append(travelled(&format!("trip-{writer}"), [km, km + 1])).await.unwrap();
            }
        });
    }
    while let Some(writer) = writers.join_next().await {
        writer.unwrap();
    }
    let keys: Vec<ViewKey> =
        (0..10).map(|n| ViewKey::new(ViewId::new(format!("view-{n}")).unwrap())).collect();
    let views = store.load_views(&table("Count"), &keys).await.unwrap();
    let counts = views.iter().map(|view| view.as_ref().unwrap().body.decode::<Count>().unwrap().events);
    assert_eq!(counts.sum::<u64>(), 16 * 30 * 2);
    let versions = views.iter().map(|view| view.as_ref().unwrap().version.get());
    assert_eq!(versions.sum::<u64>(), 16 * 30 * 2);
}

#[tokio::test]
async fn a_view_that_was_deleted_and_made_again_is_not_the_one_that_was_read() {
    let store = MemoryStore::new();
    let diary = || multi_stream::<Trip, _, _>("Diary", |_| "all").inline();
    let quick = inline(&store, diary()).await;
    let node = store.node();
    let slow = Daemon::builder(Arc::new(node.clone())).projection(diary()).build().unwrap().inline();
    quick.append(travelled("a", [1])).await.unwrap();
    let gate = node.faults().stall(Call::Append, 1);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { slow.append(travelled("b", [2])).await });
    ermine_testkit::eventually(crate::support::SOON, async || gate.is_reached()).await;
    quick.append(batch("c", [TripEvent::Ended])).await.unwrap();
    quick.append(travelled("d", [3])).await.unwrap();
    gate.release();
    tasks.join_next().await.unwrap().unwrap().unwrap();
    let diary = crate::support::stored::<Trip>(&store, "Diary", "all").await.unwrap();
    assert_eq!(diary.km, [3, 2]);
}

#[tokio::test]
async fn an_event_that_an_inline_projection_refuses_is_not_appended() {
    let store = MemoryStore::new();
    let inline = inline(&store, single_stream::<Trip>("Trip").inline()).await;
    inline.append(travelled("a", [1])).await.unwrap();
    let refused = inline
        .append(batch("a", [TripEvent::Travelled { km: 2 }, TripEvent::Travelled { km: 13_000 }]))
        .await
        .unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::Apply { .. }), "{refused:?}");
    assert!(refused.chain().contains("nothing was appended"), "{}", refused.chain());
    assert_eq!(km(&store, "a").await.unwrap(), [1]);
    let limit = std::num::NonZeroUsize::new(9).unwrap();
    let events =
        store.read_stream(&"".parse().unwrap(), &"a".parse().unwrap(), Version::ZERO, limit).await.unwrap();
    assert_eq!(events.len(), 1);
}

#[tokio::test]
async fn a_repeated_append_changes_no_view_again() {
    let store = MemoryStore::new();
    let inline = inline(&store, single_stream::<Trip>("Trip").inline()).await;
    let append = travelled("a", [1, 2]).idempotent();
    let first = inline.append(append.clone()).await.unwrap();
    inline.append(travelled("a", [3])).await.unwrap();
    let again = inline.append(append).await.unwrap();
    assert!(again.repeated);
    assert_eq!(again.position(), first.position());
    assert_eq!(km(&store, "a").await.unwrap(), [1, 2, 3]);
}

#[tokio::test]
async fn what_the_caller_expects_of_a_stream_is_not_tried_again() {
    let store = MemoryStore::new();
    let inline = inline(&store, single_stream::<Trip>("Trip").inline()).await;
    inline.append(travelled("a", [1])).await.unwrap();
    let mut stale = travelled("a", [2]);
    stale.streams_mut()[0].expected = ExpectedVersion::NoStream;
    let before = store.calls(Call::Append);
    let conflict = inline.append(stale).await.unwrap_err();
    assert_eq!(conflict.as_conflict().unwrap().actual, Version::FIRST);
    assert_eq!(store.calls(Call::Append), before);
}

#[tokio::test]
async fn an_append_whose_answer_was_lost_is_not_repeated() {
    let store = MemoryStore::new();
    let inline = inline(&store, single_stream::<Trip>("Trip").inline()).await;
    store.faults().fail(Call::Append, 1, Error::new(ErrorKind::OutcomeUnknown, "the line was cut"));
    let unknown = inline.append(travelled("a", [1])).await.unwrap_err();
    assert_eq!(*unknown.kind(), ErrorKind::OutcomeUnknown);
    assert_eq!(store.calls(Call::Append), 1);
}

fn table(name: &str) -> ViewTable {
    ViewTable::new(ProjectionName::new(name).unwrap(), 1)
}

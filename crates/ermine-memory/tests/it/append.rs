use ermine_core::{
    Body, ErrorKind, Evidence, Operation, Seq, StoredView, Version, ViewPin,
    ports::{EventAppender, HighWaterSource},
};
use ermine_memory::{EvidenceKind, MemoryStore};

use crate::support::{key, message, observe, one, seqs, stored, table};

#[tokio::test]
async fn a_late_commit_becomes_visible_below_what_is_there() {
    let store = MemoryStore::new();
    let mut late = store.begin().named("importer");
    assert_eq!(late.append(one("a")).await.unwrap().position.seq(), Seq::new(1));
    store.append(one("b")).await.unwrap();
    assert_eq!(seqs(&store).await, [2]);
    let holders = store.explain().await.unwrap();
    assert_eq!(holders[0].application.as_deref(), Some("importer"));
    assert_eq!(holders[0].floor, Seq::ZERO);
    late.commit().unwrap();
    assert_eq!(seqs(&store).await, [1, 2]);
    assert!(store.explain().await.unwrap().is_empty());
}

#[tokio::test]
async fn dropping_an_open_append_leaves_a_hole() {
    let store = MemoryStore::new();
    let mut open = store.begin();
    open.append(one("a")).await.unwrap();
    open.append(one("a")).await.unwrap();
    drop(open);
    store.append(one("a")).await.unwrap();
    assert_eq!(seqs(&store).await, [3]);
}

#[tokio::test]
async fn an_append_shows_as_evidence_before_it_draws_a_number() {
    let store = MemoryStore::new();
    store.append(one("a")).await.unwrap();
    let mut open = store.begin();
    open.announce().unwrap();
    let seen = observe(&store).await;
    assert_eq!(seen.evidence, Evidence::Floors(vec![Seq::new(1)]));
    assert_eq!(seen.last, Seq::new(1));
    open.append(one("b")).await.unwrap();
    assert_eq!(observe(&store).await.evidence, Evidence::Floors(vec![Seq::new(1)]));
}

#[tokio::test]
async fn each_kind_of_evidence_says_what_it_can() {
    let store = MemoryStore::with_evidence(EvidenceKind::Holders);
    let mut open = store.begin();
    open.append(one("a")).await.unwrap();
    let Evidence::Holders(holders) = observe(&store).await.evidence else { panic!("holders were asked for") };
    assert_eq!(holders.len(), 1);

    let store = MemoryStore::with_evidence(EvidenceKind::Visible);
    store.append(one("a")).await.unwrap();
    let mut open = store.begin();
    open.append(one("b")).await.unwrap();
    store.append(one("c")).await.unwrap();
    let visible = Evidence::Visible { contiguous: Seq::new(1), next: Some(Seq::new(3)) };
    assert_eq!(observe(&store).await.evidence, visible);
}

#[tokio::test]
async fn an_append_waits_for_an_open_one_to_the_same_stream() {
    let store = MemoryStore::new();
    let mut open = store.begin();
    open.append(one("a")).await.unwrap();
    let (appended, ()) = tokio::join!(store.append(one("a")), async {
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        open.commit().unwrap();
    });
    assert_eq!(appended.unwrap().version().get(), 2);
}

#[tokio::test]
async fn an_open_append_holds_the_views_that_it_pins_and_changes() {
    let store = MemoryStore::new();
    let view = |value: u64| StoredView {
        body: Body::encode(&value).unwrap(),
        version: Version::new(value),
        seq: Seq::ZERO,
    };
    let put = |value| Operation::Store { table: table(), key: key("trip-1"), view: view(value) };
    let pin = |version: Option<u64>| ViewPin {
        table: table(),
        key: key("trip-1"),
        version: version.map(Version::new),
        body: None,
    };
    let mut open = store.begin();
    open.append(one("a").with_operations(vec![pin(None)], vec![put(1)])).await.unwrap();
    open.append(one("a").with_operations(vec![pin(Some(1))], vec![put(2)])).await.unwrap();
    assert_eq!(stored(&store).await, None, "not before the commit");
    let second = one("b").with_operations(vec![pin(None)], vec![put(9)]);
    let (second, ()) = tokio::join!(store.append(second), async {
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        open.commit().unwrap();
    });
    let ErrorKind::ViewConflict(conflict) = second.unwrap_err().kind().clone() else { panic!("a conflict") };
    assert_eq!((conflict.expected, conflict.actual), (None, Some(Version::new(2))));
    assert_eq!(seqs(&store).await, [1, 2]);
}

#[tokio::test]
async fn an_error_leaves_an_open_append_as_it_was() {
    let store = MemoryStore::new();
    let mut open = store.begin();
    open.append(one("a")).await.unwrap();
    let publish = Operation::Publish(message());
    let delete = Operation::Delete { table: table(), key: key("trip-1") };
    let refused = open.append(one("b").with_operations(Vec::new(), vec![delete, publish])).await.unwrap_err();
    assert_eq!(refused.kind(), &ErrorKind::Configuration);
    open.commit().unwrap();
    assert_eq!(seqs(&store).await, [1]);
}

use ermine_core::{
    Evidence, Seq,
    ports::{EventAppender, HighWaterSource},
};
use ermine_memory::{EvidenceKind, MemoryStore};

use crate::support::{observe, one, seqs};

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

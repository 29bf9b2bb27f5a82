use ermine_core::{
    ErrorKind, Evidence, Seq,
    ports::{EventAppender, ProgressStore, ViewStore},
};
use ermine_memory::MemoryStore;

use crate::support::{batch, observe, one, seqs, shard, stored};

#[tokio::test]
async fn a_crash_keeps_commits_and_issues_other_numbers_again() {
    let store = MemoryStore::new();
    store.append(one("a")).await.unwrap();
    let before = observe(&store).await;
    let mut open = store.begin();
    open.append(one("b")).await.unwrap();
    store.crash();
    assert_eq!(open.commit().unwrap_err().kind(), &ErrorKind::OutcomeUnknown);
    let after = observe(&store).await;
    assert_ne!(after.incarnation, before.incarnation);
    assert_eq!(after.evidence, Evidence::Floors(vec![]));
    let again = store.append(one("c")).await.unwrap();
    assert_eq!(again.position.seq(), Seq::new(2), "a number that nobody had committed");
    assert_eq!(seqs(&store).await, [1, 2]);
}

#[tokio::test]
async fn a_crash_that_loses_commits_cuts_events_views_and_progress_at_one_point() {
    let store = MemoryStore::new();
    store.append(one("a")).await.unwrap();
    let taken = store.take_shards(&[shard()]).await.unwrap().remove(0);
    let incarnation = observe(&store).await.incarnation;
    store.commit(batch(&taken, incarnation, 1)).await.unwrap();
    store.append(one("a")).await.unwrap();
    store.crash_losing(2);
    assert_eq!(seqs(&store).await, [1]);
    assert_eq!(stored(&store).await, None);
    let progress = store.read_progress().await.unwrap().remove(0);
    assert_eq!((progress.seq, progress.epoch), (Seq::ZERO, taken.epoch));
    let again = store.append(one("a")).await.unwrap();
    assert_eq!((again.position.seq().get(), again.version().get()), (2, 2));

    let rewound = store.commit(batch(&taken, incarnation, 1)).await.unwrap_err();
    assert_eq!(rewound.kind(), &ErrorKind::Rewound);
}

#[tokio::test]
async fn a_clean_restart_keeps_the_incarnation_and_the_numbers() {
    let store = MemoryStore::new();
    let before = observe(&store).await;
    let mut open = store.begin();
    open.append(one("a")).await.unwrap();
    store.restart();
    assert!(open.commit().is_err());
    let after = observe(&store).await;
    assert_eq!(after.incarnation, before.incarnation);
    assert_eq!(after.last, Seq::new(1));
    assert_eq!(after.evidence, Evidence::Floors(vec![]));
}

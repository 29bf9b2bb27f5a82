use std::num::NonZeroUsize;

use ermine_core::{
    DeadLetter, ErrorKind, Evidence, Filter, LetterQuery, LetterRequest, LetterState, Operation,
    ProjectionName, Seq, ShardName, StreamId, TenantId, Timestamp, Wish,
    ports::{
        DeadLetterStore, EventAppender, Outbox, ProgressStore, Registration, SchemaAdmin, StreamAdmin,
        ViewStore, WishStore,
    },
};
use ermine_memory::MemoryStore;

use crate::support::{batch, behind, event, letter, message, observe, one, page, seqs, shard, stored, table};

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
async fn a_crash_takes_back_all_that_commits_can_do() {
    let store = MemoryStore::new();
    let (tenant, stream) = (TenantId::default(), StreamId::new("a").unwrap());
    store.append(one("a")).await.unwrap();
    let taken = store.take_shards(&[shard()]).await.unwrap().remove(0);
    let incarnation = observe(&store).await.incarnation;
    let member = ShardName::all(ProjectionName::new("Stage").unwrap(), 1);
    let mut all = batch(&taken, incarnation, 1);
    all.members.push(member);
    all.operations.push(Operation::Append {
        tenant: tenant.clone(),
        stream: stream.clone(),
        events: vec![event()],
    });
    all.operations.push(Operation::Publish(message()));
    all.letters.letters.push(letter(1));
    all.letters.parked = vec![(behind(), Seq::new(2)), (behind(), Seq::new(3))];
    store.commit(all).await.unwrap();
    store.put_wish(wish()).await.unwrap();
    let after_the_batch = whole(&store).await;

    // Twelve commits that a crash takes back one by one, in whatever order they were made.
    store.settle_messages(&[message().id]).await.unwrap();
    assert_eq!(store.skip_events(&[Seq::new(1), Seq::new(9)], "broken").await.unwrap(), 1);
    store.archive_stream(&tenant, &stream).await.unwrap();
    store.place_shard(&shard(), Seq::new(5)).await.unwrap();
    let drop_all = Operation::DeleteWhere { table: table(), tenant, filter: Filter::And(Vec::new()) };
    let inline = one("b").with_operations(Vec::new(), vec![drop_all]);
    store.append(inline).await.unwrap();
    assert_eq!(stored(&store).await, None);
    store.append(one("c")).await.unwrap();
    store.request(LetterQuery::default(), LetterRequest::Retry { by: "ada".into() }).await.unwrap();
    let incarnation = observe(&store).await.incarnation;
    let taken = store.take_shards(&[shard()]).await.unwrap().remove(0);
    let mut settling = batch(&taken, incarnation, 5);
    let state = LetterState::Replayed { at: Timestamp::UNIX_EPOCH };
    settling.letters.letters.push(DeadLetter { state, ..letter(1) });
    settling.letters.released = vec![(behind(), Seq::new(2)), (behind(), Seq::new(9))];
    store.commit(settling).await.unwrap();
    assert_eq!(store.purge_letters(Timestamp::MAX).await.unwrap(), 1);
    store.put_wish(Wish { by: "ada".into(), ..wish() }).await.unwrap();
    store.clear_wishes(&[shard()]).await.unwrap();
    store.crash_losing(12);
    assert_eq!(whole(&store).await, after_the_batch);
    assert_eq!(
        store.append(one("a")).await.unwrap().version().get(),
        3,
        "the stream is not archived any more"
    );

    store.crash_losing(3);
    assert_eq!((seqs(&store).await, stored(&store).await), (vec![1], None));
    assert_eq!((letters(&store).await, WishStore::wishes(&store).await.unwrap()), (vec![], vec![]));
    assert_eq!(store.parked_keys(&shard()).await.unwrap(), []);
    assert_eq!(store.pending_messages(NonZeroUsize::MAX).await.unwrap(), []);
    assert_eq!(store.read_progress().await.unwrap().len(), 1, "the member has no progress any more");
}

/// Everything that a commit can change, as readers see it.
async fn whole(store: &MemoryStore) -> String {
    let events = page(store).await;
    let messages = store.pending_messages(NonZeroUsize::MAX).await.unwrap();
    let (progress, view) = (store.read_progress().await.unwrap(), stored(store).await);
    let parked = store.parked(&shard(), &behind(), Seq::ZERO, NonZeroUsize::MAX).await.unwrap();
    let refused = (letters(store).await, parked, WishStore::wishes(store).await.unwrap());
    format!("{:?} {:?} {messages:?} {progress:?} {view:?} {refused:?}", events.events, events.skipped)
}

async fn letters(store: &MemoryStore) -> Vec<DeadLetter> {
    store.letters(LetterQuery::default()).await.unwrap()
}

fn wish() -> Wish {
    Wish {
        shard: shard(),
        by: "grace".into(),
        reason: "maintenance".into(),
        since: Timestamp::UNIX_EPOCH,
        until: None,
    }
}

#[tokio::test]
async fn a_reset_cannot_be_lost() {
    let store = MemoryStore::new();
    store.append(one("a")).await.unwrap();
    let mut open = store.begin();
    open.append(one("b")).await.unwrap();
    store.reset(&Registration::default()).await.unwrap();
    assert_eq!(open.commit().unwrap_err().kind(), &ErrorKind::OutcomeUnknown);
    store.crash_losing(10);
    assert!(seqs(&store).await.is_empty());
    assert_eq!(store.append(one("a")).await.unwrap().position.seq(), Seq::new(1));
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

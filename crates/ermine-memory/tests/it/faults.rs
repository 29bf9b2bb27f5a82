use std::{num::NonZeroUsize, time::Duration};

use ermine_core::{
    Error, ErrorClass, ErrorKind, Evidence, LetterQuery, LetterRequest, Operation, Seq, ShardBatch, StreamId,
    TenantId, Timestamp, Wish,
    ports::{DeadLetterStore, EventAppender, ProgressStore, ViewStore, WakeReason, Wakeup, WishStore},
};
use ermine_memory::{Call, MemoryStore};

use crate::support::{batch, behind, event, letter, observe, one, seqs, shard, stored};

#[tokio::test]
async fn the_nth_call_fails_and_nothing_is_done() {
    let store = MemoryStore::new();
    store.append(one("a")).await.unwrap();
    store.faults().fail(Call::Append, 2, Error::fatal("disk full"));
    store.append(one("a")).await.unwrap();
    assert_eq!(store.append(one("a")).await.unwrap_err().to_string(), "disk full");
    store.append(one("a")).await.unwrap();
    assert_eq!(seqs(&store).await, [1, 2, 3]);
    assert_eq!(store.calls(Call::Append), 4);
}

#[tokio::test]
async fn a_lost_answer_leaves_the_work_done() {
    let store = MemoryStore::new();
    store.faults().lose_answer(Call::Append, 1);
    assert_eq!(store.append(one("a")).await.unwrap_err().kind(), &ErrorKind::OutcomeUnknown);
    assert_eq!(seqs(&store).await, [1]);
}

#[tokio::test]
async fn a_stalled_call_goes_on_when_released_and_fails_in_a_crash() {
    let store = MemoryStore::new();
    let gate = store.faults().stall(Call::Append, 1);
    let (appended, ()) = tokio::join!(store.append(one("a")), async {
        gate.reached().await;
        assert!(seqs(&store).await.is_empty());
        gate.release();
    });
    appended.unwrap();

    let gate = store.faults().stall(Call::Append, 1);
    let (appended, ()) = tokio::join!(store.append(one("a")), async {
        gate.reached().await;
        store.crash();
    });
    assert!(appended.unwrap_err().is_transient());
}

#[tokio::test]
async fn a_late_append_holds_its_numbers_until_released() {
    let store = MemoryStore::new();
    let gate = store.faults().append_late(1);
    let (appended, ()) = tokio::join!(store.append(one("a")), async {
        gate.reached().await;
        store.append(one("b")).await.unwrap();
        assert_eq!(seqs(&store).await, [2]);
        gate.release();
    });
    assert_eq!(appended.unwrap().position.seq(), Seq::new(1));
    assert_eq!(seqs(&store).await, [1, 2]);
}

#[tokio::test]
async fn a_late_commit_lands_though_its_caller_has_gone_and_a_taker_waits_for_it() {
    let store = MemoryStore::new();
    store.append(one("a")).await.unwrap();
    let taken = store.take_shards(&[shard()]).await.unwrap().remove(0);
    let incarnation = observe(&store).await.incarnation;
    let gate = store.faults().commit_late(1);
    tokio::select! {
        done = store.commit(batch(&taken, incarnation, 1)) => panic!("{done:?} before the release"),
        () = gate.reached() => {}
    }
    assert_eq!(stored(&store).await, None);
    let (again, ()) = tokio::join!(async { store.take_shards(&[shard()]).await.unwrap().remove(0) }, async {
        assert_eq!(store.read_progress().await.unwrap()[0].seq, Seq::ZERO);
        gate.release();
    });
    assert_eq!(again.seq, Seq::new(1), "the taker starts where the late commit has ended");
    assert_eq!(stored(&store).await, Some(1));
}

#[tokio::test]
async fn a_late_commit_that_appends_shows_as_evidence() {
    let store = MemoryStore::new();
    store.append(one("a")).await.unwrap();
    let taken = store.take_shards(&[shard()]).await.unwrap().remove(0);
    let mut late = batch(&taken, observe(&store).await.incarnation, 1);
    let (tenant, stream) = (TenantId::default(), StreamId::new("derived").unwrap());
    late.operations.push(Operation::Append { tenant, stream, events: vec![event()] });
    let gate = store.faults().commit_late(1);
    let (committed, ()) = tokio::join!(store.commit(late), async {
        gate.reached().await;
        assert_eq!(observe(&store).await.evidence, Evidence::Floors(vec![Seq::new(1)]));
        store.append(one("b")).await.unwrap();
        assert_eq!(seqs(&store).await, [1, 3]);
        gate.release();
    });
    committed.unwrap();
    assert_eq!(seqs(&store).await, [1, 2, 3]);
    assert_eq!(stored(&store).await, Some(1));
}

#[tokio::test]
async fn an_outage_fails_every_call_of_one_node_until_it_ends() {
    let store = MemoryStore::new();
    let other = store.node();
    store.faults().outage(true);
    assert!(store.read_progress().await.unwrap_err().is_transient());
    assert_eq!(store.wait(Duration::from_secs(60)).await, WakeReason::Deaf);
    other.append(one("a")).await.unwrap();
    store.faults().outage(false);
    assert_eq!(seqs(&store).await, [1]);
}

#[tokio::test]
async fn a_refused_operation_rejects_its_batch_until_the_faults_are_cleared() {
    let store = MemoryStore::new();
    store.append(one("a")).await.unwrap();
    let taken = store.take_shards(&[shard()]).await.unwrap().remove(0);
    let incarnation = observe(&store).await.incarnation;
    let odd = |operation: &Operation| operation.result().is_some_and(|view| view.seq.get() % 2 == 1);
    store.faults().refuse(odd);
    let mut refused = batch(&taken, incarnation, 1);
    refused.letters.letters.push(letter(1));
    for _ in 0..2 {
        let error = store.commit(refused.clone()).await.unwrap_err();
        assert_eq!((error.kind(), error.class()), (&ErrorKind::Rejected, ErrorClass::Apply));
        assert!(error.to_string().contains("view \"trip-1\""), "{error}");
    }
    assert_eq!((stored(&store).await, store.read_progress().await.unwrap()[0].seq), (None, Seq::ZERO));
    assert_eq!(store.count_letters(LetterQuery::default()).await.unwrap(), 0);
    let stale = ShardBatch { from: Seq::new(1), ..refused.clone() };
    let error = store.commit(stale).await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::OutOfOrder { at: Seq::ZERO }, "not the one that is refused now");

    store.commit(batch(&taken, incarnation, 2)).await.unwrap();
    store.faults().clear();
    store.commit(ShardBatch { from: Seq::new(2), to: Seq::new(3), ..refused }).await.unwrap();
    assert_eq!(stored(&store).await, Some(1));
}

#[tokio::test]
async fn a_call_fails_as_often_as_asked_for_and_then_succeeds() {
    let store = MemoryStore::new();
    store.faults().fail_times(Call::Append, 1000, || Error::transient("could not serialize access (40001)"));
    for _ in 0..1000 {
        assert!(store.append(one("a")).await.unwrap_err().is_transient());
    }
    store.append(one("a")).await.unwrap();
}

#[tokio::test]
async fn every_call_about_refused_events_and_wishes_can_be_made_to_fail() {
    let store = MemoryStore::new();
    let faults = store.faults();
    let all = || LetterQuery::default();
    let retry = || LetterRequest::Retry { by: "ada".into() };
    let wish = Wish {
        shard: shard(),
        by: "ada".into(),
        reason: "why not".into(),
        since: Timestamp::UNIX_EPOCH,
        until: None,
    };
    let calls = [
        Call::Letters,
        Call::CountLetters,
        Call::RequestLetters,
        Call::ParkedKeys,
        Call::Parked,
        Call::ReadEvents,
        Call::PurgeLetters,
        Call::PutWish,
        Call::ClearWishes,
        Call::Wishes,
    ];
    calls.iter().for_each(|call| faults.lose_answer(*call, 1));
    for unknown in [true, false] {
        faults.outage(!unknown);
        let answers = [
            store.letters(all()).await.map(drop),
            store.count_letters(all()).await.map(drop),
            store.request(all(), retry()).await.map(drop),
            store.parked_keys(&shard()).await.map(drop),
            store.parked(&shard(), &behind(), Seq::ZERO, NonZeroUsize::MIN).await.map(drop),
            store.read_events(&[]).await.map(drop),
            store.purge_letters(Timestamp::UNIX_EPOCH).await.map(drop),
            store.put_wish(wish.clone()).await,
            store.clear_wishes(&[]).await.map(drop),
            WishStore::wishes(&store).await.map(drop),
        ];
        for (call, answer) in calls.iter().zip(answers) {
            let error = answer.unwrap_err();
            assert_eq!(*error.kind() == ErrorKind::OutcomeUnknown, unknown, "{call:?}: {error}");
            assert!(error.is_transient());
        }
    }
    assert!(calls.iter().all(|call| store.calls(*call) == 2));
    faults.clear();
    assert_eq!(WishStore::wishes(&store).await.unwrap(), [wish], "it was put, though the answer was lost");
}

#[tokio::test]
#[should_panic(expected = "poisoned")]
async fn a_call_can_panic() {
    let store = MemoryStore::new();
    store.faults().panic(Call::ReadProgress, 1, "poisoned");
    let _ = store.read_progress().await;
}

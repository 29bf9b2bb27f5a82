use std::time::Duration;

use ermine_core::{
    Bell, DeadLetter, LetterQuery, LetterRequest, LetterState, LetterStatus, Observe, Seq, Timestamp,
    ports::{
        DeadLetterStore, EventAppender, HighWaterSource, ProgressStore, ViewStore, WakeReason, Wakeup,
        WishStore,
    },
};
use ermine_memory::MemoryStore;

use crate::support::{batch, letter, observe, one, shard};

const LONG: Duration = Duration::from_secs(60);

fn retry() -> LetterRequest {
    LetterRequest::Retry { by: "ada".into() }
}

#[tokio::test]
async fn whoever_asks_waits_for_a_commit_that_writes_the_letter() {
    let store = MemoryStore::new();
    store.append(one("a")).await.unwrap();
    let taken = store.take_shards(&[shard()]).await.unwrap().remove(0);
    let incarnation = observe(&store).await.incarnation;
    let mut refused = batch(&taken, incarnation, 1);
    refused.letters.letters.push(letter(1));
    store.commit(refused.clone()).await.unwrap();

    refused.from = Seq::new(1);
    let state = LetterState::Replayed { at: Timestamp::UNIX_EPOCH };
    refused.letters.letters = vec![DeadLetter { state, ..letter(1) }];
    let gate = store.faults().commit_late(1);
    let (committed, asked) = tokio::join!(store.commit(refused), async {
        gate.reached().await;
        let (asked, ()) = tokio::join!(store.request(LetterQuery::default(), retry()), async {
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
            gate.release();
        });
        asked
    });
    committed.unwrap();
    assert_eq!(asked.unwrap(), 0, "the letter is settled by then");
    let replayed = LetterQuery { statuses: vec![LetterStatus::Replayed], ..LetterQuery::default() };
    assert_eq!(store.count_letters(replayed).await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn news_for_the_daemon_rings_every_bell_and_other_commits_ring_none() {
    let store = MemoryStore::new();
    let other = store.node();
    store.append(one("a")).await.unwrap();
    store.observe(Observe { mark: Seq::ZERO, bell: Bell::Silence }).await.unwrap();
    let taken = store.take_shards(&[shard()]).await.unwrap().remove(0);
    let mut refused = batch(&taken, observe(&store).await.incarnation, 1);
    refused.letters.letters.push(letter(1));
    store.commit(refused).await.unwrap();
    assert_eq!(store.wait(LONG).await, WakeReason::TimedOut);

    assert_eq!(other.request(LetterQuery::default(), retry()).await.unwrap(), 1);
    assert_eq!((store.wait(LONG).await, other.wait(LONG).await), (WakeReason::Rang, WakeReason::Rang));
    assert_eq!(other.clear_wishes(&[shard()]).await.unwrap(), 0);
    assert_eq!(store.wait(LONG).await, WakeReason::TimedOut, "nothing was undone");
}

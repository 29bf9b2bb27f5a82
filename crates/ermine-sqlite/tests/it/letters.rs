//! Refused events, and the news about them.

use std::time::Duration;

use ermine_core::{
    Bell, DeadLetter, ErrorKind, LetterQuery, LetterRequest, LetterState, Observe, Operation, Seq,
    ShardBatch, Timestamp, Wish,
    ports::{DeadLetterStore, HighWaterSource, SchemaAdmin, ViewStore, WakeReason, Wakeup, WishStore},
};
use ermine_sqlite::{Store, sql};

use crate::{
    child::{Child, Duty},
    common::{DEADLINE, LEAVE, Place, behind, letter, next_batch, put, registration, shard, table},
};

fn retry() -> LetterRequest {
    LetterRequest::Retry { by: "ada".into() }
}

fn wish() -> Wish {
    let since = Timestamp::UNIX_EPOCH;
    Wish { shard: shard(), by: "ada".into(), reason: "the ledger is closed".into(), since, until: None }
}

async fn refusing(store: &Store, events: &[u64], operations: Vec<Operation>) -> ShardBatch {
    let mut batch = next_batch(store, operations).await;
    for seq in events {
        batch.letters.letters.push(letter(Seq::new(*seq)));
        batch.letters.parked.push((behind(), Seq::new(*seq)));
    }
    batch
}

async fn all(store: &Store) -> Vec<DeadLetter> {
    store.letters(LetterQuery::default()).await.unwrap()
}

/// Whether somebody has rung, or does within the time that a few looks take.
async fn has_rung(store: &Store) -> bool {
    store.wait(Duration::from_millis(200)).await == WakeReason::Rang
}

#[tokio::test]
async fn letters_of_a_batch_that_is_rejected_are_not_there() {
    let place = Place::new();
    let store = place.store().await;
    let wrong = sql(&table(), "update {table} set data = null", []);
    let batch = refusing(&store, &[1], vec![put("trip-1", "1"), wrong]).await;
    assert_eq!(*store.commit(batch).await.unwrap_err().kind(), ErrorKind::Rejected);
    assert_eq!(all(&store).await, []);
    assert_eq!(store.parked_keys(&shard()).await.unwrap(), []);
}

#[tokio::test]
async fn plain_sql_sees_letters_as_they_are() {
    let place = Place::new();
    let store = place.store().await;
    let mut batch = refusing(&store, &[4], vec![]).await;
    batch.letters.letters[0].error = "cut \0 off".into();
    store.commit(batch).await.unwrap();
    let discard = LetterRequest::Discard { by: "a\0a".into(), reason: "b\0b".into() };
    store.request(LetterQuery::default(), discard.clone()).await.unwrap();
    let shown = "select projection, status, body, error, \"by\", reason from dead_letters";
    let shown: [String; 6] = place
        .sql()
        .query_row(shown, [], |row| {
            Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?])
        })
        .unwrap();
    assert_eq!(shown, ["trip", "discard", "{\"cut off", "cut \u{fffd} off", "a\u{fffd}a", "b\u{fffd}b"]);
    let readable = LetterRequest::Discard { by: "a\u{fffd}a".into(), reason: "b\u{fffd}b".into() };
    assert_eq!(all(&store).await[0].state, LetterState::Requested(readable));
}

#[tokio::test]
async fn nothing_of_it_is_left_after_the_store_was_emptied() {
    let place = Place::new();
    let store = place.store().await;
    store.commit(refusing(&store, &[1, 2], vec![]).await).await.unwrap();
    store.put_wish(wish()).await.unwrap();
    store.reset(&registration()).await.unwrap();
    assert_eq!(all(&store).await, []);
    assert_eq!(store.parked_keys(&shard()).await.unwrap(), []);
    assert_eq!(store.wishes().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_process_asks_for_wakes_a_waiter_whose_bell_is_silent() {
    let place = Place::new();
    let store = place.store().await;
    store.commit(refusing(&store, &[1], vec![]).await).await.unwrap();
    store.observe(Observe { bell: Bell::Silence, ..LEAVE }).await.unwrap();
    assert!(!has_rung(&store).await, "a letter is no news for the daemon that has written it");
    let child = Child::start(&place, Duty::Ask);
    let (woken, ()) = tokio::join!(store.wait(DEADLINE), child.wait(DEADLINE));
    assert_eq!(woken, WakeReason::Rang);
    assert_eq!(all(&store).await[0].state, LetterState::Requested(retry()));
    assert!(!has_rung(&store).await, "it rings once");
}

#[tokio::test]
async fn news_ring_once_in_every_store_on_the_file() {
    let place = Place::new();
    let (store, other) = (place.store().await, place.open().await);
    store.commit(refusing(&store, &[1], vec![]).await).await.unwrap();
    for round in 0..3 {
        match round {
            0 => assert_eq!(other.request(LetterQuery::default(), retry()).await.unwrap(), 1),
            1 => other.put_wish(wish()).await.unwrap(),
            _ => assert_eq!(other.clear_wishes(&[shard()]).await.unwrap(), 1),
        }
        for waiter in [&store, &other] {
            assert_eq!(waiter.wait(DEADLINE).await, WakeReason::Rang, "round {round}");
            assert!(!has_rung(waiter).await, "round {round}");
        }
    }
    assert_eq!(other.clear_wishes(&[shard()]).await.unwrap(), 0);
    let settled = LetterQuery { seq: Some(Seq::new(9)), ..LetterQuery::default() };
    assert_eq!(other.request(settled, retry()).await.unwrap(), 0);
    assert!(!has_rung(&store).await && !has_rung(&other).await, "nothing was changed");
}

/// News that came while nobody had the file open are as good as new.
#[tokio::test]
async fn whoever_opens_the_file_after_the_news_is_woken_by_them() {
    let place = Place::new();
    let store = place.store().await;
    store.put_wish(wish()).await.unwrap();
    store.close().await;
    let store = place.open().await;
    assert_eq!(store.wait(DEADLINE).await, WakeReason::Rang);
}

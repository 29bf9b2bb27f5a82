//! What the database refuses to hold.

use ermine_core::{
    ErrorClass, ErrorKind, NewEvent, Operation, TenantId,
    ports::{EventAppender, ProgressStore, ViewStore},
};
use ermine_sqlite::{Store, sql};

use crate::common::{Place, batch, event, key, log, next_batch, put, stream, table};

async fn shown(store: &Store, id: &str) -> Option<String> {
    let view = store.load_views(&table(), &[key(id)]).await.unwrap().remove(0)?;
    Some(String::from_utf8(view.body.as_bytes().to_vec()).unwrap())
}

fn native(statement: &str) -> Operation {
    sql(&table(), statement, [])
}

fn appended(events: Vec<NewEvent>) -> Operation {
    Operation::Append { tenant: TenantId::default(), stream: stream("trip-9"), events }
}

/// Expects that a batch with `operation` in its middle is refused, and that nothing of it stays.
async fn is_rejected(store: &Store, operation: Operation, words: &str) {
    let before = shown(store, "trip-1").await;
    let events = log(store).await.len();
    let operations =
        vec![put("trip-1", "0"), appended(vec![event("1")]), operation.clone(), put("trip-2", "0")];
    let batch = next_batch(store, operations).await;
    let from = batch.from;
    let error = store.commit(batch).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Rejected, "{operation:?}: {}", error.chain());
    assert_eq!(error.class(), ErrorClass::Apply);
    assert!(error.chain().contains(words), "{operation:?}: {}", error.chain());
    assert_eq!((shown(store, "trip-1").await, shown(store, "trip-2").await), (before, None));
    assert_eq!(store.read_progress().await.unwrap()[0].seq, from, "{operation:?}");
    assert_eq!(log(store).await.len(), events, "{operation:?}");
}

#[tokio::test]
async fn what_a_constraint_refuses_is_rejected_and_changes_nothing() {
    let place = Place::new();
    let store = place.store().await;
    store.commit(next_batch(&store, vec![put("trip-1", "7"), put("trip-3", "3")]).await).await.unwrap();
    let guards = "create unique index one_of_each on view_trip_v1_g1 (data);
        create trigger guard before insert on view_trip_v1_g1 when new.data = '13'
        begin select raise(abort, 'no thirteen'); end;
        create trigger guard_more before insert on view_trip_v1_g1 when new.data = '14'
        begin select raise(rollback, 'no fourteen'); end";
    place.sql().execute_batch(guards).unwrap();
    for (operation, words) in [
        (put("trip-4", "3"), "UNIQUE constraint failed"),
        (put("trip-4", "13"), "no thirteen"),
        (put("trip-4", "14"), "no fourteen"),
        (native("update {table} set data = '3'"), "UNIQUE constraint failed"),
        (native("update or rollback {table} set data = '3'"), "UNIQUE constraint failed"),
        (native("update {table} set data = null"), "NOT NULL constraint failed"),
        (native("update {table} set version = 'x'"), "cannot store TEXT value in INTEGER column"),
        (native("insert into {table} select * from {table}"), "UNIQUE constraint failed"),
        (native("update {table} set data = zeroblob(2000000000)"), "string or blob too big"),
    ] {
        is_rejected(&store, operation, words).await;
    }
    store.commit(next_batch(&store, vec![put("trip-1", "8")]).await).await.unwrap();
    assert_eq!(shown(&store, "trip-1").await.as_deref(), Some("8"));
    assert_eq!(shown(&store, "trip-3").await.as_deref(), Some("3"), "a view never makes room for another");
}

#[tokio::test]
async fn a_check_that_somebody_has_added_rejects_what_it_refuses() {
    let place = Place::new();
    let store = place.store().await;
    let checked = "alter table view_trip_v1_g1 add column small integer check (data <> '13')";
    place.sql().execute_batch(checked).unwrap();
    is_rejected(&store, put("trip-4", "13"), "CHECK constraint failed").await;
    store.commit(next_batch(&store, vec![put("trip-4", "12")]).await).await.unwrap();
}

/// They come while the writer waits for the disk, so they share commits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_beside_a_batch_that_gives_up_its_transaction_go_through() {
    const ROUNDS: usize = 20;
    let place = Place::new();
    let store = place.store().await;
    store.commit(next_batch(&store, vec![put("trip-1", "7"), put("trip-2", "8")]).await).await.unwrap();
    let wrong = native("insert or rollback into {table} select * from {table}");
    for _ in 0..ROUNDS {
        let refused = next_batch(&store, vec![wrong.clone()]).await;
        let appends = |name| store.append(batch(name, 1));
        let (one, two, refused, three, four) = tokio::join!(
            appends("one"),
            appends("two"),
            store.commit(refused),
            appends("three"),
            appends("four")
        );
        for appended in [one, two, three, four] {
            appended.unwrap();
        }
        let refused = refused.unwrap_err();
        assert_eq!(*refused.kind(), ErrorKind::Rejected, "{}", refused.chain());
    }
    assert_eq!(log(&store).await.len(), 4 * ROUNDS);
    assert_eq!(shown(&store, "trip-1").await.as_deref(), Some("7"));
}

use ermine_core::{
    AppendBatch, ErrorKind, EventId, ExpectedVersion, NewEvent, StreamAppend, StreamId, Version,
    ports::EventAppender,
};
use ermine_postgres::Store;

use crate::common::{Fixture, append, event, last_and_mark};

fn named(prefix: &str, count: usize) -> Vec<NewEvent> {
    (0..count).map(|n| event("T", "{}").with_id(EventId::derived(&format!("{prefix}-{n}")))).collect()
}

fn to(stream: &str, events: Vec<NewEvent>) -> StreamAppend {
    StreamAppend::new(StreamId::new(stream).unwrap(), events)
}

#[tokio::test]
async fn a_repeated_batch_answers_as_the_first_time() {
    let it = Fixture::new().await;
    let batch =
        || AppendBatch::new().stream(to("b", named("b", 2))).stream(to("a", named("a", 3))).idempotent();
    let first = it.store.append(batch()).await.unwrap();
    assert!(!first.repeated);
    append(&it.store, "a", ExpectedVersion::Exact(Version::new(3)), 4).await.unwrap();
    let again = it.store.append(batch()).await.unwrap();
    assert!(again.repeated);
    assert_eq!(
        (again.position, &again.versions, again.recorded_at),
        (first.position, &first.versions, first.recorded_at)
    );
    assert_eq!(first.versions, [Version::new(2), Version::new(3)]);
    assert_eq!(last_and_mark(&it.observe().await), (9, 9), "no number was drawn");
}

#[tokio::test]
async fn versions_are_not_checked_for_a_repeated_batch_and_are_for_a_new_one() {
    let it = Fixture::new().await;
    let new = |id: &str| {
        let append = to("s", named(id, 1)).expecting(ExpectedVersion::NoStream);
        AppendBatch::new().stream(append).idempotent()
    };
    it.store.append(new("one")).await.unwrap();
    assert!(it.store.append(new("one")).await.unwrap().repeated);
    let conflict = it.store.append(new("two")).await.unwrap_err();
    assert_eq!(conflict.as_conflict().unwrap().actual, Version::new(1));
}

#[tokio::test]
async fn a_batch_that_is_known_in_part_is_refused_with_those_ids() {
    let it = Fixture::new().await;
    it.store.append(AppendBatch::new().stream(to("s", named("x", 2)))).await.unwrap();
    let error =
        it.store.append(AppendBatch::new().stream(to("s", named("x", 4))).idempotent()).await.unwrap_err();
    let ErrorKind::PartlyKnown { known } = error.kind() else { panic!("{error:?}") };
    let mut known = known.clone();
    known.sort_unstable();
    let mut wanted = vec![EventId::derived("x-0"), EventId::derived("x-1")];
    wanted.sort_unstable();
    assert_eq!(known, wanted);
}

#[tokio::test]
async fn ids_that_are_taken_by_another_stream_are_duplicates() {
    let it = Fixture::new().await;
    it.store.append(AppendBatch::new().stream(to("s", named("x", 1)))).await.unwrap();
    let elsewhere = AppendBatch::new().stream(to("t", named("x", 1)));
    for batch in [elsewhere.clone(), elsewhere.idempotent()] {
        let error = it.store.append(batch).await.unwrap_err();
        assert_eq!(
            *error.kind(),
            ErrorKind::DuplicateEvent { id: Some(EventId::derived("x-0")) },
            "{error:?}"
        );
    }
    let next = append(&it.store, "t", ExpectedVersion::NoStream, 1).await.unwrap();
    assert_eq!(next.version(), Version::FIRST);
}

/// Two nodes append the same batch at the same moment, again and again: one of them records it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_equal_batches_in_flight_one_is_recorded() {
    let it = Fixture::new().await;
    let other = Store::connect(it.database.url()).await.unwrap();
    for round in 0..60 {
        let batch = || {
            let stream = |id: &str| to(id, named(&format!("{id}-{round}"), 2));
            AppendBatch::new().stream(stream("a")).stream(stream("b")).idempotent()
        };
        let (one, two) = tokio::join!(it.store.append(batch()), other.append(batch()));
        let (one, two) = (one.unwrap(), two.unwrap());
        assert_eq!([one.repeated, two.repeated].iter().filter(|repeated| **repeated).count(), 1);
        assert_eq!(
            (one.position, &one.versions, one.recorded_at),
            (two.position, &two.versions, two.recorded_at)
        );
        assert_eq!(one.version(), Version::new(2 * (round + 1)), "no version was skipped");
    }
}

/// The second of two equal batches waits for the first to end, and finds what it has recorded.
#[tokio::test]
async fn a_batch_waits_for_its_twin_in_an_open_transaction() {
    let it = Fixture::new().await;
    let batch = || AppendBatch::new().stream(to("s", named("x", 2))).idempotent();
    for (commit, repeated) in [(false, false), (true, true)] {
        let batch =
            || if commit { AppendBatch::new().stream(to("t", named("y", 2))).idempotent() } else { batch() };
        let held = crate::held::Held::open(it.store.clone(), it.sql().await, batch()).await.unwrap();
        let admin = it.sql().await;
        let release = async {
            let waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
            ermine_testkit::eventually(crate::common::DEADLINE, || async {
                admin.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) == 1
            })
            .await;
            held.end(commit).await;
        };
        let (appended, ()) = tokio::join!(it.store.append(batch()), release);
        let appended = appended.unwrap();
        assert_eq!((appended.repeated, appended.version()), (repeated, Version::new(2)));
    }
}

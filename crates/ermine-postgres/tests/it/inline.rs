//! Appends that change views in the same transaction.

use ermine_core::{
    AppendBatch, Appended, Error, ErrorKind, EventId, Operation, Result, StreamAppend, StreamId, StreamType,
    TenantId, Version, ViewPin, ViewTable,
    ports::{EventAppender, EventReader, ViewStore},
};
use ermine_postgres::Store;
use tokio::task::JoinSet;

use crate::{
    common::{Fixture, event, key, last_and_mark, stream, table},
    worker::{put, put_version},
};

pub(crate) fn pin(table: &ViewTable, id: &str, version: Option<u64>) -> ViewPin {
    ViewPin { table: table.clone(), key: key(id), version: version.map(Version::new), body: None }
}

pub(crate) fn batch(id: &str, pins: Vec<ViewPin>, operations: Vec<Operation>) -> AppendBatch {
    AppendBatch::new().stream(stream(id, 1)).with_operations(pins, operations)
}

/// A view that counts, and the version it has.
pub(crate) async fn count(store: &Store, id: &str) -> (u64, Option<u64>) {
    let view = store.load_views(&table(), &[key(id)]).await.unwrap().remove(0);
    view.map_or((0, None), |view| (view.body.decode().unwrap(), Some(view.version.get())))
}

/// Whether it is worth another try.
pub(crate) fn is_passing(error: &Error) -> bool {
    error.is_transient() || matches!(error.kind(), ErrorKind::ViewConflict(_))
}

/// Counts one up in each of the views, however often it takes.
async fn count_up(store: &Store, stream: &str, ids: &[&str]) {
    loop {
        let (mut pins, mut operations) = (Vec::new(), Vec::new());
        for id in ids {
            let (count, version) = count(store, id).await;
            pins.push(pin(&table(), id, version));
            let next = version.unwrap_or(0) + 1;
            operations.push(put_version(&table(), id, &(count + 1).to_string(), next));
        }
        match store.append(batch(stream, pins, operations)).await {
            Ok(_) => return,
            Err(error) if is_passing(&error) => {}
            Err(error) => panic!("{}", error.chain()),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_writers_of_one_view_lose_no_update() {
    let it = Fixture::new().await;
    let mut writers = JoinSet::new();
    for writer in 0..16 {
        let store = it.store.clone();
        writers.spawn(async move {
            for _ in 0..5 {
                count_up(&store, &format!("s-{writer}"), &["shared"]).await;
            }
        });
    }
    while let Some(writer) = writers.join_next().await {
        writer.unwrap();
    }
    assert_eq!(count(&it.store, "shared").await, (80, Some(80)));
    assert_eq!(last_and_mark(&it.observe().await), (80, 80), "no conflict has drawn a number");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn views_in_opposite_order_do_not_deadlock_for_ever() {
    let it = Fixture::new().await;
    let mut writers = JoinSet::new();
    for (stream, ids) in [("one", ["a", "b"]), ("two", ["b", "a"])] {
        let store = it.store.clone();
        writers.spawn(async move {
            for _ in 0..20 {
                count_up(&store, stream, &ids).await;
            }
        });
    }
    while let Some(writer) = writers.join_next().await {
        writer.unwrap();
    }
    assert_eq!(count(&it.store, "a").await, (40, Some(40)));
    assert_eq!(count(&it.store, "b").await, (40, Some(40)));
}

pub(crate) fn conflict(answer: Result<impl std::fmt::Debug>) -> (Option<Version>, Option<Version>) {
    match answer.unwrap_err().kind() {
        ErrorKind::ViewConflict(conflict) => (conflict.expected, conflict.actual),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_conflict_names_both_versions_and_draws_no_number() {
    let it = Fixture::new().await;
    let sql = it.sql().await;
    it.store.append(batch("s", vec![pin(&table(), "a", None)], vec![put(&table(), "a", "1")])).await.unwrap();
    let last = async || -> i64 {
        let last = "select last_value from ermine.events_seq_seq";
        sql.query_one(last, &[]).await.unwrap().get(0)
    };
    assert_eq!(last().await, 1);
    let (one, two) = (Some(Version::new(1)), Some(Version::new(2)));
    let append = async |id: &str, version| {
        conflict(
            it.store
                .append(batch("s", vec![pin(&table(), id, version)], vec![put(&table(), "b", "1")]))
                .await,
        )
    };
    assert_eq!(append("a", None).await, (None, one));
    assert_eq!(append("a", Some(2)).await, (two, one));
    assert_eq!(append("c", Some(2)).await, (two, None));
    assert_eq!(last().await, 1);
    assert_eq!(count(&it.store, "b").await, (0, None), "nor did an operation take effect");
    let heads = it.store.read_heads(&[(TenantId::default(), StreamId::new("s").unwrap())]).await.unwrap();
    assert_eq!(heads.versions, [Version::new(1)]);
}

/// Appends `first` in a transaction of its own, and `second` beside it; ends the first one when the second one waits.
async fn overlap(it: &Fixture, first: AppendBatch, second: AppendBatch) -> Result<Appended> {
    let mut client = it.sql().await;
    let transaction = client.transaction().await.unwrap();
    it.store.append_in(&transaction, first).await.unwrap();
    let store = it.store.clone();
    let mut waiting = JoinSet::new();
    waiting.spawn(async move { store.append(second).await });
    wait_for_a_waiter(it).await;
    let (last, mark) = last_and_mark(&it.observe().await);
    assert_eq!(last, mark + 1, "whoever waits for a view does not hold the mark");
    transaction.commit().await.unwrap();
    waiting.join_next().await.unwrap().unwrap()
}

pub(crate) async fn wait_for_a_waiter(it: &Fixture) {
    ermine_testkit::eventually(crate::common::DEADLINE, || async {
        let waits = it.sql().await.query("select 1 from pg_locks where not granted", &[]).await.unwrap();
        if waits.is_empty() { Err("nobody waits") } else { Ok(()) }
    })
    .await;
}

#[tokio::test]
async fn of_two_appends_that_find_the_same_view_absent_one_is_told_of_the_other() {
    let it = Fixture::new().await;
    // Two streams, so that nothing but the view is in the way.
    let absent =
        |stream: &str, id: &str, operations| batch(stream, vec![pin(&table(), id, None)], operations);
    let store = |id: &str| put_version(&table(), id, "1", 7);
    let native = || ermine_postgres::sql(&table(), "select 1", []);
    let cases = [
        ("stored", vec![store("stored")]),
        ("nothing", Vec::new()),
        ("deleted", vec![Operation::Delete { table: table(), key: key("deleted") }]),
        ("native", vec![native(), store("native")]),
    ];
    let total = cases.len();
    for (id, operations) in cases {
        let answer = overlap(&it, absent("s", id, vec![store(id)]), absent("t", id, operations)).await;
        assert_eq!(conflict(answer), (None, Some(Version::new(7))), "{id}");
        assert_eq!(count(&it.store, id).await, (1, Some(7)), "{id}");
    }
    let total = u64::try_from(total).unwrap();
    assert_eq!(last_and_mark(&it.observe().await), (total, total), "no conflict has drawn a number");
    // And one that leaves it absent is in nobody's way.
    overlap(&it, absent("s", "gone", Vec::new()), absent("t", "gone", vec![store("gone")])).await.unwrap();
}

#[tokio::test]
async fn whoever_waits_for_an_insert_that_pins_nothing_is_told_of_it() {
    let it = Fixture::new().await;
    let blind = batch("s", Vec::new(), vec![put_version(&table(), "a", "1", 7)]);
    let second = batch("t", vec![pin(&table(), "a", None)], vec![put(&table(), "a", "2")]);
    assert_eq!(conflict(overlap(&it, blind, second).await), (None, Some(Version::new(7))));
}

#[tokio::test]
async fn an_append_of_any_number_of_new_views_finds_room_for_its_locks() {
    let it = Fixture::new().await;
    let ids: Vec<String> = (0..20_000).map(|n| n.to_string()).collect();
    let pins = ids.iter().map(|id| pin(&table(), id, None)).collect();
    let operations = ids.iter().map(|id| put(&table(), id, "1")).collect();
    it.store.append(batch("s", pins, operations)).await.unwrap();
    assert_eq!(count(&it.store, "19999").await, (1, Some(1)));
}

#[tokio::test]
async fn an_append_that_fails_in_a_transaction_leaves_nothing_of_it_behind() {
    let it = Fixture::new().await;
    let mut client = it.sql().await;
    let transaction = client.transaction().await.unwrap();
    let broken = ermine_postgres::sql(&table(), "select 1 / 0", []);
    let failing = [
        batch("s", Vec::new(), vec![put(&table(), "a", "1"), broken]),
        batch("s", vec![pin(&table(), "a", Some(1))], vec![put(&table(), "b", "1")]),
        batch(
            "s",
            Vec::new(),
            vec![
                ermine_postgres::sql(&table(), "select set_config('ermine.batch', '', true)", []),
                put(&table(), "a", "1"),
            ],
        ),
    ];
    for failing in failing {
        it.store.append_in(&transaction, failing).await.unwrap_err();
    }
    it.store.append_in(&transaction, batch("t", Vec::new(), vec![put(&table(), "c", "3")])).await.unwrap();
    transaction.commit().await.unwrap();
    for (id, there) in [("a", (0, None)), ("b", (0, None)), ("c", (3, Some(1)))] {
        assert_eq!(count(&it.store, id).await, there, "{id}");
    }
    let streams = "select string_agg(stream_id || version, ',') from ermine.streams";
    assert_eq!(client.query_one(streams, &[]).await.unwrap().get::<_, String>(0), "t1");
}

#[tokio::test]
async fn a_repeated_append_answers_as_the_first_time_and_leaves_views_alone() {
    let it = Fixture::new().await;
    let named = |id: &str| event("T", "{}").with_id(EventId::derived(id));
    let to = |id: &str, events| StreamAppend::new(StreamId::new(id).unwrap(), events);
    let once = "update {table} set data = to_jsonb((data #>> '{}')::int + 1) where id = 'a'";
    let batch = || {
        AppendBatch::new()
            .stream(to("b", vec![named("1"), named("2")]).of_type(StreamType::new("trip").unwrap()))
            .stream(to("a", vec![named("3")]))
            .with_operations(
                vec![pin(&table(), "a", None)],
                vec![put(&table(), "a", "1"), ermine_postgres::sql(&table(), once, [])],
            )
            .idempotent()
    };
    let first = it.store.append(batch()).await.unwrap();
    assert_eq!((first.repeated, count(&it.store, "a").await.0), (false, 2));
    let mut client = it.sql().await;
    let again = it.store.append(batch()).await.unwrap();
    let transaction = client.transaction().await.unwrap();
    let within = it.store.append_in(&transaction, batch()).await.unwrap();
    transaction.execute("select 1", &[]).await.unwrap();
    transaction.commit().await.unwrap();
    for again in [again, within] {
        assert!(again.repeated);
        assert_eq!(
            (again.position, again.versions, again.recorded_at),
            (first.position, first.versions.clone(), first.recorded_at)
        );
    }
    assert_eq!(count(&it.store, "a").await, (2, Some(1)));
    let types = "select string_agg(stream_id || ' ' || coalesce(type, '-'), ',' order by stream_id) from ermine.streams";
    assert_eq!(client.query_one(types, &[]).await.unwrap().get::<_, String>(0), "a -,b trip");
}

#[tokio::test]
async fn an_append_whose_begin_has_failed_records_nothing_on_its_own() {
    let it = Fixture::new().await;
    let sql = it.sql().await;
    let append = "select last_seq from ermine.append_events(array[''], array['s'], array[null::bigint], array[1::bigint], \
                  array[''], array['s'], array[1], array[1], array[gen_random_uuid()], array['T'], array['{}']::json[], \
                  array[null], array[null], array[null]::json[], false) where current_setting('ermine.batch', true) = 'on'";
    assert!(sql.query(append, &[]).await.unwrap().is_empty());
    assert_eq!(last_and_mark(&it.observe().await), (0, 0));
    let begin = "select ermine.begin_append(array[''], array['s'], array[null::bigint], null, null, null, null, null, false)";
    assert!(sql.query(begin, &[]).await.is_err());
}

#[tokio::test]
async fn an_append_neither_appends_elsewhere_nor_publishes() {
    let it = Fixture::new().await;
    let operation = Operation::Append {
        tenant: Default::default(),
        stream: StreamId::new("t").unwrap(),
        events: vec![event("T", "{}")],
    };
    let refused = it.store.append(batch("s", Vec::new(), vec![operation])).await.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::Configuration);
    assert_eq!(last_and_mark(&it.observe().await), (0, 0));
}

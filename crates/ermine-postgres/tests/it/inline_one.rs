//! Appends of one stream and one view, which are one statement, beside those that are many.

use ermine_core::{
    AppendBatch, Appended, Body, Error, ErrorKind, ExpectedVersion, Operation, Result, StreamId, TenantId,
    Version, ViewPin,
    ports::{EventAppender, StreamAdmin},
};
use ermine_postgres::Store;
use ermine_testkit::pg::OwnedClient;
use tokio::task::JoinSet;

use crate::{
    common::{Fixture, key, last_and_mark, stream, table},
    inline::{batch, conflict, count, is_passing, pin, wait_for_a_waiter},
    worker::put_version,
};

/// The same append as one statement, and as many.
fn both_ways(batch: AppendBatch) -> [AppendBatch; 2] {
    [batch.clone(), batch.idempotent()]
}

/// Everything that an append may change, and the last number drawn.
async fn state(sql: &OwnedClient) -> String {
    let views = "select table_name from ermine.projections where name = 'Trip'";
    let views: String = sql.query_one(views, &[]).await.unwrap().get(0);
    let state = format!(
        "select concat_ws(E'\\n', (select json_agg(s order by stream_id) from ermine.streams s), \
         (select json_agg(e order by seq) from ermine.events e), \
         (select json_agg(v order by id) from ermine.\"{views}\" v), \
         (select last_value from ermine.events_seq_seq))"
    );
    sql.query_one(&state, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn one_statement_refuses_as_many_do_and_leaves_nothing() {
    let it = Fixture::new().await;
    let sql = it.sql().await;
    let there = batch("s", vec![pin(&table(), "a", None)], vec![put_version(&table(), "a", "1", 1)]);
    it.store.append(there).await.unwrap();
    let closed = |id: &str| StreamId::new(id).unwrap();
    it.store.append(batch("closed", Vec::new(), Vec::new())).await.unwrap();
    it.store.archive_stream(&TenantId::default(), &closed("closed")).await.unwrap();
    let before = state(&sql).await;

    let exact = |n| ExpectedVersion::Exact(Version::new(n));
    let other = || ViewPin { body: Some(Body::encode(&9).unwrap()), ..pin(&table(), "a", Some(1)) };
    let (any, none) = (ExpectedVersion::Any, ExpectedVersion::NoStream);
    let refused = [
        ("s", none, pin(&table(), "b", None)),
        ("s", exact(2), pin(&table(), "b", None)),
        ("s", exact(2), pin(&table(), "a", Some(1))),
        ("new", exact(1), pin(&table(), "b", None)),
        ("closed", any, pin(&table(), "b", None)),
        ("closed", exact(2), pin(&table(), "a", Some(1))),
        ("closed", none, pin(&table(), "a", Some(1))),
        ("s", any, pin(&table(), "a", None)),
        ("new", none, pin(&table(), "a", None)),
        ("s", exact(1), pin(&table(), "a", Some(2))),
        ("new", any, pin(&table(), "b", Some(1))),
        ("s", any, other()),
    ];
    for (id, expected, pin) in refused {
        let store = put_version(&table(), pin.key.id.as_str(), "5", 5);
        let append = stream(id, 2).expecting(expected);
        let append = AppendBatch::new().stream(append).with_operations(vec![pin.clone()], vec![store]);
        let mut told = Vec::new();
        for append in both_ways(append) {
            let refused = it.store.append(append).await.unwrap_err();
            told.push((refused.kind().clone(), refused.chain()));
            assert_eq!(state(&sql).await, before, "{id} {expected:?} {pin:?}");
        }
        assert_eq!(told[0], told[1], "{id} {expected:?} {pin:?}");
        let of_stream = matches!(told[0].0, ErrorKind::VersionConflict(_) | ErrorKind::Archived { .. });
        assert!(of_stream || matches!(told[0].0, ErrorKind::ViewConflict(_)), "{:?}", told[0]);
    }
}

#[tokio::test]
async fn one_statement_records_what_many_do() {
    let it = Fixture::new().await;
    for (way, name) in ["one", "many"].into_iter().enumerate() {
        let append = async |events, expected, pin: ViewPin, version| {
            let store = put_version(&table(), name, "1", version);
            let append = stream(name, events).expecting(expected);
            let append = AppendBatch::new().stream(append).with_operations(vec![pin], vec![store]);
            it.store.append(both_ways(append)[way].clone()).await.unwrap()
        };
        let before = last_and_mark(&it.observe().await).0;
        let body = || Some(Body::encode(&1).unwrap());
        let mut answers = Vec::new();
        answers.push(append(1, ExpectedVersion::NoStream, pin(&table(), name, None), 1).await);
        answers.push(append(3, ExpectedVersion::Any, pin(&table(), name, Some(1)), 4).await);
        let pinned = ViewPin { body: body(), ..pin(&table(), name, Some(4)) };
        answers.push(append(2, ExpectedVersion::Exact(Version::new(4)), pinned, 6).await);
        let seen = |it: &Appended| (it.position.seq().get() - before, it.version().get(), it.repeated);
        let answers: Vec<_> = answers.iter().map(seen).collect();
        assert_eq!(answers, [(1, 1, false), (4, 4, false), (6, 6, false)], "{name}");
        assert_eq!(count(&it.store, name).await, (1, Some(6)), "{name}");
    }
    let rows = "select string_agg(concat_ws(' ', version, type, data), ',' order by seq) from ermine.events group by stream_id";
    let rows = it.sql().await.query(rows, &[]).await.unwrap();
    let rows: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(rows[0], rows[1]);
}

/// A way to count a view up.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// One statement.
    One,
    /// Many, because the batch is idempotent.
    Idempotent,
    /// Many, because another view is pinned and left as it is.
    Beside,
}

/// Counts view `nth` of ten up, however often it takes.
async fn count_up(store: &Store, stream: &str, nth: usize, way: Way) {
    let (id, beside) = (format!("v{}", nth % 10), format!("v{}", (nth + 1) % 10));
    loop {
        let (number, version) = count(store, &id).await;
        let mut pins = vec![pin(&table(), &id, version)];
        if matches!(way, Way::Beside) {
            pins.push(pin(&table(), &beside, count(store, &beside).await.1));
        }
        let next = put_version(&table(), &id, &(number + 1).to_string(), version.unwrap_or(0) + 1);
        let append = batch(stream, pins, vec![next]);
        let append = if matches!(way, Way::Idempotent) { append.idempotent() } else { append };
        match store.append(append).await {
            Ok(_) => return,
            Err(error) if is_passing(&error) => {}
            Err(error) => panic!("{}", error.chain()),
        }
    }
}

async fn sixteen_writers_on_ten_views(ways: &[Way]) {
    const EACH: usize = 10;
    let it = Fixture::new().await;
    let mut writers = JoinSet::new();
    for writer in 0..16 {
        let (store, way) = (it.store.clone(), ways[writer % ways.len()]);
        // Streams of their own and shared ones, so that both are in the way.
        let stream = format!("s-{}", writer % 12);
        writers.spawn(async move {
            for turn in 0..EACH {
                count_up(&store, &stream, turn, way).await;
            }
        });
    }
    while let Some(writer) = writers.join_next().await {
        writer.unwrap();
    }
    for nth in 0..10 {
        assert_eq!(count(&it.store, &format!("v{nth}")).await, (16, Some(16)), "view {nth}");
    }
    assert_eq!(last_and_mark(&it.observe().await), (160, 160), "no conflict has drawn a number");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_writers_on_ten_views_lose_no_update() {
    sixteen_writers_on_ten_views(&[Way::One]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_writers_of_all_kinds_on_ten_views_lose_no_update() {
    sixteen_writers_on_ten_views(&[Way::One, Way::Idempotent, Way::One, Way::Beside]).await;
}

/// Pins a view that is not there, and leaves it so.
fn looker(id: &str, stream: &str) -> AppendBatch {
    batch(stream, vec![pin(&table(), id, None)], Vec::new())
}

/// Pins a view that is not there, and puts it there.
fn maker(id: &str, stream: &str) -> AppendBatch {
    batch(stream, vec![pin(&table(), id, None)], vec![put_version(&table(), id, "1", 7)])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_has_read_a_view_to_be_absent_comes_before_whoever_puts_it_there() {
    const ROUNDS: u64 = 100;
    let it = Fixture::new().await;
    let mut appended = 0;
    for round in 0..ROUNDS {
        let id = format!("v{round}");
        let (store, append) = (it.store.clone(), maker(&id, "maker"));
        let mut made = JoinSet::new();
        made.spawn(async move { store.append(append).await });
        let looked = it.store.append(looker(&id, "looker")).await;
        let made = made.join_next().await.unwrap().unwrap().unwrap();
        appended += 1;
        match looked {
            Ok(looked) => {
                assert!(looked.position < made.position, "round {round}: it was there by then");
                appended += 1;
            }
            refused @ Err(_) => assert_eq!(conflict(refused), (None, Some(Version::new(7)))),
        }
    }
    assert_eq!(last_and_mark(&it.observe().await), (appended, appended), "no conflict has drawn a number");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_that_one_statement_is_about_to_put_there_is_not_absent() {
    let it = Fixture::new().await;
    let mut gate = it.sql().await;
    let spectator = it.sql().await;
    // Between the view and the events of the one that puts it there.
    let gate = gate.transaction().await.unwrap();
    gate.batch_execute("lock table ermine.events in share mode").await.unwrap();
    let mut both = JoinSet::new();
    let append = |append| {
        let store = it.store.clone();
        async move { store.append(append).await }
    };
    both.spawn(append(maker("a", "maker")));
    wait_for_a_waiter(&it).await;
    both.spawn(append(looker("a", "looker")));
    ermine_testkit::eventually(crate::common::DEADLINE, || async {
        let waits = "select count(*) from pg_locks where not granted and database = \
                     (select oid from pg_database where datname = current_database())";
        let waits: i64 = spectator.query_one(waits, &[]).await.unwrap().get(0);
        if waits == 2 { Ok(()) } else { Err(format!("{waits} wait")) }
    })
    .await;
    gate.commit().await.unwrap();
    let mut answers: Vec<Result<Appended, Error>> = Vec::new();
    while let Some(answer) = both.join_next().await {
        answers.push(answer.unwrap());
    }
    let refused = answers.extract_if(.., |answer| answer.is_err()).next();
    assert_eq!(conflict(refused.expect("both were appended")), (None, Some(Version::new(7))));
    assert_eq!(count(&it.store, "a").await, (1, Some(7)));
    assert_eq!(last_and_mark(&it.observe().await), (1, 1));
}

#[tokio::test]
async fn a_statement_that_has_waited_for_a_view_is_told_what_became_of_it() {
    let it = Fixture::new().await;
    it.store.append(maker("a", "s")).await.unwrap();
    let next = |version| {
        batch("t", vec![pin(&table(), "a", Some(7))], vec![put_version(&table(), "a", "2", version)])
    };
    for (becomes, actual) in [
        (put_version(&table(), "a", "3", 8), Some(Version::new(8))),
        (Operation::Delete { table: table(), key: key("a") }, None),
    ] {
        let mut client = it.sql().await;
        let transaction = client.transaction().await.unwrap();
        it.store.append_in(&transaction, batch("u", Vec::new(), vec![becomes])).await.unwrap();
        let store = it.store.clone();
        let mut waiting = JoinSet::new();
        waiting.spawn(async move { store.append(next(9)).await });
        wait_for_a_waiter(&it).await;
        transaction.commit().await.unwrap();
        let told = waiting.join_next().await.unwrap().unwrap();
        assert_eq!(conflict(told), (Some(Version::new(7)), actual));
        let again = batch("s", Vec::new(), vec![put_version(&table(), "a", "1", 7)]);
        it.store.append(again).await.unwrap();
    }
}

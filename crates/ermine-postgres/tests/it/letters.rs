//! Dead letters, waiting events and wishes where a server shows more than the conformance suite can see.

use std::time::Duration;

use ermine_core::{
    Bell, Body, DeadLetter, ErrorClass, ErrorKind, LetterChanges, LetterId, LetterQuery, LetterRequest,
    LetterState, LetterStatus, Observe, ParkKey, Seq, ShardName, StreamId, TenantId, Timestamp, TypeName,
    Version, Wish,
    ports::{DeadLetterStore, HighWaterSource, ProgressStore, SchemaAdmin, WakeReason, Wakeup, WishStore},
};
use ermine_postgres::Store;
use ermine_testkit::{
    eventually,
    pg::{OwnServer, OwnedClient, Settings},
};

use crate::{
    common::{DEADLINE, Fixture, registration, table},
    worker::{Worker, put},
};

fn shard() -> ShardName {
    "Trip:All".parse().unwrap()
}

fn stream() -> StreamId {
    StreamId::new("trip-1").unwrap()
}

fn behind() -> ParkKey {
    ParkKey::Stream { tenant: TenantId::default(), stream: stream() }
}

pub(crate) fn letter(seq: u64, key: Option<ParkKey>) -> DeadLetter {
    DeadLetter {
        id: LetterId { shard: shard(), seq: Seq::new(seq), key },
        tenant: TenantId::default(),
        stream: stream(),
        version: Version::new(seq),
        type_name: TypeName::new("Travelled").unwrap(),
        body: Body::from_json("{\"km\":-1}".to_owned()).unwrap(),
        class: Some(ErrorClass::Apply),
        error: "a trip of -1 km".into(),
        attempts: 3,
        first_at: Timestamp::UNIX_EPOCH,
        last_at: Timestamp::UNIX_EPOCH,
        state: LetterState::Waiting,
    }
}

/// A letter, and an event behind it.
pub(crate) fn one_of_each() -> LetterChanges {
    LetterChanges {
        letters: vec![letter(1, Some(behind()))],
        parked: vec![(behind(), Seq::new(2))],
        released: Vec::new(),
    }
}

/// The end of that wait.
pub(crate) fn none_waiting() -> LetterChanges {
    LetterChanges { released: vec![(behind(), Seq::new(2))], ..LetterChanges::default() }
}

pub(crate) fn wish(shard: &str) -> Wish {
    Wish {
        shard: shard.parse().unwrap(),
        by: "ada".into(),
        reason: "the bank is closed".into(),
        since: Timestamp::UNIX_EPOCH,
        until: None,
    }
}

fn requested() -> LetterQuery {
    LetterQuery { statuses: LetterStatus::REQUESTED.to_vec(), ..LetterQuery::default() }
}

/// The server processes of this database that wait for a lock.
async fn waiting(admin: &OwnedClient) -> Vec<i32> {
    let sql =
        "select pid from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    admin.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

/// Waits until `count` of them do.
async fn until_waiting(admin: &OwnedClient, count: usize) -> Vec<i32> {
    eventually(DEADLINE, || async {
        let pids = waiting(admin).await;
        if pids.len() == count { Ok(pids) } else { Err(format!("{} processes wait", pids.len())) }
    })
    .await
}

/// A view, and a session that holds it.
async fn held_view(it: &Fixture, worker: &Worker) -> OwnedClient {
    worker.commit(vec![put(&table(), "held", "1")]).await.unwrap();
    let holder = it.sql().await;
    let row = holder.query_one("select table_name from ermine.projections", &[]).await.unwrap();
    let lock = format!("begin; select from ermine.{} for update", row.get::<_, String>(0));
    holder.batch_execute(&lock).await.unwrap();
    holder
}

#[tokio::test]
async fn a_commit_that_is_killed_half_way_leaves_neither_letters_nor_progress() {
    let it = Fixture::new().await;
    let worker = Worker::take(&it.store).await;
    let holder = held_view(&it, &worker).await;
    let admin = it.sql().await;
    // The letters are written by the time it comes to the view.
    let commit = worker.commit_to(2, vec![put(&table(), "held", "2")], one_of_each());
    let kill = async {
        let pids = until_waiting(&admin, 1).await;
        admin.execute("select pg_terminate_backend($1)", &[&pids[0]]).await.unwrap();
    };
    let (killed, ()) = tokio::join!(commit, kill);
    let killed = killed.unwrap_err();
    assert_eq!(*killed.kind(), ErrorKind::OutcomeUnknown, "{}", killed.chain());
    holder.batch_execute("rollback").await.unwrap();
    assert_eq!(it.store.read_progress().await.unwrap()[0].seq, Seq::ZERO);
    assert_eq!(it.store.letters(LetterQuery::default()).await.unwrap(), []);
    assert_eq!(it.store.parked_keys(&worker.shard).await.unwrap(), []);

    worker.commit_to(2, vec![put(&table(), "held", "2")], one_of_each()).await.unwrap();
    assert_eq!(it.store.read_progress().await.unwrap()[0].seq, Seq::new(2));
    assert_eq!(it.store.letters(LetterQuery::default()).await.unwrap(), [letter(1, Some(behind()))]);
    assert_eq!(it.store.parked_keys(&worker.shard).await.unwrap(), [(behind(), 1)]);
}

#[tokio::test]
async fn a_request_waits_for_a_commit_that_settles_the_letter_and_leaves_it_alone() {
    let it = Fixture::new().await;
    let worker = Worker::take(&it.store).await;
    let two = LetterChanges { letters: vec![letter(1, None), letter(2, None)], ..LetterChanges::default() };
    worker.commit_to(0, Vec::new(), two).await.unwrap();
    let holder = held_view(&it, &worker).await;
    let admin = it.sql().await;
    let replayed =
        DeadLetter { state: LetterState::Replayed { at: Timestamp::UNIX_EPOCH }, ..letter(1, None) };
    let settle = LetterChanges { letters: vec![replayed.clone()], ..LetterChanges::default() };
    let commit = worker.commit_to(0, vec![put(&table(), "held", "2")], settle);
    let request = async {
        until_waiting(&admin, 1).await;
        it.store.request(LetterQuery::open(shard()), LetterRequest::Retry { by: "ada".into() }).await
    };
    let release = async {
        until_waiting(&admin, 2).await;
        holder.batch_execute("rollback").await.unwrap();
    };
    let (committed, marked, ()) = tokio::join!(commit, request, release);
    committed.unwrap();
    assert_eq!(marked.unwrap(), 1, "only the other one was open by then");
    let letters = it.store.letters(LetterQuery::default()).await.unwrap();
    assert_eq!(letters[0], replayed);
    assert_eq!(letters[1].state, LetterState::Requested(LetterRequest::Retry { by: "ada".into() }));
}

#[tokio::test]
async fn requests_and_wishes_wake_another_process_whose_bell_is_silent() {
    let it = Fixture::new().await;
    let worker = Worker::take(&it.store).await;
    worker.commit_to(2, Vec::new(), one_of_each()).await.unwrap();
    let operator = Store::connect(it.database.url()).await.unwrap();
    it.store.observe(Observe { mark: Seq::ZERO, bell: Bell::Silence }).await.unwrap();
    while it.store.wait(Duration::ZERO).await == WakeReason::Rang {}
    assert_eq!(operator.request(requested(), LetterRequest::Retry { by: "ada".into() }).await.unwrap(), 0);
    assert_eq!(it.store.wait(DEADLINE).await, WakeReason::Rang, "a request, even of nothing");
    operator.put_wish(wish("Trip:All")).await.unwrap();
    assert_eq!(it.store.wait(DEADLINE).await, WakeReason::Rang, "a wish");
    operator.clear_wishes(&[shard()]).await.unwrap();
    assert_eq!(it.store.wait(DEADLINE).await, WakeReason::Rang, "the end of a wish");
}

#[tokio::test]
async fn texts_with_nul_characters_are_kept_with_another_mark_in_their_place() {
    let it = Fixture::new().await;
    let worker = Worker::take(&it.store).await;
    let odd = |text: &str| format!("{text}\0\u{fffd}");
    let discarded =
        LetterState::Discarded { at: Timestamp::UNIX_EPOCH, by: odd("ada").into(), reason: odd("why") };
    let raw = Body::from_store(b"\"a\0b\xff\"".to_vec().into());
    let letters = vec![
        DeadLetter { error: odd("a\0b"), body: raw, state: discarded, ..letter(1, None) },
        letter(2, None),
    ];
    worker.commit_to(2, Vec::new(), LetterChanges { letters, ..LetterChanges::default() }).await.unwrap();
    let discard = LetterRequest::Discard { by: odd("bob").into(), reason: odd("late") };
    assert_eq!(it.store.request(LetterQuery::default(), discard).await.unwrap(), 1);
    it.store.put_wish(Wish { by: odd("eve").into(), reason: odd("no"), ..wish("Trip:All") }).await.unwrap();

    let letters = it.store.letters(LetterQuery::default()).await.unwrap();
    let mark = "\u{fffd}\u{fffd}";
    assert_eq!(letters[0].error, format!("a\u{fffd}b{mark}"));
    assert_eq!(letters[0].body.as_bytes(), "\"a\u{fffd}b\u{fffd}\"".as_bytes());
    let (ada, why) = (format!("ada{mark}"), format!("why{mark}"));
    assert_eq!((letters[0].state.by(), letters[0].state.reason()), (Some(&*ada), Some(&*why)));
    let (bob, late) = (format!("bob{mark}"), format!("late{mark}"));
    assert_eq!((letters[1].state.by(), letters[1].state.reason()), (Some(&*bob), Some(&*late)));
    let wishes = it.store.wishes().await.unwrap();
    assert_eq!((&*wishes[0].by, &*wishes[0].reason), (&*format!("eve{mark}"), &*format!("no{mark}")));
}

#[tokio::test]
async fn an_idle_look_is_two_statements_and_a_batch_without_letters_knows_nothing_of_them() {
    let settings = Settings { extra: &[("log_statement", "all")], ..Settings::default() };
    let server = OwnServer::start(settings).await;
    let store = Store::builder(server.url("postgres")).pool_size(1).connect().await.unwrap();
    store.migrate(&registration()).await.unwrap();
    let worker = Worker::take(&store).await;
    let look = async || {
        assert_eq!(store.wishes().await.unwrap(), []);
        assert_eq!(store.count_letters(requested()).await.unwrap(), 0);
        worker.commit(vec![put(&table(), "a", "1")]).await.unwrap();
    };
    look().await;
    let before = server.log().len();
    look().await;
    let log = server.log();
    let run: Vec<&str> = log[before..].lines().filter(|line| line.contains("LOG:  execute")).collect();
    let about = |table: &str| run.iter().filter(|line| line.contains(table)).count();
    assert_eq!((about("wishes"), about("count(*)"), about("advance"), run.len()), (1, 1, 1, 4), "{run:#?}");
}

#[tokio::test]
async fn ten_thousand_letters_are_found_by_indexes() {
    let it = Fixture::new().await;
    let admin = it.sql().await;
    admin
        .batch_execute(
            "insert into ermine.dead_letters (shard, seq, projection, stream_id, version, type, body, error, attempts, \
               first_at, last_at, status) \
             select case n % 4 when 0 then 'Trip:All' else 'Ride:' || n % 4 || 'of3' end, n, \
               case n % 4 when 0 then 'Trip' else 'Ride' end, 's', n, 'T', repeat('x', 200), 'no', 1, now(), now(), \
               case n % 500 when 0 then 'retry' when 1 then 'discard' else 'waiting' end \
             from generate_series(1, 10000) n; analyze ermine.dead_letters",
        )
        .await
        .unwrap();
    let scans = async || {
        let table = "select seq_scan, idx_scan from pg_stat_user_tables where relid = 'ermine.dead_letters'::regclass";
        let table = admin.query_one(table, &[]).await.unwrap();
        let requested =
            "select idx_scan from pg_stat_user_indexes where indexrelname = 'dead_letters_requested'";
        let requested = admin.query_one(requested, &[]).await.unwrap();
        (table.get::<_, i64>(0), table.get::<_, i64>(1), requested.get::<_, i64>(0))
    };
    let before = scans().await;
    let store = Store::connect(it.database.url()).await.unwrap();
    assert_eq!(store.count_letters(requested()).await.unwrap(), 40);
    assert_eq!(store.letters(requested()).await.unwrap().len(), 40);
    let page = LetterQuery { limit: Some(100), ..LetterQuery::default() };
    let first = store.letters(page.clone()).await.unwrap();
    let next = LetterQuery { after: Some(first[99].id.clone()), ..page.clone() };
    let next = store.letters(next).await.unwrap();
    assert!(first[99].id.order() < next[0].id.order());
    let of_shard = LetterQuery { limit: Some(100), ..LetterQuery::open(shard()) };
    assert_eq!(store.letters(of_shard).await.unwrap().len(), 100);
    // A session says what it has done when it ends.
    drop(store);
    let after = (before.0, before.1 + 5, before.2 + 2);
    eventually(DEADLINE, || async {
        let now = scans().await;
        if now == after { Ok(()) } else { Err(format!("{now:?} scans, {after:?} wanted")) }
    })
    .await;
}

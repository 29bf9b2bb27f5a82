//! Locks are taken in one order, so that those who want the same ones wait for each other and never in a circle.

use ermine_core::{
    AppendBatch, DeadLetter, LetterChanges, LetterQuery, LetterRequest, LetterState, Operation, Result,
    Timestamp, ViewPin,
    ports::{DeadLetterStore, EventAppender, Outbox, Registration, SchemaAdmin, WishStore},
};
use ermine_testkit::pg::OwnedClient;
use tokio::task::JoinSet;

use crate::{
    common::{DEADLINE, Fixture, batch, key, publish, table},
    letters::{self, letter},
    worker::Worker,
};

/// Whoever holds what `first` locks gets what `second` locks while `work` waits for the first: so `work` has not got it.
async fn takes_in_order(
    it: &Fixture,
    first: &str,
    second: &str,
    work: impl Future<Output = Result<()>> + Send + 'static,
) {
    let holder = it.sql().await;
    holder.batch_execute(&format!("begin; {first}")).await.unwrap();
    let mut waiting = JoinSet::new();
    waiting.spawn(work);
    wait_for_a_waiter(&it.sql().await).await;
    holder.batch_execute(&format!("{second}; rollback")).await.unwrap();
    waiting.join_next().await.unwrap().unwrap().unwrap();
}

async fn wait_for_a_waiter(sql: &OwnedClient) {
    ermine_testkit::eventually(DEADLINE, || async {
        let waits =
            "select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()";
        let waits = sql.query(waits, &[]).await.unwrap();
        if waits.is_empty() { Err("nobody waits") } else { Ok(()) }
    })
    .await;
}

#[tokio::test]
async fn absent_views_are_locked_in_the_order_of_their_keys() {
    let it = Fixture::new().await;
    let by_key = "select id, p.table_name from ermine.projections p, unnest(array['a', 'b', 'c', 'd', 'e']) as u(id) \
                  order by hashtext(concat_ws(' ', p.table_name, '', id)) & 4095";
    let rows = it.sql().await.query(by_key, &[]).await.unwrap();
    let ids: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let lock = |id: &str| {
        let table: &str = rows[0].get(1);
        format!("select ermine.lock_absent(array['{table}'], array[''], array['{id}'])")
    };
    for (stream, pair) in ids.windows(2).enumerate() {
        for turn in [[0, 1], [1, 0]] {
            let absent = |id: &String| ViewPin { table: table(), key: key(id), version: None, body: None };
            let pins = turn.map(|nth| absent(&pair[nth])).to_vec();
            let append: AppendBatch =
                batch(&format!("{stream} {turn:?}"), 1).with_operations(pins, Vec::new());
            let store = it.store.clone();
            let work = async move { store.append(append).await.map(drop) };
            takes_in_order(&it, &lock(&pair[0]), &lock(&pair[1]), work).await;
        }
    }
}

#[tokio::test]
async fn any_number_of_absent_views_takes_a_limited_number_of_locks() {
    let it = Fixture::new().await;
    let sql = it.sql().await;
    let many = "begin; select ermine.lock_absent(array_agg('t'::text), array_agg(''::text), array_agg(n::text)) \
                from generate_series(1, 50000) n";
    sql.batch_execute(many).await.unwrap();
    let locks = "select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()";
    let locks: i64 = sql.query_one(locks, &[]).await.unwrap().get(0);
    assert!(locks <= 4096, "{locks} locks");
}

#[tokio::test]
async fn messages_are_locked_in_the_order_of_their_ids() {
    let it = Fixture::new().await;
    let id = |message: &Operation| match message {
        Operation::Publish(message) => message.id,
        other => panic!("{other:?}"),
    };
    let mut messages = [publish("one"), publish("two"), publish("three")];
    messages.sort_by_key(|message| id(message).0);
    let insert = |message: &Operation| {
        let id = id(message).0;
        format!(
            "insert into ermine.outbox (id, projection, seq, topic, body) values ('{id}', 'Trip', 1, 'trips', '1')"
        )
    };
    let worker = Worker::take(&it.store).await;
    let [first, second, third] = messages.clone();
    let operations = vec![third, second, first];
    let work = async move { worker.commit(operations).await };
    takes_in_order(&it, &insert(&messages[0]), &insert(&messages[2]), work).await;
    let pending = it.store.pending_messages(9.try_into().unwrap()).await.unwrap();
    let wanted: Vec<_> = messages.iter().rev().map(id).collect();
    let found: Vec<_> = pending.iter().map(|message| message.id).collect();
    assert_eq!(found, wanted, "they are given in the order of the batch all the same");
}

#[tokio::test]
async fn dead_letters_are_locked_in_the_order_of_their_ids() {
    let it = Fixture::new().await;
    let worker = Worker::take(&it.store).await;
    let replayed = LetterState::Replayed { at: Timestamp::UNIX_EPOCH };
    let letters: Vec<_> =
        (1..=3).rev().map(|seq| DeadLetter { state: replayed.clone(), ..letter(seq, None) }).collect();
    let changes = LetterChanges { letters, ..LetterChanges::default() };
    let lock = |seq: u64| format!("select from ermine.dead_letters where seq = {seq} for update");
    worker.commit_to(0, Vec::new(), changes.clone()).await.unwrap();
    // So that they lie in the table in another order than in the index.
    let shuffle = "cluster ermine.dead_letters using dead_letters_pkey; \
                   update ermine.dead_letters set attempts = 4 where seq = 1";

    let store = it.store.clone();
    let purge = async move { store.purge_letters(Timestamp::now()).await.map(drop) };
    let reopened =
        LetterChanges { letters: vec![letter(3, None), letter(2, None), letter(1, None)], ..changes };
    let commit = async move { worker.commit_to(0, Vec::new(), reopened).await };
    takes_in_order(&it, &lock(1), &lock(3), commit).await;
    let store = it.store.clone();
    let retry = LetterRequest::Retry { by: "ada".into() };
    let request = async move { store.request(LetterQuery::default(), retry).await.map(drop) };
    it.sql().await.batch_execute(shuffle).await.unwrap();
    takes_in_order(&it, &lock(1), &lock(3), request).await;
    it.sql()
        .await
        .batch_execute("update ermine.dead_letters set settled_at = first_at, status = 'replayed'")
        .await
        .unwrap();
    it.sql().await.batch_execute(shuffle).await.unwrap();
    takes_in_order(&it, &lock(1), &lock(3), purge).await;
    assert_eq!(it.store.count_letters(LetterQuery::default()).await.unwrap(), 0, "all of them were locked");
}

#[tokio::test]
async fn wishes_are_locked_in_the_order_of_their_shards() {
    let it = Fixture::new().await;
    for shard in ["C:All", "A:All", "B:All"] {
        it.store.put_wish(letters::wish(shard)).await.unwrap();
    }
    let store = it.store.clone();
    let shards = ["C:All", "B:All", "A:All"].map(|shard| shard.parse().unwrap());
    let clear = async move { store.clear_wishes(&shards).await.map(drop) };
    let lock = |shard: &str| format!("select from ermine.wishes where shard = '{shard}' for update");
    takes_in_order(&it, &lock("A:All"), &lock("C:All"), clear).await;
    assert_eq!(it.store.wishes().await.unwrap(), []);
}

#[tokio::test]
async fn a_reset_locks_views_in_the_order_in_which_batches_come_to_them() {
    let it = Fixture::new().await;
    let tables = ["Alpha", "Beta"]
        .map(|name| ermine_core::ViewTable::new(ermine_core::ProjectionName::new(name).unwrap(), 1).into());
    let registration = Registration { tables: tables.to_vec() };
    it.store.migrate(&registration).await.unwrap();
    let names = "select table_name from ermine.projections where name in ('Alpha', 'Beta') order by name";
    let names = it.sql().await.query(names, &[]).await.unwrap();
    let lock = |nth: usize| {
        let name: &str = names[nth].get(0);
        format!("lock table ermine.{name} in row exclusive mode")
    };
    let store = it.store.clone();
    let work = async move { store.reset(&registration).await };
    takes_in_order(&it, &lock(0), &lock(1), work).await;
}

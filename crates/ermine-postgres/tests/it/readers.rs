//! Readers that look right and lose events, beside ours in the same story.

use ermine_core::{EventFilter, ExpectedVersion};
use ermine_testkit::{eventually, pg::OwnedClient};

use crate::common::{DEADLINE, Fixture, append, last_and_mark, names, page};

const APPEND: &str = "select ermine.append('late', null, array['Travelled'], array['{}']::json[])";
const LAST: &str = "select coalesce(pg_sequence_last_value('ermine.events_seq_seq'), 0)";
const FLOORS: &str = "select count(*) from pg_locks where locktype = 'advisory' and objsubid = 2 \
    and classid::int8 = (select lock_class from ermine.store) \
    and database = (select oid from pg_database where datname = current_database())";

async fn number(session: &OwnedClient, sql: &str) -> i64 {
    session.query_one(sql, &[]).await.unwrap().get(0)
}

/// The numbers of the events in `(from, to]` as a bad reader gets them.
async fn events(session: &OwnedClient, from: i64, to: i64) -> Vec<i64> {
    let sql = "select seq from ermine.events where seq > $1 and seq <= $2 order by seq";
    session.query(sql, &[&from, &to]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

/// What a reader that follows our mark from the beginning is given.
async fn ours(it: &Fixture) -> Vec<u64> {
    let (_, mark) = last_and_mark(&it.observe().await);
    if mark == 0 {
        return Vec::new();
    }
    let page = page(&it.store, 0, mark, 100, EventFilter::new(names(&["Travelled"]), [])).await;
    page.events.iter().map(|event| event.seq.get()).collect()
}

#[tokio::test]
async fn a_reader_up_to_the_highest_event_loses_a_late_one_and_ours_does_not() {
    let it = Fixture::new().await;
    let (reader, late) = (it.sql().await, it.sql().await);
    late.batch_execute(&format!("begin; {APPEND}")).await.unwrap();
    append(&it.store, "quick", ExpectedVersion::Any, 1).await.unwrap();

    let mark = number(&reader, "select max(seq) from ermine.events").await;
    let mut seen = events(&reader, 0, mark).await;
    assert!(ours(&it).await.is_empty());

    late.batch_execute("commit").await.unwrap();
    seen.extend(events(&reader, mark, number(&reader, "select max(seq) from ermine.events").await).await);
    assert_eq!(seen, [2], "the bad reader has passed event 1");
    assert_eq!(ours(&it).await, [1, 2]);
}

#[tokio::test]
async fn a_reader_that_lists_locks_first_loses_an_event_and_ours_does_not() {
    let it = Fixture::new().await;
    let (reader, late) = (it.sql().await, it.sql().await);

    let floors = number(&reader, FLOORS).await;
    let last_first = number(&reader, LAST).await;
    late.batch_execute(&format!("begin; {APPEND}")).await.unwrap();
    let last = number(&reader, LAST).await;
    assert_eq!((floors, last), (0, 1), "no floor, so the bad mark is 1");
    let mut seen = events(&reader, 0, last).await;
    assert_eq!(
        (last_first, number(&reader, FLOORS).await),
        (0, 1),
        "the other order: the mark is 0 either way"
    );
    assert!(ours(&it).await.is_empty());

    late.batch_execute("commit").await.unwrap();
    seen.extend(events(&reader, last, number(&reader, LAST).await).await);
    assert!(seen.is_empty(), "the bad reader has passed event 1");
    assert_eq!(ours(&it).await, [1]);
}

/// Mark and events in one statement: the events are those of a snapshot that is older than the mark.
#[tokio::test]
async fn a_reader_with_one_statement_loses_an_event_and_ours_does_not() {
    let it = Fixture::new().await;
    let (reader, late, gate) = (it.sql().await, it.sql().await, it.sql().await);
    late.batch_execute(&format!("begin; {APPEND}")).await.unwrap();
    gate.batch_execute("select pg_advisory_lock(4711)").await.unwrap();
    let one_statement = "with gate as materialized (select pg_advisory_lock(4711)), \
        h as materialized (select * from ermine.high_water(nullif((select count(*) from gate), 1), null)) \
        select least(h.last, (select min(f) from unnest(h.floors) f)), \
          array(select e.seq from ermine.events e where e.seq <= h.last order by 1) from h";
    let story = async {
        let waiting = "select count(*) from pg_locks where not granted and locktype = 'advisory' \
            and database = (select oid from pg_database where datname = current_database())";
        eventually(DEADLINE, || async { number(&gate, waiting).await == 1 }).await;
        late.batch_execute("commit").await.unwrap();
        gate.batch_execute("select pg_advisory_unlock(4711)").await.unwrap();
    };
    let (row, ()) = tokio::join!(reader.query_one(one_statement, &[]), story);
    let row = row.unwrap();
    assert_eq!(row.get::<_, i64>(0), 1, "the mark is right");
    assert!(row.get::<_, Vec<i64>>(1).is_empty(), "and the event below it is not seen");
    assert_eq!(ours(&it).await, [1]);
}

/// A reader in one transaction of repeatable read looks at old events below a new mark.
#[tokio::test]
async fn a_reader_with_one_snapshot_loses_an_event_and_ours_does_not() {
    let it = Fixture::new().await;
    let (reader, late) = (it.sql().await, it.sql().await);
    reader.batch_execute("begin isolation level repeatable read; select 1 from ermine.events").await.unwrap();
    late.batch_execute(APPEND).await.unwrap();
    let mark = number(&reader, "select last from ermine.high_water(null, null)").await;
    assert_eq!((mark, events(&reader, 0, mark).await), (1, vec![]));
    assert_eq!(ours(&it).await, [1], "our sessions are read committed, whatever the database prefers");
}

#[tokio::test]
async fn our_sessions_do_not_inherit_another_isolation_level() {
    let it = Fixture::new().await;
    let sql = format!(
        "alter database \"{}\" set default_transaction_isolation = serializable; \
         alter database \"{0}\" set default_transaction_read_only = on; \
         alter database \"{0}\" set search_path = nowhere",
        it.database.name()
    );
    it.sql().await.batch_execute(&sql).await.unwrap();
    let store = ermine_postgres::Store::connect(it.database.url()).await.unwrap();
    ermine_core::ports::SchemaAdmin::check(&store, &crate::common::registration()).await.unwrap();
    append(&store, "trip-1", ExpectedVersion::Any, 1).await.unwrap();
    assert_eq!(crate::common::observe(&store).await.highest_visible.get(), 1);
}

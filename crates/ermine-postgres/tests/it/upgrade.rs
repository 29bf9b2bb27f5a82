//! A store of an older version of Ermine, brought to this one.

use ermine_core::{
    ExpectedVersion, FieldIndex, FieldKind, ProjectionName, Seq, TenantId, Timestamp, Uuid, Version,
    ViewTable, field,
    ports::{
        DeadLetterStore, EventReader, Outbox, ProgressStore, Registration, SchemaAdmin, StreamAdmin,
        TableSpec, ViewStore, WishStore,
    },
};
use ermine_postgres::Store;
use ermine_testkit::pg::{OwnedClient, TestDatabase};

use crate::{
    common::{append, batch, key, publish},
    letters, roles,
    worker::{Worker, put},
};

macro_rules! old {
    ($($name:literal),*) => {
        &[$(($name, include_str!(concat!("../../migrations/", $name, ".sql")))),*]
    };
}

const OLD: &[(&str, &str)] = old!(
    "0001_tables",
    "0002_floor_lock",
    "0003_append_stream",
    "0004_append_events",
    "0005_high_water",
    "0006_progress"
);

/// The views of `trip`, as the first version kept them.
const VIEWS: &str = "create table ermine.view_trip_v1_g1 (tenant text collate \"C\" not null default '', \
    id text collate \"C\" not null, data jsonb not null, version bigint not null, seq bigint not null, \
    updated_at timestamptz not null default now(), primary key (tenant, id)); \
    insert into ermine.projections (name, version, generation, table_name) values ('trip', 1, 1, 'view_trip_v1_g1'); \
    insert into ermine.view_trip_v1_g1 (id, data, version, seq) values ('a', '{\"km\": 3}', 2, 2)";

/// What the first version has made, with one projection.
async fn old_store(sql: &OwnedClient) {
    sql.batch_execute(
        "create schema ermine; create table ermine.migrations (number integer primary key, name text not null, \
         checksum uuid not null, applied_at timestamptz not null default clock_timestamp())",
    )
    .await
    .unwrap();
    for (number, (name, text)) in (1_i32..).zip(OLD) {
        let filled = text.replace("{schema}", "\"ermine\"").replace("{class}", "4711");
        sql.batch_execute(&filled).await.unwrap();
        let checksum = Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes());
        let record = "insert into ermine.migrations (number, name, checksum) values ($1, $2, $3)";
        sql.execute(record, &[&number, name, &checksum]).await.unwrap();
    }
    sql.batch_execute(VIEWS).await.unwrap();
}

fn trips() -> ViewTable {
    ViewTable::new(ProjectionName::new("trip").unwrap(), 1)
}

fn registration() -> Registration {
    let index = FieldIndex { field: field("km").unwrap(), kind: FieldKind::Number };
    Registration { tables: vec![TableSpec { table: trips(), indexes: vec![index] }] }
}

#[tokio::test]
async fn a_store_of_the_first_version_keeps_everything() {
    let database = TestDatabase::create().await;
    let sql = database.connect().await;
    old_store(&sql).await;
    let old_node = database.connect().await;
    let append_as_before = old_node
        .prepare("select last_seq from ermine.append_stream('', 's', null, array[gen_random_uuid()], array['T'], array['{}']::json[])")
        .await
        .unwrap();
    old_node.query_one(&append_as_before, &[]).await.unwrap();
    sql.batch_execute(
        "select ermine.append('s', 1, array['T', 'U'], array['{\"n\":1}', '{\"n\":2}']::json[]); \
         select ermine.take_shards(array['Trip:All']); \
         begin; set local ermine.batch = 'on'; \
         select ermine.advance('Trip:All', 0, 2, 1, (select token from ermine.incarnation), 1); commit",
    )
    .await
    .unwrap();
    let store = Store::connect(database.url()).await.unwrap();
    assert!(
        store.check(&registration()).await.unwrap_err().to_string().contains("migration 7 (0007_streams)")
    );
    store.migrate(&registration()).await.unwrap();
    let transactions = "select count(distinct xmin::text) from ermine.migrations where number > 6";
    let transactions: i64 = sql.query_one(transactions, &[]).await.unwrap().get(0);
    assert_eq!(transactions, 3, "the index is made on its own");
    store.migrate(&registration()).await.unwrap();
    store.check(&registration()).await.unwrap();

    let stream = ermine_core::StreamId::new("s").unwrap();
    let (tenant, all) = (TenantId::default(), 9.try_into().unwrap());
    let events = store.read_stream(&tenant, &stream, Version::default(), all).await.unwrap();
    let seen: Vec<_> = events.iter().map(|e| (e.seq.get(), e.version.get(), e.type_name.as_str())).collect();
    assert_eq!(seen, [(1, 1, "T"), (2, 2, "T"), (3, 3, "U")]);
    assert_eq!(events[2].body.decode::<serde_json::Value>().unwrap()["n"], 2);
    let progress = store.read_progress().await.unwrap().remove(0);
    assert_eq!(
        (progress.seq, progress.epoch.0, progress.unknown_events, progress.skipped_events),
        (Seq::new(2), 1, 1, 0)
    );
    let view = store.load_views(&trips(), &[key("a")]).await.unwrap().remove(0).unwrap();
    assert_eq!(
        (view.body.as_bytes(), view.version, view.seq),
        (&b"{\"km\": 3}"[..], Version::new(2), Seq::new(2))
    );

    // A node of the old version, which was up all along, appends and commits by the functions it knows.
    old_node.query_one(&append_as_before, &[]).await.unwrap();
    sql.batch_execute(
        "begin; set local ermine.batch = 'on'; \
         select ermine.advance('Trip:All', 2, 3, 1, (select token from ermine.incarnation), 0); commit",
    )
    .await
    .unwrap();
    append(&store, "s", ExpectedVersion::Exact(Version::new(4)), 1).await.unwrap();
    let heads = store.read_heads(&[(tenant, stream)]).await.unwrap();
    assert_eq!(heads.versions, [Version::new(5)]);
    ermine_core::ports::EventAppender::append(&store, batch("t", 2).idempotent()).await.unwrap();
}

#[tokio::test]
async fn roles_of_the_first_version_can_still_do_their_work() {
    let database = TestDatabase::create().await;
    let sql = database.connect().await;
    old_store(&sql).await;
    let suffix = roles::suffix(&database);
    let script = include_str!("upgrade/roles.sql");
    let [appender, reader, daemon] = roles::grant(&database, script, &suffix).await;
    // As if the roles had been made by another one than the one that migrates now.
    let revoke = format!(
        "alter default privileges in schema ermine revoke select, insert, update, delete on tables from ermine_daemon_{suffix}"
    );
    sql.batch_execute(&revoke).await.unwrap();
    let append_as_before = "select ermine.append('s', null, array['T', 'U'], array['1', '2']::json[])";
    let login = |role: &str| database.address().with_login(&format!("ermine_{role}_{suffix}"), None);
    let old_node = OwnedClient::connect(&login("appender").url(database.name())).await.unwrap();
    old_node.batch_execute(append_as_before).await.unwrap();

    Store::connect(database.url()).await.unwrap().migrate(&registration()).await.unwrap();
    for store in [&appender, &reader, &daemon] {
        store.check(&registration()).await.unwrap();
    }
    old_node.batch_execute(append_as_before).await.unwrap();
    append(&appender, "s", ExpectedVersion::Exact(Version::new(4)), 1).await.unwrap();
    append(&appender, "t", ExpectedVersion::NoStream, 1).await.unwrap();
    ermine_core::ports::EventAppender::append(&appender, batch("u", 2).idempotent()).await.unwrap();
    let stream = ermine_core::StreamId::new("s").unwrap();
    let archived = appender.archive_stream(&TenantId::default(), &stream).await.unwrap();
    assert_eq!(archived.position.seq(), Seq::new(9));

    assert_eq!(daemon.skip_events(&[Seq::new(2)], "poison").await.unwrap(), 1);
    let worker = Worker::take(&daemon).await;
    worker.commit(vec![put(&trips(), "b", "{}"), publish("a message")]).await.unwrap();
    let messages = daemon.pending_messages(9.try_into().unwrap()).await.unwrap();
    daemon.settle_messages(&[messages[0].id]).await.unwrap();
    worker.commit_to(1, Vec::new(), letters::one_of_each()).await.unwrap();
    daemon.put_wish(letters::wish("Trip:All")).await.unwrap();
    assert_eq!(daemon.parked_keys(&worker.shard).await.unwrap().len(), 1);
    assert_eq!(daemon.purge_letters(Timestamp::UNIX_EPOCH).await.unwrap(), 0);
    assert_eq!(daemon.clear_wishes(std::slice::from_ref(&worker.shard)).await.unwrap(), 1);
    assert_eq!(reader.load_views(&trips(), &[key("b")]).await.unwrap().len(), 1);
    drop((appender, reader, daemon, worker, old_node));
    roles::drop_roles(&database, &suffix).await;
}

#[tokio::test]
async fn rights_on_single_columns_are_followed_by_those_on_new_ones() {
    let database = TestDatabase::create().await;
    let sql = database.connect().await;
    old_store(&sql).await;
    let suffix = roles::suffix(&database);
    let [some, none] = ["some", "none"].map(|role| format!("ermine_{role}_{suffix}"));
    let grant = format!(
        "create role {some}; create role {none};
         grant select (version) on ermine.streams to {some};
         grant select (type) on ermine.events to {some};
         grant select (unknown_events), update (unknown_events, seq) on ermine.progress to {some}"
    );
    sql.batch_execute(&grant).await.unwrap();
    Store::connect(database.url()).await.unwrap().migrate(&registration()).await.unwrap();
    for (right, table, column) in [
        ("select", "streams", "type"),
        ("select", "streams", "archived"),
        ("select", "events", "skipped"),
        ("update", "events", "skipped"),
        ("select", "progress", "skipped_events"),
        ("update", "progress", "skipped_events"),
        ("select", "outbox", "body"),
        ("insert", "outbox", "body"),
        ("update", "outbox", "body"),
    ] {
        for (role, has) in [(&some, true), (&none, false)] {
            let asked =
                format!("select has_column_privilege('{role}', 'ermine.{table}', '{column}', '{right}')");
            let found: bool = sql.query_one(&asked, &[]).await.unwrap().get(0);
            assert_eq!(found, has, "{role}: {right} ({column}) on {table}");
        }
    }
    let draws = format!("select has_sequence_privilege('{some}', 'ermine.outbox_position_seq', 'usage')");
    assert!(sql.query_one(&draws, &[]).await.unwrap().get::<_, bool>(0));
    sql.batch_execute(&format!("drop owned by {some}, {none}; drop role {some}, {none}")).await.unwrap();
}

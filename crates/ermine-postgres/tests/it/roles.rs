//! The roles of `roles.sql`, each doing its work and failing at what is not its.

use ermine_core::{
    Bell, ErrorKind, EventFilter, ExpectedVersion, LetterQuery, LetterRequest, Observe, Seq, ShardBatch,
    ShardName, Timestamp,
    ports::{DeadLetterStore, HighWaterSource, ProgressStore, SchemaAdmin, ViewStore, WishStore},
};
use ermine_postgres::Store;
use ermine_testkit::pg::TestDatabase;

use crate::{
    common::{Fixture, LEAVE, append, names, page, publish, registration, store_operation, table},
    letters,
};

/// Tells the roles of one database from those of others.
pub(crate) fn suffix(database: &TestDatabase) -> String {
    database.name().rsplit('_').take(2).collect::<Vec<_>>().join("_")
}

/// Runs a script as `psql` would: variables filled in, the one `\gexec` by hand.
pub(crate) async fn grant(database: &TestDatabase, script: &str, suffix: &str) -> [Store; 3] {
    let admin = database.connect().await;
    let roles = ["appender", "reader", "daemon"];
    let mut script = script.replace(":\"schema\"", "ermine").replace(":'schema'", "'ermine'");
    for role in roles {
        let name = format!("ermine_{role}_{suffix}");
        admin.batch_execute(&format!("create role {name} login")).await.unwrap();
        script = script
            .replace(&format!(":\"{role}\""), &name)
            .replace(&format!(":'{role}'"), &format!("'{name}'"));
    }
    let (before, after) = script.split_once("\\gexec").unwrap();
    let (grants, listing) = before.rsplit_once("select format").unwrap();
    admin.batch_execute(grants).await.unwrap();
    for row in admin.query(&format!("select format{listing}"), &[]).await.unwrap() {
        admin.batch_execute(row.get(0)).await.unwrap();
    }
    admin.batch_execute(after).await.unwrap();
    let mut stores = Vec::new();
    for role in roles {
        let login = format!("ermine_{role}_{suffix}");
        let url = database.address().with_login(&login, None).url(database.name());
        stores.push(Store::connect(url).await.unwrap());
    }
    stores.try_into().unwrap()
}

pub(crate) async fn drop_roles(database: &TestDatabase, suffix: &str) {
    for role in ["appender", "reader", "daemon"] {
        let name = format!("ermine_{role}_{suffix}");
        database
            .connect()
            .await
            .batch_execute(&format!("drop owned by {name}; drop role {name}"))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn each_role_can_do_its_work_and_no_more() {
    let it = Fixture::new().await;
    let suffix = suffix(&it.database);
    let [appender, reader, daemon] = grant(&it.database, include_str!("../../roles.sql"), &suffix).await;
    for store in [&appender, &reader, &daemon] {
        store.migrate(&registration()).await.unwrap();
        store.check(&registration()).await.unwrap();
    }

    daemon.observe(Observe { mark: Seq::ZERO, bell: Bell::Arm(crate::common::DEADLINE) }).await.unwrap();
    append(&appender, "trip-1", ExpectedVersion::Any, 2).await.unwrap();
    append(&appender, "trip-1", ExpectedVersion::Exact(ermine_core::Version::new(2)), 1).await.unwrap();
    let batch = crate::common::batch("trip-2", 2).idempotent();
    ermine_core::ports::EventAppender::append(&appender, batch).await.unwrap();
    let sql =
        it.database.address().with_login(&format!("ermine_appender_{suffix}"), None).url(it.database.name());
    let sql = ermine_testkit::pg::OwnedClient::connect(&sql).await.unwrap();
    sql.batch_execute("select ermine.append('trip-3', 0, array['T'], array['{}']::json[])").await.unwrap();
    for forbidden in [
        "insert into ermine.events (seq, stream_id, version, id, type, data) overriding system value values (1, 's', 1, gen_random_uuid(), 'T', '{}')",
        "select setval('ermine.events_seq_seq', 1)",
        "select nextval('ermine.events_seq_seq')",
        "truncate ermine.events",
        "delete from ermine.events",
        "update ermine.progress set seq = 0",
        "alter table ermine.events disable trigger ermine_floor",
    ] {
        let error = sql.batch_execute(forbidden).await.unwrap_err();
        assert_eq!(error.code().unwrap().code(), "42501", "{forbidden}");
    }

    let shard: ShardName = "Trip:All".parse().unwrap();
    let taken = daemon.take_shards(std::slice::from_ref(&shard)).await.unwrap().remove(0);
    let incarnation = daemon.observe(LEAVE).await.unwrap().incarnation;
    let batch = ShardBatch {
        operations: vec![store_operation("trip-1", "{\"km\":3}"), publish("a message")],
        ..ShardBatch::new(shard, taken.epoch, incarnation, Seq::ZERO, Seq::new(6))
    };
    daemon.commit(batch.clone()).await.unwrap();
    let again = ShardBatch {
        from: Seq::new(6),
        operations: Vec::new(),
        letters: letters::one_of_each(),
        ..batch.clone()
    };
    daemon.commit(again.clone()).await.unwrap();
    daemon.commit(ShardBatch { letters: letters::none_waiting(), ..again }).await.unwrap();
    let retry = || LetterRequest::Retry { by: "ada".into() };
    assert_eq!(daemon.request(LetterQuery::default(), retry()).await.unwrap(), 1);
    assert_eq!(daemon.purge_letters(Timestamp::UNIX_EPOCH).await.unwrap(), 0);
    daemon.put_wish(letters::wish("Trip:All")).await.unwrap();
    assert_eq!(daemon.clear_wishes(&["Trip:All".parse().unwrap()]).await.unwrap(), 1);
    assert_eq!(reader.letters(LetterQuery::default()).await.unwrap().len(), 1);
    assert_eq!(reader.wishes().await.unwrap(), []);
    for forbidden in [
        reader.request(LetterQuery::default(), retry()).await.map(drop),
        reader.put_wish(letters::wish("Trip:All")).await,
    ] {
        assert_eq!(*forbidden.unwrap_err().kind(), ErrorKind::Refused);
    }
    let refused = append(&daemon, "trip-9", ExpectedVersion::Any, 1).await.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::Refused);
    assert!(refused.chain().contains("the role lacks a privilege (roles.sql"), "{}", refused.chain());

    let read = page(&reader, 0, 6, 10, EventFilter::new(names(&["Travelled"]), names(&["T"]))).await;
    assert_eq!(read.events.len(), 5);
    let views = reader.load_views(&table(), &[crate::common::key("trip-1")]).await.unwrap();
    assert!(views[0].is_some());
    assert_eq!(*reader.commit(batch).await.unwrap_err().kind(), ErrorKind::Refused);
    assert_eq!(
        *append(&reader, "trip-9", ExpectedVersion::Any, 1).await.unwrap_err().kind(),
        ErrorKind::Refused
    );
    drop((appender, reader, daemon, sql));
    drop_roles(&it.database, &suffix).await;
}

#[tokio::test]
async fn a_role_that_may_not_migrate_is_told_so() {
    let database = ermine_testkit::pg::TestDatabase::create().await;
    let name = format!("ermine_nobody_{}", suffix(&database));
    database.connect().await.batch_execute(&format!("create role {name} login")).await.unwrap();
    let url = database.address().with_login(&name, None).url(database.name());
    let store = Store::connect(url).await.unwrap();
    let refused = store.migrate(&registration()).await.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::Refused);
    let told = format!("role \"{name}\" may not create the schema; run the migration with a role that may");
    assert!(refused.to_string().ends_with(&told), "{refused}");
    drop(store);
    database.connect().await.batch_execute(&format!("drop role {name}")).await.unwrap();
}

use ermine_core::{
    ErrorKind, ProjectionName, ViewTable,
    ports::{Registration, SchemaAdmin},
};
use ermine_postgres::Store;
use ermine_testkit::pg::TestDatabase;
use tokio::task::JoinSet;

use crate::common::{Fixture, registration};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_nodes_migrate_at_once() {
    let database = TestDatabase::create().await;
    let mut nodes = JoinSet::new();
    for node in 0..20 {
        let url = database.url();
        nodes.spawn(async move {
            let store = Store::builder(url).pool_size(1).connect().await.unwrap();
            let mut registration = registration();
            let name = ProjectionName::new(format!("node {}", node % 3)).unwrap();
            registration.tables.push(ViewTable::new(name, 1).into());
            store.migrate(&registration).await.unwrap();
            store.check(&registration).await.unwrap();
        });
    }
    while let Some(node) = nodes.join_next().await {
        node.unwrap();
    }
    let sql = "select (select count(*) from ermine.migrations), (select count(*) from ermine.projections), (select count(*) from ermine.store)";
    let row = database.connect().await.query_one(sql, &[]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1), row.get::<_, i64>(2)), (14, 4, 1));
}

#[tokio::test]
async fn stores_of_one_database_have_lock_classes_of_their_own() {
    let database = TestDatabase::create().await;
    let mut classes = std::collections::HashSet::new();
    for schema in ["one", "two", "three"] {
        let store = Store::builder(database.url()).schema(schema).connect().await.unwrap();
        store.migrate(&Registration::default()).await.unwrap();
        store.check(&Registration::default()).await.unwrap();
        let sql = format!("select lock_class from {schema}.store");
        classes.insert(database.connect().await.query_one(&sql, &[]).await.unwrap().get::<_, i32>(0));
    }
    assert_eq!(classes.len(), 3);
    assert!(classes.iter().all(|class| *class > 0));
}

#[tokio::test]
async fn a_store_newer_than_the_code_is_refused() {
    let it = Fixture::new().await;
    let sql =
        "insert into ermine.migrations (number, name, checksum) values (15, '0015_later', gen_random_uuid())";
    it.sql().await.batch_execute(sql).await.unwrap();
    for refused in [it.store.migrate(&registration()).await, it.store.check(&registration()).await.map(drop)]
    {
        let refused = refused.unwrap_err();
        assert_eq!(*refused.kind(), ErrorKind::Refused);
        assert!(
            refused.chain().contains("migration 15 (0015_later): update the application"),
            "{}",
            refused.chain()
        );
    }
}

#[tokio::test]
async fn a_failed_migration_leaves_nothing_behind() {
    let database = TestDatabase::create().await;
    // In the way of the third step.
    let admin = database.connect().await;
    admin
        .batch_execute("create schema ermine; create function ermine.append(text, bigint, text[], json[], text) returns text language sql as 'select 1::text'")
        .await
        .unwrap();
    let store = Store::connect(database.url()).await.unwrap();
    let refused = store.migrate(&registration()).await.unwrap_err();
    assert!(refused.chain().contains("applying 0003_append_stream"), "{}", refused.chain());
    let tables = "select count(*) from pg_class where relnamespace = 'ermine'::regnamespace";
    assert_eq!(admin.query_one(tables, &[]).await.unwrap().get::<_, i64>(0), 0);
    admin.batch_execute("drop function ermine.append").await.unwrap();
    store.migrate(&registration()).await.unwrap();
    store.check(&registration()).await.unwrap();
}

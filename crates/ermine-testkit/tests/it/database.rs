use std::{thread, time::Duration};

use ermine_testkit::{
    eventually,
    pg::{Cluster, OwnedClient, TestDatabase},
};

async fn exists(name: &str) -> bool {
    let admin = OwnedClient::connect(&Cluster::shared().address().url("postgres")).await.unwrap();
    admin.query_opt("select from pg_database where datname = $1", &[&name]).await.unwrap().is_some()
}

#[tokio::test]
async fn a_database_is_named_after_its_test_and_gone_after_it() {
    let database = TestDatabase::create().await;
    let name = database.name().to_owned();
    assert!(name.starts_with("a_database_is_named_after_its_te"), "{name}");
    let row = database.connect().await.query_one("select current_database()::text", &[]).await.unwrap();
    assert_eq!(row.get::<_, String>(0), name);
    drop(database);
    assert!(!exists(&name).await);
}

#[tokio::test]
async fn databases_do_not_see_each_other() {
    let (one, two) = (TestDatabase::create().await, TestDatabase::create().await);
    one.connect().await.batch_execute("create table trips ()").await.unwrap();
    two.connect().await.batch_execute("create table trips ()").await.unwrap();
}

#[tokio::test]
async fn url_and_conninfo_name_the_same_database() {
    let database = TestDatabase::create().await;
    for address in [database.url(), database.conninfo()] {
        let client = OwnedClient::connect(&address).await.unwrap();
        let row = client.query_one("select current_database()::text", &[]).await.unwrap();
        assert_eq!(row.get::<_, String>(0), database.name());
    }
}

#[tokio::test]
async fn the_database_of_a_failed_test_is_kept() {
    let database = TestDatabase::create().await;
    let name = database.name().to_owned();
    let failed = thread::spawn(move || {
        let _kept = database;
        panic!("as a failing test does");
    });
    assert!(failed.join().is_err());
    assert!(exists(&name).await);
}

#[tokio::test]
async fn a_dropped_client_leaves_no_transaction_open() {
    let database = TestDatabase::create().await;
    let watcher = database.connect().await;
    let mut client = database.connect().await;
    let transaction = client.transaction().await.unwrap();
    transaction.batch_execute("create table trips ()").await.unwrap();
    drop(transaction);
    drop(client);
    eventually(Duration::from_secs(10), || async {
        let sql = "select count(*) from pg_stat_activity where datname = current_database()";
        match watcher.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) {
            1 => Ok(()),
            n => Err(format!("{n} connections")),
        }
    })
    .await;
}

#[tokio::test]
async fn the_cluster_takes_two_phase_commits() {
    let database = TestDatabase::create().await;
    let client = database.connect().await;
    let name = database.name(); // the names of prepared transactions are the cluster's, not the database's
    client
        .batch_execute(&format!("begin; create table trips (); prepare transaction '{name}'"))
        .await
        .unwrap();
    client.batch_execute(&format!("commit prepared '{name}'")).await.unwrap();
    client.batch_execute("table trips").await.unwrap();
}

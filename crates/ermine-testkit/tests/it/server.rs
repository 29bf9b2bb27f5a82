use std::{fs, time::Duration};

use ermine_testkit::{
    eventually,
    pg::{OwnServer, OwnedClient, Settings, Stop},
};
use tokio_postgres::error::SqlState;

async fn setting(client: &OwnedClient, name: &str) -> String {
    client.query_one("select current_setting($1)", &[&name]).await.unwrap().get(0)
}

#[tokio::test]
async fn a_server_comes_back_with_its_data_after_each_way_down() {
    let extra = [("synchronous_commit", "on"), ("max_connections", "20")];
    let mut server = OwnServer::start(Settings { fsync: true, extra: &extra, ..Settings::default() }).await;
    let client = server.connect("postgres").await;
    assert_eq!(setting(&client, "fsync").await, "on");
    assert_eq!(setting(&client, "max_connections").await, "20");
    client.batch_execute("create table trips as select 1 as id").await.unwrap();
    for how in [Stop::Fast, Stop::Immediate] {
        server.stop(how).await;
        assert!(!server.is_ready().await);
        server.start_again().await;
    }
    server.restart().await;
    let row = server.connect("postgres").await.query_one("select id from trips", &[]).await.unwrap();
    assert_eq!(row.get::<_, i32>(0), 1);
}

#[tokio::test]
async fn a_killed_backend_takes_every_connection_along() {
    let mut server = OwnServer::start(Settings::default()).await;
    let (victim, witness) = (server.connect("postgres").await, server.connect("postgres").await);
    let pid = victim.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
    server.kill_backend_9(pid);
    eventually(Duration::from_secs(10), || async { witness.is_closed() }).await;
    server.wait_until_ready().await;
    server.connect("postgres").await.batch_execute("select 1").await.unwrap();
}

#[tokio::test]
async fn tcp_asks_for_the_password() {
    let server = OwnServer::start(Settings { tcp: true, ..Settings::default() }).await;
    assert!(!server.address().is_socket());
    server.connect("postgres").await.batch_execute("select 1").await.unwrap();
    let wrong = server.address().with_login("postgres", Some("wrong")).url("postgres");
    let refused = OwnedClient::connect(&wrong).await.unwrap_err();
    assert_eq!(refused.code(), Some(&SqlState::INVALID_PASSWORD));
}

#[tokio::test]
async fn a_server_can_be_turned_into_a_standby() {
    let mut server = OwnServer::start(Settings::default()).await;
    server.stop(Stop::Fast).await;
    fs::write(server.data_dir().join("standby.signal"), "").unwrap();
    server.start_again().await;
    let row = server.connect("postgres").await.query_one("select pg_is_in_recovery()", &[]).await.unwrap();
    assert!(row.get::<_, bool>(0));
}

#[tokio::test]
async fn a_dropped_server_leaves_nothing_behind() {
    let server = OwnServer::start(Settings::default()).await;
    let (url, data_dir) = (server.url("postgres"), server.data_dir());
    drop(server);
    assert!(OwnedClient::connect(&url).await.is_err());
    assert!(!data_dir.exists());
}

use std::time::{Duration, Instant};

use ermine_testkit::{
    Proxy,
    pg::{OwnedClient, TestDatabase},
};
use tokio::time::timeout;

const LONG: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(100);

async fn through_proxy(database: &TestDatabase) -> (Proxy, OwnedClient) {
    let proxy = Proxy::start(database.address()).await;
    let client = OwnedClient::connect(&proxy.url(database.name())).await.unwrap();
    (proxy, client)
}

#[tokio::test]
async fn a_delay_is_felt() {
    let database = TestDatabase::create().await;
    let (proxy, client) = through_proxy(&database).await;
    client.batch_execute("select 1").await.unwrap();
    proxy.delay(SHORT);
    let began = Instant::now();
    client.batch_execute("select 1").await.unwrap();
    assert!(began.elapsed() >= 2 * SHORT, "both directions are slow: {:?}", began.elapsed());
}

#[tokio::test]
async fn a_black_hole_gives_back_what_it_swallowed() {
    let database = TestDatabase::create().await;
    let (proxy, client) = through_proxy(&database).await;
    proxy.black_hole();
    let mut answer = Box::pin(client.batch_execute("select 1"));
    assert!(timeout(SHORT, &mut answer).await.is_err());
    proxy.pass();
    timeout(LONG, answer).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_cut_ends_connections_and_refuses_new_ones() {
    let database = TestDatabase::create().await;
    let (proxy, client) = through_proxy(&database).await;
    proxy.cut();
    assert!(timeout(LONG, client.batch_execute("select 1")).await.unwrap().is_err());
    assert!(OwnedClient::connect(&proxy.url(database.name())).await.is_err());
    proxy.pass();
    OwnedClient::connect(&proxy.url(database.name())).await.unwrap().batch_execute("select 1").await.unwrap();
}

//! Sessions that are open and do not answer, as behind a firewall that has forgotten them.

use std::time::Duration;

use ermine_core::ports::{HighWaterSource, ProgressStore, SchemaAdmin};
use ermine_postgres::Store;
use ermine_testkit::{Fault, Proxy, Way, eventually, pg::TestDatabase};
use futures_util::future::join_all;
use tokio::time::timeout;

use crate::common::{DEADLINE, LEAVE, registration};

/// A caller's own, shorter than any of the adapter's.
const PATIENCE: Duration = Duration::from_secs(2);
const SESSIONS: u32 = 4;

/// A store that has used all its sessions, and the way to it.
async fn through_proxy() -> (TestDatabase, Proxy, Store) {
    let database = TestDatabase::create().await;
    let proxy = Proxy::start(database.address()).await;
    let store = Store::builder(proxy.url(database.name())).pool_size(SESSIONS).connect().await.unwrap();
    store.migrate(&registration()).await.unwrap();
    store.observe(LEAVE).await.unwrap();
    join_all((0..SESSIONS).map(|_| async { store.read_progress().await.unwrap() })).await;
    (database, proxy, store)
}

#[tokio::test]
async fn sessions_that_fell_silent_are_replaced_although_their_users_gave_up_first() {
    let (_database, proxy, store) = through_proxy().await;
    proxy.strike(Fault::BlackHole(Way::Both));
    let read = || timeout(PATIENCE, store.read_progress());
    assert!(join_all((0..SESSIONS).map(|_| read())).await.iter().all(Result::is_err));
    proxy.pass();
    eventually(DEADLINE, || async { read().await.is_ok_and(|read| read.is_ok()) }).await;
    for read in join_all((0..2 * SESSIONS).map(|_| read())).await {
        read.expect("a silent session was lent again").unwrap();
    }
}

#[tokio::test]
async fn one_silent_session_is_enough_to_find_the_others_of_its_time() {
    let (_database, proxy, store) = through_proxy().await;
    proxy.strike(Fault::BlackHole(Way::ToServer));
    for _ in 0..2 {
        assert!(timeout(PATIENCE, store.read_progress()).await.is_err());
    }
    proxy.pass();
    eventually(DEADLINE, || async { store.read_progress().await.map_err(|err| err.chain()) }).await;
    for read in join_all((0..2 * SESSIONS).map(|_| timeout(PATIENCE, store.read_progress()))).await {
        read.expect("a silent session was lent again").unwrap();
    }
}

#[tokio::test]
async fn a_silent_control_session_is_replaced_although_its_user_gave_up_first() {
    for way in Way::ALL {
        let (_database, proxy, store) = through_proxy().await;
        proxy.strike(Fault::BlackHole(way));
        assert!(timeout(PATIENCE, store.observe(LEAVE)).await.is_err());
        proxy.pass();
        eventually(DEADLINE, || async {
            timeout(PATIENCE, store.observe(LEAVE)).await.is_ok_and(|observed| observed.is_ok())
        })
        .await;
    }
}

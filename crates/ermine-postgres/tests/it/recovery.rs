//! Connections and servers that go away and come back.

use std::time::{Duration, Instant};

use ermine_core::{
    Error, ErrorKind, ExpectedVersion,
    ports::{HighWaterSource, ProgressStore, SchemaAdmin},
};
use ermine_postgres::Store;
use ermine_testkit::{
    eventually,
    pg::{OwnServer, Settings, Stop},
};

use crate::common::{DEADLINE, DURABLE, Fixture, LEAVE, append, registration};

#[tokio::test]
async fn a_terminated_session_is_replaced() {
    let it = Fixture::new().await;
    let admin = it.sql().await;
    let kill = "select count(pg_terminate_backend(pid)) from pg_stat_activity \
                where datname = current_database() and pid <> pg_backend_pid()";
    for round in 0..5 {
        append(&it.store, "trip-1", ExpectedVersion::Any, 1).await.unwrap();
        it.store.observe(LEAVE).await.unwrap();
        let killed: i64 = admin.query_one(kill, &[]).await.unwrap().get(0);
        assert!(killed >= 2, "round {round}: {killed} sessions");
        // Each of the two sessions may be found dead once.
        let mut failures = Vec::new();
        while let Err(error) = it.store.read_progress().await {
            failures.push(error);
        }
        while let Err(error) = it.store.observe(LEAVE).await {
            failures.push(error);
        }
        assert!(failures.iter().all(Error::is_transient) && failures.len() <= 3, "{failures:?}");
    }
}

#[tokio::test]
async fn an_outage_is_told_at_once_and_forgotten_when_it_is_over() {
    let mut server = OwnServer::start(Settings::default()).await;
    let store = Store::connect(server.url("postgres")).await.unwrap();
    store.migrate(&registration()).await.unwrap();
    let before = store.observe(LEAVE).await.unwrap().incarnation;
    server.stop(Stop::Fast).await;
    for _ in 0..3 {
        let began = Instant::now();
        let errors = [store.read_progress().await.unwrap_err(), store.observe(LEAVE).await.unwrap_err()];
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        for error in errors {
            assert!(error.is_transient(), "{error:?}");
        }
    }
    let lost = append(&store, "trip-1", ExpectedVersion::Any, 1).await.unwrap_err();
    assert_eq!(*lost.kind(), ErrorKind::Transient, "nothing was sent: {lost:?}");
    server.start_again().await;
    let back = Instant::now();
    eventually(DEADLINE, || async { store.observe(LEAVE).await.map_err(|err| err.chain()) }).await;
    eventually(DEADLINE, || async { store.read_progress().await.map_err(|err| err.chain()) }).await;
    assert!(back.elapsed() < Duration::from_secs(5), "{:?}", back.elapsed());
    assert_eq!(store.observe(LEAVE).await.unwrap().incarnation, before, "a clean restart keeps it");
    store.check(&registration()).await.unwrap();
}

/// A crash of one backend takes all sessions with it, and the incarnation.
#[tokio::test]
async fn the_kill_of_a_backend_begins_another_incarnation() {
    let mut server = OwnServer::start(DURABLE).await;
    let store = Store::connect(server.url("postgres")).await.unwrap();
    store.migrate(&registration()).await.unwrap();
    let before = store.observe(LEAVE).await.unwrap().incarnation;
    let victim = server.connect("postgres").await;
    let pid: i32 = victim.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
    server.kill_backend_9(pid);
    server.wait_until_ready().await;
    let after = eventually(DEADLINE, || async {
        let seen = store.observe(LEAVE).await.map_err(|err| err.chain())?;
        if seen.incarnation == before { Err("the old one".to_owned()) } else { Ok(seen.incarnation) }
    })
    .await;
    assert_ne!(after, before);
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_ended() {
    let it = Fixture::new().await;
    let impatient = Store::builder(it.database.url())
        .statement_timeout(Duration::from_millis(200))
        .connect()
        .await
        .unwrap();
    let blocker = it.sql().await;
    blocker.batch_execute("begin; lock table ermine.progress").await.unwrap();
    let error = impatient.read_progress().await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Transient);
    assert!(error.chain().contains("statement timeout (57014)"), "{}", error.chain());
    blocker.batch_execute("rollback").await.unwrap();
    impatient.read_progress().await.unwrap();
}

#[tokio::test]
async fn a_pool_in_use_is_told_with_the_setting() {
    let it = Fixture::new().await;
    let small = Store::builder(it.database.url())
        .pool_size(1)
        .connect_timeout(Duration::from_millis(300))
        .connect()
        .await
        .unwrap();
    let blocker = it.sql().await;
    blocker.batch_execute("begin; lock table ermine.progress").await.unwrap();
    let (first, second) = tokio::join!(small.read_progress(), async {
        let second = small.statistics().await;
        blocker.batch_execute("rollback").await.unwrap();
        second
    });
    first.unwrap();
    let told = second.unwrap_err().chain();
    assert!(told.contains("no connection of the pool came free within 300ms: all 1 are in use"), "{told}");
}

use std::time::Duration;

use ermine_core::{
    Bell, ExpectedVersion, Observe, Seq,
    ports::{HighWaterSource, WakeReason, Wakeup},
};
use ermine_postgres::Store;
use ermine_testkit::eventually;

use crate::common::{DEADLINE, Fixture, LEAVE, append};

const HOUR: Duration = Duration::from_secs(3600);
const ARM: Observe = Observe { mark: Seq::ZERO, bell: Bell::Arm(Duration::from_secs(5)) };
const SILENCE: Observe = Observe { mark: Seq::ZERO, bell: Bell::Silence };

async fn bell(it: &Fixture) -> i64 {
    it.sql().await.query_one("select last_value from ermine.bell", &[]).await.unwrap().get(0)
}

/// Takes what has rung so far: the control connection rings once when it is ready.
async fn settle(store: &Store) {
    while store.wait(Duration::ZERO).await == WakeReason::Rang {}
}

#[tokio::test]
async fn an_armed_bell_rings_and_a_silent_one_does_not() {
    let it = Fixture::new().await;
    settle(&it.store).await;
    append(&it.store, "trip-1", ExpectedVersion::Any, 1).await.unwrap();
    it.store.observe(ARM).await.unwrap();
    assert_eq!(it.store.wait(Duration::ZERO).await, WakeReason::TimedOut, "nobody had asked for it");
    append(&it.store, "trip-1", ExpectedVersion::Any, 1).await.unwrap();
    assert_eq!(it.store.wait(DEADLINE).await, WakeReason::Rang);
    it.store.observe(SILENCE).await.unwrap();
    assert_eq!(bell(&it).await, 1);
}

#[tokio::test]
async fn a_shorter_arming_does_not_take_a_longer_one_back() {
    let it = Fixture::new().await;
    it.store.observe(ARM).await.unwrap();
    let first = bell(&it).await;
    it.store.observe(Observe { bell: Bell::Arm(HOUR), ..LEAVE }).await.unwrap();
    let longer = bell(&it).await;
    assert!(longer > first + 3_000_000, "{longer}");
    it.store.observe(ARM).await.unwrap();
    assert_eq!(bell(&it).await, longer + 1, "each arming has a value of its own");
}

#[tokio::test]
async fn two_that_armed_in_the_same_moment_are_told_apart() {
    let it = Fixture::new().await;
    let other = Store::connect(it.database.url()).await.unwrap();
    it.store.observe(ARM).await.unwrap();
    other.observe(ARM).await.unwrap();
    let armed = bell(&it).await;
    it.store.observe(SILENCE).await.unwrap();
    assert_eq!(bell(&it).await, armed, "the other one still listens");
}

#[tokio::test]
async fn whoever_armed_last_is_not_silenced_by_another() {
    let it = Fixture::new().await;
    let other = Store::connect(it.database.url()).await.unwrap();
    it.store.observe(ARM).await.unwrap();
    other.observe(Observe { bell: Bell::Arm(HOUR), ..LEAVE }).await.unwrap();
    let armed = bell(&it).await;
    it.store.observe(SILENCE).await.unwrap();
    assert_eq!(bell(&it).await, armed);
    other.observe(SILENCE).await.unwrap();
    assert_eq!(bell(&it).await, 1);
}

#[tokio::test]
async fn an_arming_expires_by_itself() {
    let it = Fixture::new().await;
    let second = Observe { bell: Bell::Arm(Duration::from_millis(1)), ..LEAVE };
    it.store.observe(second).await.unwrap();
    let over = "select (extract(epoch from clock_timestamp()) * 1000)::bigint > (select last_value from ermine.bell)";
    let session = it.sql().await;
    eventually(DEADLINE, || async { session.query_one(over, &[]).await.unwrap().get::<_, bool>(0) }).await;
    settle(&it.store).await;
    append(&it.store, "trip-1", ExpectedVersion::Any, 1).await.unwrap();
    it.store.observe(LEAVE).await.unwrap();
    assert_eq!(it.store.wait(Duration::ZERO).await, WakeReason::TimedOut);
}

/// A notification that an appender sends at its commit is there before the answer to anything asked afterwards.
#[tokio::test]
async fn every_isolation_level_rings() {
    let it = Fixture::new().await;
    for level in ["read committed", "repeatable read", "serializable"] {
        let session = it.sql().await;
        session
            .batch_execute(&format!("begin isolation level {level}; select count(*) from ermine.events"))
            .await
            .unwrap();
        it.store.observe(ARM).await.unwrap();
        settle(&it.store).await;
        session
            .batch_execute("select ermine.append('trip-1', null, array['T'], array['{}']::json[]); commit")
            .await
            .unwrap();
        assert_eq!(it.store.wait(DEADLINE).await, WakeReason::Rang, "{level}");
    }
}

#[tokio::test]
async fn a_lost_listener_is_deaf_and_rings_when_it_is_back() {
    let it = Fixture::new().await;
    settle(&it.store).await;
    let kill = "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and query ilike '%high_water%' and pid <> pg_backend_pid()";
    it.store.observe(LEAVE).await.unwrap();
    let waiting = it.store.wait(DEADLINE);
    let admin = it.sql().await;
    let (reason, killed) = tokio::join!(waiting, admin.query(kill, &[]));
    assert_eq!(killed.unwrap().len(), 1);
    assert_eq!(reason, WakeReason::Deaf);
    eventually(DEADLINE, || async { it.store.observe(LEAVE).await.map_err(|err| err.chain()) }).await;
    assert_eq!(it.store.wait(DEADLINE).await, WakeReason::Rang, "something may have been missed");
}

//! Numbers that come late, numbers that never come, and transactions that have nothing to do with either.

use std::time::Duration;

use ermine::{
    ErrorKind,
    core::{Position, Seq},
};
use ermine_testkit::pg::{OwnServer, Settings};
use ermine_tests::trail::{BucketTrail, EVERYTHING};

use crate::host::{assert_views, note, start};

/// Whoever would skip an open number does so at once; whoever does not, never does.
const LONG_ENOUGH_TO_SKIP: Duration = Duration::from_millis(500);

#[tokio::test]
async fn late_commit_is_not_skipped() {
    let server = OwnServer::start(Settings::default()).await;
    let (late, other) = (server.connect("postgres").await, server.connect("postgres").await);
    let host = start(&server.url("postgres")).await;
    let before = note(&other, "other").await;
    host.wait_for(before).await.unwrap();

    late.batch_execute("begin; set local application_name = 'the late one'").await.unwrap();
    let first = note(&late, "late").await;
    let second = note(&other, "other").await;
    assert!(first < second);
    let held = host.wait_for_within(second, LONG_ENOUGH_TO_SKIP).await.unwrap_err();
    assert_eq!(*held.kind(), ErrorKind::TimedOut);
    assert!(held.to_string().contains("the mark is 1"), "{held}");
    let holders = host.store().explain().await.unwrap();
    assert_eq!(holders.len(), 1, "{holders:?}");
    assert_eq!(holders[0].floor, before.seq());
    assert_eq!(holders[0].application.as_deref(), Some("the late one"));

    late.batch_execute("commit").await.unwrap();
    host.wait_for(second).await.unwrap();
    let everything = host.load::<BucketTrail>(EVERYTHING).await.unwrap().unwrap();
    assert_eq!(everything.0.tail, [1, 2, 3], "the late event stands between the others");
    assert_views(&other, &host).await;
    host.stop().await.unwrap();
}

#[tokio::test]
async fn a_dead_gap_delays_nobody() {
    let server = OwnServer::start(Settings::default()).await;
    let client = server.connect("postgres").await;
    let host = start(&server.url("postgres")).await;

    client.batch_execute("begin").await.unwrap();
    for _ in 0..10 {
        note(&client, "dead").await;
    }
    client.batch_execute("rollback").await.unwrap();
    let after = note(&client, "alive").await;
    assert_eq!(after, Position::new(Seq::new(11)));
    host.wait_for(after).await.unwrap();

    // A gap at the end of the log is nothing to wait for.
    client.batch_execute("begin").await.unwrap();
    note(&client, "dead").await;
    client.batch_execute("rollback").await.unwrap();
    assert_eq!(host.statistics().await.unwrap().highest, after.seq());
    host.wait_for(after).await.unwrap();
    assert!(host.store().explain().await.unwrap().is_empty());

    host.wait_for(note(&client, "alive").await).await.unwrap();
    let everything = host.load::<BucketTrail>(EVERYTHING).await.unwrap().unwrap();
    assert_eq!(everything.0.tail, [11, 13]);
    assert_views(&client, &host).await;
    host.stop().await.unwrap();
}

#[tokio::test]
async fn an_unrelated_long_transaction_delays_nobody() {
    let server = OwnServer::start(Settings::default()).await;
    let (unrelated, client) = (server.connect("postgres").await, server.connect("postgres").await);
    unrelated.batch_execute("create table unrelated (n int)").await.unwrap();
    let host = start(&server.url("postgres")).await;
    unrelated
        .batch_execute(
            "begin isolation level serializable; insert into unrelated select max(seq) from ermine.events",
        )
        .await
        .unwrap();

    for _ in 0..5 {
        host.wait_for(note(&client, "stream").await).await.unwrap();
    }
    assert!(host.store().explain().await.unwrap().is_empty(), "it does not hold the mark");
    unrelated.batch_execute("commit").await.unwrap();
    assert_views(&client, &host).await;
    host.stop().await.unwrap();
}

#[tokio::test]
async fn a_prepared_transaction_holds_the_mark_until_it_is_resolved() {
    let server = OwnServer::start(Settings::default()).await;
    let client = server.connect("postgres").await;
    let host = start(&server.url("postgres")).await;
    client.batch_execute("begin; set local ermine.no_bell = 'on'").await.unwrap();
    let prepared = note(&client, "prepared").await;
    client.batch_execute("prepare transaction 'in-doubt'").await.unwrap();
    let after = note(&client, "other").await;

    host.wait_for_within(after, LONG_ENOUGH_TO_SKIP).await.unwrap_err();
    let holders = host.store().explain().await.unwrap();
    assert_eq!(holders.len(), 1, "{holders:?}");
    assert_eq!((holders[0].pid, holders[0].state.as_str()), (None, "prepared in-doubt"));

    client.batch_execute("commit prepared 'in-doubt'").await.unwrap();
    host.wait_for(after).await.unwrap();
    let everything = host.load::<BucketTrail>(EVERYTHING).await.unwrap().unwrap();
    assert_eq!(everything.0.tail, [prepared.seq().get(), after.seq().get()]);
    host.stop().await.unwrap();
}

use super::{INSERT, ROW, Scene, add, refusal, run};

const WITH_SEQ: &str =
    "insert into ermine.events (seq, stream_id, version, id, type, data) overriding system value ";

#[tokio::test]
async fn a_dead_number_cannot_be_used_again() {
    let scene = Scene::new().await;
    let session = scene.session().await;
    run(&session, &format!("begin; {}; rollback", add(1))).await;
    assert_eq!(scene.look().await, (1, 1), "the mark has passed number 1");
    let (code, message) = refusal(&session, &format!("{WITH_SEQ} values (1, {ROW})")).await;
    assert_eq!(code, "EM005");
    assert_eq!(message, "event 1 is not above an append floor of this transaction (floor: 1)");
    assert!(scene.events().await.is_empty());
}

#[tokio::test]
async fn a_number_drawn_in_advance_is_refused() {
    let scene = Scene::new().await;
    let session = scene.session().await;
    run(&session, "select nextval('ermine.events_seq_seq')").await;
    run(&scene.session().await, &add(1)).await;
    assert_eq!(refusal(&session, &format!("{WITH_SEQ} values (1, {ROW})")).await.0, "EM005");
}

#[tokio::test]
async fn copy_with_numbers_is_refused() {
    use std::pin::pin;

    use bytes::Bytes;
    use futures_util::SinkExt;

    let scene = Scene::new().await;
    run(&scene.session().await, &format!("begin; {}; rollback", add(1))).await;
    let session = scene.session().await;
    let sink: tokio_postgres::CopyInSink<Bytes> = session
        .copy_in("copy ermine.events (seq, stream_id, version, id, type, data) from stdin")
        .await
        .unwrap();
    let mut sink = pin!(sink);
    sink.send(Bytes::from_static(b"1\ts\t1\t00000000-0000-0000-0000-000000000001\tT\t{}\n")).await.unwrap();
    let error = sink.finish().await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "EM005");
}

#[tokio::test]
async fn numbers_out_of_a_cache_are_refused() {
    let scene = Scene::new().await;
    run(&scene.session().await, "alter sequence ermine.events_seq_seq cache 10").await;
    let cached = scene.session().await;
    run(&cached, &add(1)).await;
    run(&scene.session().await, &add(1)).await;
    // Its second number lies in its cache, below the floor that it takes now.
    let (code, message) = refusal(&cached, &add(1)).await;
    assert_eq!(code, "EM005", "{message}");
}

#[tokio::test]
async fn a_disabled_trigger_is_refused_by_the_other() {
    let scene = Scene::new().await;
    let session = scene.session().await;
    run(&session, "alter table ermine.events disable trigger ermine_floor").await;
    let (code, message) = refusal(&session, &add(1)).await;
    assert_eq!(code, "EM005");
    assert_eq!(message, "event 1 is not above an append floor of this transaction (floor: none)");
    // Not even a floor that the session made up itself opens the way.
    let class: i32 = session.query_one("select lock_class from ermine.store", &[]).await.unwrap().get(0);
    run(&session, &format!("set ermine.floor_{class} = '0'; set ermine.floortx_{class} = '3'")).await;
    assert_eq!(refusal(&session, &add(1)).await.0, "EM005");
}

/// A partition has the guard of its parent but not the statement trigger.
#[tokio::test]
async fn a_row_straight_into_a_partition_is_refused() {
    let scene = Scene::new().await;
    let session = scene.session().await;
    run(
        &session,
        "create table ermine.parted (like ermine.events including defaults including identity) partition by range (seq); \
         create table ermine.part partition of ermine.parted for values from (1) to (1000); \
         create trigger ermine_floor before insert on ermine.parted for each statement execute function ermine.take_floor(); \
         create trigger ermine_guard before insert on ermine.parted for each row execute function ermine.floor_guard()",
    )
    .await;
    let columns = "(stream_id, version, id, type, data)";
    run(&session, &format!("insert into ermine.parted {columns} values ({ROW})")).await;
    let with_seq = "(seq, stream_id, version, id, type, data)";
    let (code, _) = refusal(&session, &format!("insert into ermine.part {with_seq} values (2, {ROW})")).await;
    assert_eq!(code, "EM005");
}

#[tokio::test]
async fn a_log_is_not_emptied_and_not_renumbered() {
    let scene = Scene::new().await;
    let session = scene.session().await;
    run(&session, &add(2)).await;
    for sql in [
        "truncate ermine.events",
        "truncate ermine.events restart identity",
        "update ermine.events set seq = default where seq = 1",
    ] {
        let (code, message) = refusal(&session, sql).await;
        assert_eq!(code, "EM005", "{sql}: {message}");
    }
    run(&session, "delete from ermine.events where seq = 1").await;
    assert_eq!(scene.events().await, [2], "what the law wants gone can go");
}

#[tokio::test]
async fn an_event_past_the_function_needs_its_row_in_streams() {
    use ermine_core::{ErrorKind, ExpectedVersion};

    let scene = Scene::new().await;
    let session = scene.session().await;
    run(&session, &format!("{INSERT} values ('trip-1', 1, gen_random_uuid(), 'T', '{{}}')")).await;
    let refused =
        crate::common::append(&scene.it.store, "trip-1", ExpectedVersion::Any, 1).await.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::Refused);
    assert!(
        refused.to_string().contains("set streams.version to the highest version in events"),
        "{refused}"
    );
    run(
        &session,
        "insert into ermine.streams (tenant, stream_id, version) select tenant, stream_id, max(version) from ermine.events group by 1, 2",
    )
    .await;
    let appended = crate::common::append(&scene.it.store, "trip-1", ExpectedVersion::Any, 1).await.unwrap();
    assert_eq!(appended.version().get(), 2);
}

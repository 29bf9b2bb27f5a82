//! Archived streams, skipped events and types of streams, from the side of SQL.

use ermine_core::{
    AppendBatch, ErrorKind, EventFilter, ExpectedVersion, LogPoint, Operation, Seq, StreamId, StreamType,
    TenantId, Version,
    ports::{EventAppender, EventReader, Outbox, StreamAdmin},
};

use crate::{
    common::{Fixture, append, event, last_and_mark, names, page, publish, stream},
    worker::Worker,
};

fn id(id: &str) -> StreamId {
    StreamId::new(id).unwrap()
}

#[tokio::test]
async fn an_archived_stream_refuses_everybody_and_draws_no_number() {
    let it = Fixture::new().await;
    let nobody = TenantId::default();
    append(&it.store, "s", ExpectedVersion::Any, 2).await.unwrap();
    let archived = it.store.archive_stream(&nobody, &id("s")).await.unwrap();
    assert_eq!((archived.position.seq().get(), archived.version()), (3, Version::new(3)));

    for expected in [ExpectedVersion::Any, ExpectedVersion::NoStream, ExpectedVersion::Exact(Version::new(3))]
    {
        let refused = append(&it.store, "s", expected, 1).await.unwrap_err();
        assert_eq!(*refused.kind(), ErrorKind::Archived { stream: id("s") }, "{}", refused.chain());
        let both = AppendBatch::new().stream(stream("t", 1)).stream(stream("s", 1).expecting(expected));
        let refused = it.store.append(both).await.unwrap_err();
        assert_eq!(*refused.kind(), ErrorKind::Archived { stream: id("s") }, "{}", refused.chain());
    }
    let sql = it.sql().await;
    let refused = sql.batch_execute("select ermine.append('s', null, array['T'], array['{}']::json[])").await;
    assert_eq!(refused.unwrap_err().code().unwrap().code(), "EM007");
    let worker = Worker::take(&it.store).await;
    let events = vec![event("T", "{}")];
    let refused =
        worker.commit(vec![Operation::Append { tenant: nobody.clone(), stream: id("s"), events }]).await;
    assert_eq!(*refused.unwrap_err().kind(), ErrorKind::Archived { stream: id("s") });

    assert_eq!(last_and_mark(&it.observe().await), (3, 3));
    let again = it.store.archive_stream(&nobody, &id("s")).await.unwrap();
    assert!(again.repeated);
    assert_eq!((again.position, again.recorded_at), (archived.position, archived.recorded_at));
    let nothing = it.store.archive_stream(&nobody, &id("t")).await.unwrap_err();
    assert_eq!(*nothing.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_stream_gets_its_type_from_sql_too() {
    let it = Fixture::new().await;
    let sql = it.sql().await;
    for append in [
        "'typed', 0, array['T'], array['{}']::json[], '', 'trip'",
        "'plain', 0, array['T'], array['{}']::json[]",
    ] {
        sql.batch_execute(&format!("select ermine.append({append})")).await.unwrap();
    }
    for (stream_type, wanted) in [(None, vec![1, 2]), (Some("trip"), vec![1]), (Some("other"), vec![])] {
        let stream_type = stream_type.map(|name| StreamType::new(name).unwrap());
        for events_max in [10, 5000] {
            let filter = EventFilter::new(names(&["T"]), []).for_streams_of(stream_type.clone());
            let read = page(&it.store, 0, 5000, events_max, filter).await;
            let seen: Vec<u64> = read.events.iter().map(|event| event.seq.get()).collect();
            assert_eq!(seen, wanted, "{stream_type:?}");
        }
    }
}

#[tokio::test]
async fn skipped_events_are_named_in_small_pages_and_in_large_ones() {
    let it = Fixture::new().await;
    append(&it.store, "s", ExpectedVersion::Any, 3).await.unwrap();
    assert_eq!(it.store.skip_events(&[Seq::new(2), Seq::new(9)], "poison").await.unwrap(), 1);
    for events_max in [10, 5000] {
        for known in [&[][..], &["Other"]] {
            let filter = EventFilter::new(names(&["Travelled"]), names(known));
            let read = page(&it.store, 0, 5000, events_max, filter).await;
            let seen: Vec<u64> = read.events.iter().map(|event| event.seq.get()).collect();
            assert_eq!(seen, [1, 3]);
            let skipped = &read.skipped[0];
            assert_eq!(
                (skipped.seq.get(), skipped.stream.as_str(), skipped.reason.as_str()),
                (2, "s", "poison")
            );
        }
    }
}

#[tokio::test]
async fn a_moment_is_found_among_transactions_that_overlap() {
    let it = Fixture::new().await;
    let sql = it.sql().await;
    // Times that go up and down with the numbers, as those of long transactions do.
    sql.batch_execute(
        "insert into ermine.events (stream_id, version, id, type, data, recorded_at) \
         select 's', n, gen_random_uuid(), 'T', '{}', to_timestamp(1000 + n + case when n % 7 = 0 then 90 else 0 end) \
         from generate_series(1, 3000) n; \
         delete from ermine.events where seq % 5 = 0; analyze ermine.events",
    )
    .await
    .unwrap();
    for second in [0, 1001, 1050, 1096, 1097, 1098, 1500, 2500, 3999, 4000, 4083, 4084, 4085, 9999] {
        let at = ermine_core::Timestamp::from_second(second).unwrap();
        let slow = "select min(seq) from ermine.events where recorded_at >= to_timestamp($1)";
        #[allow(clippy::cast_precision_loss, reason = "it is small")]
        let wanted: Option<i64> = sql.query_one(slow, &[&(second as f64)]).await.unwrap().get(0);
        let found = it.store.locate(LogPoint::Since(at)).await.unwrap();
        assert_eq!(found.map(|entry| entry.seq.as_i64()), wanted, "since {second}");
    }
    assert_eq!(it.store.locate(LogPoint::After(Seq::new(4))).await.unwrap().unwrap().seq.get(), 6);
}

#[tokio::test]
async fn whoever_wants_a_new_stream_does_not_wait_for_one_that_is_there() {
    let it = Fixture::new().await;
    append(&it.store, "s", ExpectedVersion::Any, 1).await.unwrap();
    let open = it.sql().await;
    open.batch_execute("begin; select from ermine.streams for update").await.unwrap();
    let refused = append(&it.store, "s", ExpectedVersion::NoStream, 1);
    let refused = tokio::time::timeout(crate::common::DEADLINE, refused).await.unwrap().unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::VersionConflict(_)), "{refused}");
    open.batch_execute("rollback; insert into ermine.streams (stream_id, version) values ('t', 0)")
        .await
        .unwrap();
    let first = append(&it.store, "t", ExpectedVersion::NoStream, 2).await.unwrap();
    assert_eq!(first.version(), Version::new(2), "one that was only locked is new");
}

#[tokio::test]
async fn a_batch_whose_events_are_all_recorded_takes_no_floor() {
    let it = Fixture::new().await;
    let events = vec![event("T", "{}").with_id(ermine_core::EventId::derived("1"))];
    let again = || Operation::Append { tenant: TenantId::default(), stream: id("s"), events: events.clone() };
    let worker = Worker::take(&it.store).await;
    worker.commit(vec![again()]).await.unwrap();
    let sql = it.sql().await;
    let floor = "begin; set local ermine.batch = 'on'; \
                 select ermine.append_missing(array[''], array['s'], array[(select id from ermine.events)], array['T'], \
                 array['{}']::json[], array[null], array[null], array[null]::json[])";
    sql.batch_execute(floor).await.unwrap();
    let locks = "select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()";
    assert_eq!(sql.query_one(locks, &[]).await.unwrap().get::<_, i64>(0), 0);
    sql.batch_execute("commit").await.unwrap();
    worker.commit(vec![again()]).await.unwrap();
    assert_eq!(last_and_mark(&it.observe().await), (1, 1));
}

#[tokio::test]
async fn messages_have_the_order_of_their_batch_and_not_that_of_their_locks() {
    let it = Fixture::new().await;
    let (one, two) = (publish("one"), publish("two"));
    let worker = Worker::take(&it.store).await;
    worker.commit(vec![two.clone(), one.clone()]).await.unwrap();
    let pending = it.store.pending_messages(9.try_into().unwrap()).await.unwrap();
    let bodies: Vec<String> = pending.iter().map(|message| message.body.decode().unwrap()).collect();
    assert_eq!(bodies, ["two", "one"], "positions follow the batch");
    worker.commit(vec![one, two, publish("three")]).await.unwrap();
    assert_eq!(it.store.pending_messages(9.try_into().unwrap()).await.unwrap().len(), 3);
}

//! Appending beyond the contract of the port.

use std::time::Duration;

use ermine_core::{
    AppendBatch, Body, ErrorKind, LogPoint, NewEvent, Operation, Seq, StreamAppend, Timestamp, TypeName,
    ports::{EventAppender, EventReader, ViewStore},
};
use tokio::task::JoinSet;

use crate::common::{Place, batch, event, log, next_batch, stream};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_appends_at_once_are_all_recorded() {
    let place = Place::new();
    let store = place.store().await;
    let mut appends = JoinSet::new();
    for nth in 0..300 {
        let store = store.clone();
        appends.spawn(async move {
            store.append(batch(&format!("trip-{}", nth % 7), 1 + nth % 3)).await.unwrap().position().seq()
        });
    }
    let mut positions = appends.join_all().await;
    positions.sort_unstable();
    positions.dedup();
    assert_eq!(positions.len(), 300);
    let log = log(&store).await;
    let seqs: Vec<u64> = log.iter().map(|event| event.seq.get()).collect();
    assert_eq!(seqs, (1..=600).collect::<Vec<u64>>(), "no number is left out");
    assert_eq!(positions.last(), log.last().map(|event| &event.seq));
}

#[tokio::test]
async fn a_refused_append_gives_its_numbers_back() {
    let place = Place::new();
    let store = place.store().await;
    let taken = event("1");
    store.append(one("trip-1", taken.clone())).await.unwrap();
    let events = vec![event("2"), event("3"), taken];
    let refused = store.append(AppendBatch::new().stream(StreamAppend::new(stream("trip-2"), events))).await;
    assert!(matches!(refused.unwrap_err().kind(), ErrorKind::DuplicateEvent { id: Some(_) }));
    assert_eq!(store.append(batch("trip-2", 1)).await.unwrap().position().seq(), Seq::new(2));
}

#[tokio::test]
async fn bodies_come_back_byte_for_byte() {
    let place = Place::new();
    let store = place.store().await;
    let odd = "{ \"b\" : 1.50e0,\t\"a\":[ ],\"b\":2,\"\\u00e9\": \"\u{e9}\\/\" }";
    let new = event(odd).with_headers(&["x"]).unwrap();
    store.append(one("trip-1", new)).await.unwrap();
    let found = log(&store).await.remove(0);
    assert_eq!(found.body.as_bytes(), odd.as_bytes());
    assert_eq!(found.metadata.unwrap().headers.unwrap().as_bytes(), b"[\"x\"]");
}

#[tokio::test]
async fn text_that_is_not_utf8_is_refused() {
    let place = Place::new();
    let store = place.store().await;
    let body = Body::from_store(b"\"\xff\"".to_vec().into());
    let new = NewEvent::new(TypeName::new("Travelled").unwrap(), body);
    let id = new.id();
    let refused = store.append(one("trip-1", new.clone())).await.unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::Serialization { .. }));
    assert_eq!(refused.to_string(), format!("the body or the headers of event {id} are not UTF-8"));
    let append =
        Operation::Append { tenant: "".try_into().unwrap(), stream: stream("trip-1"), events: vec![new] };
    let refused = store.commit(next_batch(&store, vec![append]).await).await.unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::Serialization { .. }));
}

#[tokio::test]
async fn events_that_somebody_inserted_by_hand_are_named_as_the_cause() {
    let place = Place::new();
    let store = place.store().await;
    store.append(batch("trip-1", 1)).await.unwrap();
    let by_hand = "insert into events (version, recorded_at, id, tenant, stream_id, type, data)
                   values (2, 0, randomblob(16), '', 'trip-1', 'Travelled', '2')";
    place.sql().execute_batch(by_hand).unwrap();
    let refused = store.append(batch("trip-1", 1)).await.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::Refused);
    assert!(
        refused.to_string().contains("set streams.version to the highest version in events"),
        "{refused}"
    );
}

/// The machine's clock may be set back; the first event since a moment is still the one with the lowest number.
#[tokio::test]
async fn a_moment_is_located_although_the_clock_was_set_back() {
    let place = Place::new();
    let store = place.store().await;
    for nth in 1..=40 {
        store.append(batch(&format!("trip-{nth}"), 1)).await.unwrap();
    }
    // As appends would have written it in hours 1, 2, .. 20, then with the clock set back to hour 5.
    let sql = "update events set recorded_at = case when seq <= 20 then seq else seq - 16 end * 3600000000;
               update events set latest = 20 * 3600000000 where seq > 20 and recorded_at < 20 * 3600000000";
    place.sql().execute_batch(sql).unwrap();
    let hour = |hour: i64| Timestamp::from_second(hour * 3600).unwrap();
    for (asked, found) in
        [(0, Some(1)), (5, Some(5)), (20, Some(20)), (21, Some(37)), (24, Some(40)), (25, None)]
    {
        let located = store.locate(LogPoint::Since(hour(asked))).await.unwrap();
        assert_eq!(located.map(|it| it.seq.get()), found, "hour {asked}");
    }
    let just_after = hour(5).checked_add(Duration::from_nanos(1)).unwrap();
    let located = store.locate(LogPoint::Since(just_after)).await.unwrap().unwrap();
    assert_eq!(located.seq, Seq::new(6), "a moment between two microseconds");
    store.append(batch("trip-1", 1)).await.unwrap();
    let latest = "select latest is null from events order by seq desc limit 1";
    assert!(
        place.sql().query_row(latest, [], |row| row.get::<_, bool>(0)).unwrap(),
        "the clock is ahead again"
    );
}

fn one(id: &str, new: NewEvent) -> AppendBatch {
    AppendBatch::new().stream(StreamAppend::new(stream(id), vec![new]))
}

use ermine_core::{
    AppendBatch, Body, ErrorKind, EventFilter, ExpectedVersion, NewEvent, StreamAppend, StreamId, TypeName,
    Version,
    ports::{EventAppender, EventReader},
};

use crate::common::{Fixture, event, names, page};

#[tokio::test]
async fn whatever_json_went_in_comes_back_byte_for_byte() {
    let it = Fixture::new().await;
    let texts = [
        r#"{"b":1,"a":2, "a":3}"#.to_owned(),
        r#""é\\u0000 \"quoted\" \n""#.to_owned(),
        "1e400".to_owned(),
        "null".to_owned(),
        format!("\"{}\"", "x".repeat(2_000_000)),
    ];
    let events = texts.iter().map(|text| event("T'\\ype", text)).collect();
    let odd = StreamId::new("s'\"\\ é\n{schema}").unwrap();
    let append = StreamAppend::new(odd.clone(), events).expecting(ExpectedVersion::NoStream);
    it.store.append(AppendBatch::new().stream(append)).await.unwrap();
    for events_max in [10, 5000] {
        let filter = EventFilter::new(names(&["T'\\ype"]), names(&["Other"]));
        let page = page(&it.store, 0, 1_000_000, events_max, filter).await;
        let back: Vec<&[u8]> = page.events.iter().map(|event| event.body.as_bytes()).collect();
        assert!(back == texts.iter().map(String::as_bytes).collect::<Vec<_>>(), "pages of {events_max}");
        assert!(page.events.iter().all(|event| event.stream == odd && event.type_name.as_str() == "T'\\ype"));
    }
}

#[tokio::test]
async fn metadata_comes_back() {
    let it = Fixture::new().await;
    let rich = event("T", "{}").with_correlation("c").unwrap().with_causation("because").unwrap();
    let rich = rich.with_headers(&serde_json::json!({"user": "ada"})).unwrap();
    let append = StreamAppend::new(StreamId::new("s").unwrap(), vec![event("T", "{}"), rich.clone()]);
    it.store.append(AppendBatch::new().stream(append)).await.unwrap();
    for events_max in [10, 5000] {
        let page = page(&it.store, 0, 5000, events_max, EventFilter::new(names(&["T"]), [])).await;
        assert_eq!(page.events[0].metadata, None);
        assert_eq!(page.events[1].metadata.as_deref(), rich.metadata());
        assert_eq!(page.events[1].id, rich.id());
    }
}

#[tokio::test]
async fn ids_of_their_full_length_are_kept_and_longer_ones_never_get_here() {
    let it = Fixture::new().await;
    let id = StreamId::new("é".repeat(250)).unwrap();
    let name = TypeName::new("t".repeat(200)).unwrap();
    let append = StreamAppend::new(id.clone(), vec![NewEvent::new(name, Body::from_json("{}").unwrap())]);
    it.store.append(AppendBatch::new().stream(append)).await.unwrap();
    let limit = std::num::NonZeroUsize::new(5).unwrap();
    let events = it.store.read_stream(&Default::default(), &id, Version::ZERO, limit).await.unwrap();
    assert_eq!((events.len(), &events[0].stream), (1, &id));
    assert_eq!(*StreamId::new("x".repeat(501)).unwrap_err().kind(), ErrorKind::Configuration);
    assert_eq!(*StreamId::new("").unwrap_err().kind(), ErrorKind::Configuration);
    assert_eq!(*StreamId::new("a\0b").unwrap_err().kind(), ErrorKind::Configuration);
}

#[tokio::test]
async fn the_function_for_other_programs_checks_what_it_is_given() {
    let it = Fixture::new().await;
    let session = it.sql().await;
    let append = |arguments: &str| format!("select ermine.append({arguments})");
    for wrong in [
        "'s', null, array[]::text[], array[]::json[]",
        "'s', null, array['T', 'T'], array['{}']::json[]",
        "'', null, array['T'], array['{}']::json[]",
        "repeat('x', 501), null, array['T'], array['{}']::json[]",
        "'s', null, array[null]::text[], array['{}']::json[]",
        "'s', null, array['T'], array['{}']::json[], repeat('t', 201)",
    ] {
        let error = session.batch_execute(&append(wrong)).await.unwrap_err();
        assert_eq!(error.code().unwrap().code(), "22023", "{wrong}");
    }
    let row =
        session.query_one(&append("'s', 0, array['T', 'U'], array['{}', '1']::json[]"), &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 2);
    let error = session.batch_execute(&append("'s', 0, array['T'], array['{}']::json[]")).await.unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!(error.code().code(), "EM003");
    let detail: serde_json::Value = serde_json::from_str(error.detail().unwrap()).unwrap();
    assert_eq!(detail, serde_json::json!({"tenant": "", "stream": "s", "actual": 2}));
    let last: i64 =
        session.query_one("select last_value from ermine.events_seq_seq", &[]).await.unwrap().get(0);
    assert_eq!(last, 2, "a conflict draws no number");
}

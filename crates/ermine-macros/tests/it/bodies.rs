use ermine_core::{Body, DecodeError, DomainEvent, ErrorKind};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Place {
    town: String,
}

/// Serde's own derive, with settings that change its own JSON, stands beside ours without touching it.
#[derive(Clone, Debug, PartialEq, DomainEvent, Serialize, Deserialize)]
#[event(crate = "ermine_core")]
#[serde(tag = "kind", content = "with", rename_all = "SCREAMING_SNAKE_CASE")]
enum TripEvent {
    Started { driver: String, from: Option<Place> },
    Travelled { km: f64 },
    Arrived(Place),
    Rated(u8, Option<String>),
    Merged { into: Vec<Self>, r#type: u8 },
    Ended,
    Paused {},
    Resumed(),
}

fn ada() -> String {
    "ada".into()
}

fn round_trip(event: &TripEvent, type_name: &str, json: &str) {
    assert_eq!(event.type_name(), type_name);
    let body = event.encode().expect("these fields have a JSON form");
    assert_eq!(String::from_utf8_lossy(body.as_bytes()), json);
    assert_eq!(&TripEvent::decode(type_name, &body).expect("it reads what it wrote"), event);
}

#[test]
fn every_shape_of_variant_comes_back_as_it_went() {
    let place = Place { town: "Ghent".into() };
    round_trip(
        &TripEvent::Started { driver: ada(), from: Some(place.clone()) },
        "trip.started",
        r#"{"driver":"ada","from":{"town":"Ghent"}}"#,
    );
    round_trip(&TripEvent::Travelled { km: 1.5 }, "trip.travelled", r#"{"km":1.5}"#);
    round_trip(&TripEvent::Arrived(place), "trip.arrived", r#"{"town":"Ghent"}"#);
    round_trip(&TripEvent::Rated(5, None), "trip.rated", "[5,null]");
    round_trip(&TripEvent::Ended, "trip.ended", "{}");
    round_trip(&TripEvent::Paused {}, "trip.paused", "{}");
    round_trip(&TripEvent::Resumed(), "trip.resumed", "{}");
    round_trip(
        &TripEvent::Merged { into: vec![TripEvent::Ended], r#type: 1 },
        "trip.merged",
        r#"{"into":[{"kind":"ENDED"}],"type":1}"#,
    );
}

#[test]
fn fields_that_only_the_body_has_are_ignored() {
    let body = Body::from_json(r#"{"km":2.0,"colour":"red"}"#).unwrap();
    assert_eq!(TripEvent::decode("trip.travelled", &body).unwrap(), TripEvent::Travelled { km: 2.0 });
}

#[test]
fn a_variant_without_fields_takes_any_object_or_null() {
    for json in ["{}", "null", r#"{"a":[1,{"b":2}]}"#] {
        assert_eq!(
            TripEvent::decode("trip.ended", &Body::from_json(json).unwrap()).unwrap(),
            TripEvent::Ended
        );
    }
    for json in ["[]", "1", "\"{}\""] {
        assert!(TripEvent::decode("trip.ended", &Body::from_json(json).unwrap()).is_err(), "{json}");
    }
}

#[test]
fn a_body_that_does_not_fit_says_which_type_and_why() {
    let error = TripEvent::decode("trip.started", &Body::from_json("{}").unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "the body does not fit type \"trip.started\"");
    let DecodeError::Body { type_name, source } = error else { panic!("{error}") };
    assert_eq!(type_name, "trip.started");
    assert!(source.to_string().contains("missing field `driver`"), "{source}");
}

#[test]
fn a_type_that_the_enum_lacks_is_named() {
    let error = TripEvent::decode("TripEvent.Started", &Body::from_json("{}").unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "no variant has the type name \"TripEvent.Started\"");
    assert!(matches!(error, DecodeError::Type { type_name } if type_name == "TripEvent.Started"));
}

#[test]
fn nul_in_a_field_is_refused() {
    let error = TripEvent::Started { driver: "a\0b".into(), from: None }.encode().unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Serialization { seq: None });
}

/// Neither Serialize nor Deserialize, and fields whose type is not cloned.
#[derive(DomainEvent)]
#[event(crate = "ermine_core")]
enum Events {
    Grown { by: NotClone },
}

#[derive(Serialize, Deserialize)]
struct NotClone(u8);

#[test]
fn an_enum_called_events_keeps_its_name() {
    let event = Events::Grown { by: NotClone(1) };
    assert_eq!(event.type_name(), "events.grown");
    let body = event.encode().unwrap();
    let Events::Grown { by } = Events::decode("events.grown", &body).unwrap();
    assert_eq!(by.0, 1);
}

#![expect(
    clippy::needless_pass_by_value,
    reason = "upcasters take their JSON by value, even those that only look at it"
)]

use std::error::Error as _;

use ermine_core::{ApplyError, Body, DecodeError, DomainEvent};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Updated<T> {
    before: Option<T>,
    after: T,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Trip {
    driver: String,
}

#[derive(Debug, PartialEq, DomainEvent)]
#[event(crate = "ermine_core")]
enum TripEvent {
    #[event(name = "trip.started", alias = "trip.begun", alias = "TripStarted")]
    Started { driver: String },
    #[event(name = "trip.travelled_v4", alias = "trip.moved_v4")]
    #[event(upcast(from = "trip.travelled", with = miles_to_km))]
    #[event(upcast(from = "trip.went_v2", with = Ok), upcast(from = "trip.travelled_v2", with = body))]
    #[event(upcast(from = "trip.travelled_v3", with = Self::name_the_unit))]
    Travelled { distance: f64, unit: String },
    #[event(name = "trip.changed_v2", upcast(from = "trip.changed", with = wrap))]
    TripChanged(Updated<Trip>),
    #[event(name = "trip.ended_v2", upcast(from = "trip.ended", with = empty))]
    Ended,
}

/// From `{"miles":..}` to `{"km":..}`.
fn miles_to_km(v1: Value) -> Result<Value, ApplyError> {
    let miles = v1["miles"].as_f64().ok_or_else(|| ApplyError::msg("there are no miles"))?;
    Ok(json!({ "km": miles * 2.0 }))
}

/// From `{"km":..}` to `{"distance":..}`; called like a variable in the derived code.
fn body(mut v2: Value) -> Result<Value, ApplyError> {
    let km: f64 = serde_json::from_value(v2["km"].take())?;
    Ok(json!({ "distance": km }))
}

/// From the trip alone to what it was before and after.
fn wrap(v1: Value) -> Result<Value, ApplyError> {
    Ok(json!({ "before": null, "after": v1 }))
}

/// From whatever an end was to nothing.
fn empty(_: Value) -> Result<Value, ApplyError> {
    Ok(json!({}))
}

impl TripEvent {
    /// From `{"distance":..}` to that with a unit.
    fn name_the_unit(mut v3: Value) -> Result<Value, ApplyError> {
        v3["unit"] = "km".into();
        Ok(v3)
    }
}

fn decode(type_name: &str, json: &str) -> Result<TripEvent, DecodeError> {
    TripEvent::decode(type_name, &Body::from_json(json.to_owned()).expect("this is JSON"))
}

fn travelled(distance: f64) -> TripEvent {
    TripEvent::Travelled { distance, unit: "km".into() }
}

#[test]
fn the_filter_takes_aliases_and_older_names() {
    assert_eq!(
        TripEvent::TYPES,
        [
            "trip.started",
            "trip.begun",
            "TripStarted",
            "trip.travelled_v4",
            "trip.moved_v4",
            "trip.travelled",
            "trip.went_v2",
            "trip.travelled_v2",
            "trip.travelled_v3",
            "trip.changed_v2",
            "trip.changed",
            "trip.ended_v2",
            "trip.ended",
        ]
    );
}

#[test]
fn an_alias_reads_like_the_name_and_is_never_written() {
    for type_name in ["trip.started", "trip.begun", "TripStarted"] {
        let started = decode(type_name, r#"{"driver":"ada"}"#).unwrap();
        assert_eq!(started, TripEvent::Started { driver: "ada".into() });
        assert_eq!(started.type_name(), "trip.started");
    }
}

#[test]
fn an_older_shape_runs_through_its_own_upcaster_and_those_after_it() {
    let bodies = [
        ("trip.travelled", r#"{"miles":1.5}"#),
        ("trip.went_v2", r#"{"km":3}"#),
        ("trip.travelled_v2", r#"{"km":3}"#),
        ("trip.travelled_v3", r#"{"distance":3}"#),
        ("trip.travelled_v4", r#"{"distance":3,"unit":"km"}"#),
        ("trip.moved_v4", r#"{"distance":3,"unit":"km"}"#),
    ];
    for (type_name, json) in bodies {
        let event = decode(type_name, json).unwrap_or_else(|e| panic!("{type_name}: {e}"));
        assert_eq!(event, travelled(3.0), "{type_name}");
        assert_eq!(event.type_name(), "trip.travelled_v4");
    }
}

#[test]
fn the_current_shape_runs_through_no_upcaster() {
    for type_name in ["trip.travelled_v4", "trip.moved_v4"] {
        let miles = decode(type_name, r#"{"distance":3,"unit":"miles"}"#).unwrap();
        assert_eq!(miles, TripEvent::Travelled { distance: 3.0, unit: "miles".into() });
    }
}

#[test]
fn an_upcaster_that_fails_is_named_by_type_and_cause() {
    let error = decode("trip.travelled", r#"{"km":3}"#).unwrap_err();
    assert_eq!(error.to_string(), "cannot upcast the body of type \"trip.travelled\"");
    assert_eq!(error.source().map(ToString::to_string).as_deref(), Some("there are no miles"));
    assert!(matches!(error, DecodeError::Upcast { type_name, .. } if type_name == "trip.travelled"));

    let later = decode("trip.went_v2", r#"{"km":"far"}"#).unwrap_err();
    assert_eq!(later.to_string(), "cannot upcast the body of type \"trip.went_v2\"");
    let cause = later.source().expect("the upcaster's error");
    assert!(cause.is::<serde_json::Error>(), "{cause}");
}

#[test]
fn what_an_upcaster_leaves_has_to_fit() {
    let error = decode("trip.changed", r#"{"chauffeur":"ada"}"#).unwrap_err();
    let DecodeError::Body { type_name, source } = error else { panic!("{error}") };
    assert_eq!(type_name, "trip.changed");
    assert!(source.to_string().contains("missing field `driver`"), "{source}");
}

#[test]
fn a_body_that_is_not_json_is_not_upcast() {
    let broken = Body::from_store(b"{".as_slice().into());
    let error = TripEvent::decode("trip.travelled", &broken).unwrap_err();
    assert!(matches!(error, DecodeError::Body { type_name, .. } if type_name == "trip.travelled"));
}

#[test]
fn a_generic_payload_is_the_whole_body() {
    let trip = |driver: &str| Trip { driver: driver.into() };
    let changed = TripEvent::TripChanged(Updated { before: Some(trip("ada")), after: trip("bob") });
    let body = changed.encode().unwrap();
    let json = r#"{"before":{"driver":"ada"},"after":{"driver":"bob"}}"#;
    assert_eq!(String::from_utf8_lossy(body.as_bytes()), json);
    assert_eq!(TripEvent::decode("trip.changed_v2", &body).unwrap(), changed);

    let older = decode("trip.changed", r#"{"driver":"bob"}"#).unwrap();
    assert_eq!(older, TripEvent::TripChanged(Updated { before: None, after: trip("bob") }));
}

#[test]
fn a_variant_without_fields_takes_older_shapes_too() {
    assert_eq!(decode("trip.ended", "[1]").unwrap(), TripEvent::Ended);
    assert!(decode("trip.ended_v2", "[1]").is_err());
}

/// An integer this large does not survive a `Value`.
#[derive(Debug, PartialEq, DomainEvent)]
#[event(crate = "ermine_core", prefix = "meter")]
enum MeterEvent {
    #[event(name = "meter.read_v2", alias = "meter.taken_v2", upcast(from = "meter.read", with = Ok))]
    Read(u128),
}

#[test]
fn only_older_shapes_pass_through_a_value() {
    let large = Body::encode(&u128::MAX).unwrap();
    for type_name in ["meter.read_v2", "meter.taken_v2"] {
        assert_eq!(MeterEvent::decode(type_name, &large).unwrap(), MeterEvent::Read(u128::MAX));
    }
    assert!(matches!(MeterEvent::decode("meter.read", &large), Err(DecodeError::Body { .. })));
}

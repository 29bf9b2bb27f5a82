//! Events of older shapes.

use serde_json::{Value as Json, json};

use super::*;
use crate::alike::Alike;

/// What the program wrote at first.
#[derive(DomainEvent)]
#[event(prefix = "ride")]
enum First {
    Begun { driver: String },
    Travelled { miles: f64 },
}

/// What it wrote later.
#[derive(DomainEvent)]
#[event(prefix = "ride")]
enum Second {
    Started {
        driver: String,
    },
    #[event(name = "ride.travelled_v2")]
    Travelled {
        km: f64,
    },
}

/// What it reads and writes today.
#[derive(DomainEvent)]
#[event(prefix = "ride")]
enum RideEvent {
    #[event(name = "ride.started", alias = "ride.begun")]
    Started {
        driver: String,
        #[serde(default = "unknown")]
        from: String,
    },
    #[event(name = "ride.travelled_v3")]
    #[event(upcast(from = "ride.travelled", with = miles_to_km))]
    #[event(upcast(from = "ride.travelled_v2", with = name_the_unit))]
    Travelled { distance: f64, unit: String },
}

fn unknown() -> String {
    "somewhere".into()
}

#[expect(clippy::needless_pass_by_value, reason = "it is what an upcaster is")]
fn miles_to_km(first: Json) -> Result<Json, ApplyError> {
    let miles = first["miles"].as_f64().ok_or_else(|| ApplyError::msg("there are no miles"))?;
    Ok(json!({ "km": miles * 1.5 }))
}

fn name_the_unit(mut second: Json) -> Result<Json, ApplyError> {
    Ok(json!({ "distance": second["km"].take(), "unit": "km" }))
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Ride(Vec<String>);

impl Aggregate for Ride {
    type Event = RideEvent;

    fn evolve(ride: Option<Self>, event: &Recorded<RideEvent>) -> Result<Option<Self>, ApplyError> {
        let mut ride = ride.unwrap_or_default();
        ride.0.push(match event.data() {
            RideEvent::Started { driver, from } => format!("{driver} from {from}"),
            RideEvent::Travelled { distance, unit } => format!("{distance} {unit}"),
        });
        Ok(Some(ride))
    }
}

async fn the_past(spec: &mut ProjectionSpec) -> Result<()> {
    spec.given("a", [First::Begun { driver: "ada".into() }, First::Travelled { miles: 2.0 }]).await?;
    spec.given("a", [Second::Travelled { km: 4.0 }]).await?;
    spec.given("b", [Second::Started { driver: "bob".into() }]).await?;
    let today = RideEvent::Travelled { distance: 6.5, unit: "mi".into() };
    spec.when("a", [RideEvent::Started { driver: "eve".into(), from: "Graz".into() }, today]).await
}

async fn old_shapes_are_read_as_what_they_are_now(fresh: Fresh) -> Result<()> {
    let small = single_stream::<Ride>("Small").page_events_max(at_most(1));
    let mut spec = spec(
        &fresh,
        [single_stream::<Ride>("Ride").into(), small.into(), single_stream::<Ride>("Inline").inline().into()],
    )
    .await?;
    the_past(&mut spec).await?;
    let of_a = ["ada from somewhere", "3 km", "4 km", "eve from Graz", "6.5 mi"];
    for name in ["Ride", "Small", "Inline"] {
        let expected = [
            ("a", Ride(of_a.iter().map(ToString::to_string).collect())),
            ("b", Ride(vec!["bob from somewhere".into()])),
        ];
        spec.then_all(name, expected).await?;
    }
    Ok(())
}

async fn rules_of_rows_see_the_shape_of_today(fresh: Fresh) -> Result<()> {
    let rides = flat_table::<RideEvent>("Rides", "rides")
        .nullable("driver", ColumnKind::Text)
        .nullable("from_place", ColumnKind::Text)
        .column_or("distance", ColumnKind::Real, 0.0)
        .nullable("unit", ColumnKind::Text)
        .on("ride.started", |row| row.map("driver").map_from("from_place", "from"))
        .on("ride.travelled_v3", |row| row.increment_from("distance", "distance").map("unit"));
    let mut spec = spec(&fresh, [rides.into()]).await?;
    the_past(&mut spec).await?;
    let row = |driver: &str, from: &str, distance: f64, unit: Json| {
        Alike(json!({"driver": driver, "from_place": from, "distance": distance, "unit": unit}))
    };
    let of_b = row("bob", "somewhere", 0.0, Json::Null);
    spec.then_all("Rides", [("a", row("eve", "Graz", 13.5, json!("mi"))), ("b", of_b)]).await
}

async fn an_upcaster_that_fails_names_the_event(fresh: Fresh) -> Result<()> {
    let mut spec = spec(&fresh, [single_stream::<Ride>("Ride").into()]).await?;
    let body = ermine::core::Body::encode(&json!({"yards": 7}))?;
    let event = NewEvent::new(ermine::core::TypeName::new("ride.travelled")?, body);
    let refused = spec.when_batch(batch([StreamAppend::new("a".parse()?, vec![event])])).await.unwrap_err();
    assert!(refused.chain().contains("there are no miles"), "{}", refused.chain());
    Ok(())
}

on_every_store!(
    old_shapes_are_read_as_what_they_are_now,
    rules_of_rows_see_the_shape_of_today,
    an_upcaster_that_fails_names_the_event,
);

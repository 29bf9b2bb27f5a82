//! Flat tables.

use ermine::core::{FlatTable, Projected, RowRule, Value};
use serde_json::{Value as Json, json};

use super::*;
use crate::alike::Alike;

#[derive(DomainEvent, Clone)]
enum VanEvent {
    Bought { plate: String, maker: Json, price: f64 },
    Driven { km: i64, litres: f64 },
    Corrected { km: i64, litres: f64 },
    Sold { at: String },
    Renamed { plate: Option<String> },
    Shared { with: Vec<String> },
    Reset,
    Scrapped,
}

fn bought(plate: &str, price: f64) -> VanEvent {
    VanEvent::Bought { plate: plate.into(), maker: json!({"name": "Æ", "year": 1999}), price }
}

/// Every kind of column and every rule.
fn vans(name: &'static str, table: &'static str) -> Projected<FlatTable<VanEvent>> {
    flat_table::<VanEvent>(name, table)
        .column("plate", ColumnKind::Text)
        .column("maker", ColumnKind::Json)
        .nullable("maker_name", ColumnKind::Text)
        .nullable("price", ColumnKind::Real)
        .column_or("km", ColumnKind::Integer, 0)
        .column_or("litres", ColumnKind::Real, 0.5)
        .column_or("drives", ColumnKind::Integer, -1)
        .column_or("left_drives", ColumnKind::Integer, 10)
        .column_or("on_sale", ColumnKind::Boolean, true)
        .nullable("seen_at", ColumnKind::Timestamp)
        .nullable("sold_at", ColumnKind::Timestamp)
        .nullable("stream", ColumnKind::Text)
        .nullable("nth", ColumnKind::Integer)
        .nullable("extra", ColumnKind::Json)
        .on("van.bought", |row| {
            row.map("plate").map("maker").map_from("maker_name", "maker.name").map("price").stream("stream")
        })
        .on("van.driven", |row| {
            row.increment_from("km", "km")
                .increment_from("litres", "litres")
                .increment("drives", 1)
                .decrement("left_drives", 2)
                .stream_version("nth")
        })
        .on("van.corrected", |row| row.decrement_from("km", "km").decrement_from("litres", "litres"))
        .on("van.sold", |row| {
            row.map_from("sold_at", "at")
                .set("on_sale", false)
                .recorded_at("seen_at")
                .set("extra", json_value())
        })
        .on("van.renamed", |row| row.map("plate"))
        .on("van.reset", |row| row.set("price", Value::Null).increment("nth", 5).decrement("price", 1.5))
        .on("van.scrapped", RowRule::delete)
}

fn json_value() -> ermine::core::Body {
    ermine::core::Body::encode(&json!({"b": [1, null], "a": "ü"})).unwrap()
}

fn fresh_row(plate: &str, price: f64, stream: &str) -> Json {
    json!({
        "plate": plate, "maker": {"name": "Æ", "year": 1999}, "maker_name": "Æ", "price": price, "km": 0, "litres": 0.5,
        "drives": -1, "left_drives": 10, "on_sale": true, "seen_at": null, "sold_at": null, "stream": stream, "nth": null,
        "extra": null,
    })
}

fn with(mut row: Json, changes: Json) -> Json {
    let Json::Object(changes) = changes else { panic!("changes are an object") };
    for (column, value) in changes {
        row[column] = value;
    }
    row
}

/// The same row by row, with each append, and in whole pages.
async fn tables(fresh: &Fresh) -> Result<ProjectionSpec> {
    let small = vans("Small", "small_vans").page_events_max(at_most(1)).cache_bytes_max(0);
    let inline = vans("Inline", "inline_vans").inline();
    spec(fresh, [vans("Vans", "vans").into(), small.into(), inline.into()]).await
}

async fn all_are<const N: usize>(spec: &ProjectionSpec, expected: [(&str, Json); N]) -> Result<()> {
    let expected = expected.map(|(id, row)| (id, Alike(row)));
    for name in ["Vans", "Small", "Inline"] {
        spec.then_all(name, expected.clone()).await?;
    }
    Ok(())
}

async fn a_new_row_has_its_defaults(fresh: Fresh) -> Result<()> {
    let mut spec = tables(&fresh).await?;
    spec.when("a", [bought("W-1", 12.25)]).await?;
    spec.when("b", [bought("漢字 🦦 '\"\\", -0.125)]).await?;
    all_are(&spec, [("a", fresh_row("W-1", 12.25, "a")), ("b", fresh_row("漢字 🦦 '\"\\", -0.125, "b"))])
        .await
}

async fn columns_are_counted_up_and_down(fresh: Fresh) -> Result<()> {
    let mut spec = tables(&fresh).await?;
    spec.given("a", [bought("W-1", 1.0), VanEvent::Driven { km: 5, litres: 0.25 }]).await?;
    spec.when("a", [VanEvent::Driven { km: -7, litres: 1.0 }, VanEvent::Corrected { km: 10, litres: 2.5 }])
        .await?;
    let row = with(
        fresh_row("W-1", 1.0, "a"),
        json!({"km": -12, "litres": -0.75, "drives": 1, "left_drives": 6, "nth": 3}),
    );
    all_are(&spec, [("a", row)]).await?;
    spec.when("a", [VanEvent::Reset]).await?;
    let row = with(
        fresh_row("W-1", -1.5, "a"),
        json!({"km": -12, "litres": -0.75, "drives": 1, "left_drives": 6, "nth": 8}),
    );
    all_are(&spec, [("a", row)]).await
}

async fn moments_are_kept_in_microseconds(fresh: Fresh) -> Result<()> {
    let mut spec = tables(&fresh).await?;
    spec.given("a", [bought("W-1", 1.0)]).await?;
    let sold = of("a", [VanEvent::Sold { at: "2026-03-01T01:30:00.1234567+01:00".into() }]);
    let appended = spec.when_batch(batch([sold])).await?;
    let row = with(
        fresh_row("W-1", 1.0, "a"),
        json!({
            "sold_at": "2026-03-01T00:30:00.123456Z", "on_sale": false, "extra": {"a": "ü", "b": [1, null]},
            "seen_at": format!("{:.6}", appended.recorded_at),
        }),
    );
    for name in ["Vans", "Small"] {
        spec.then_all(name, [("a", Alike(row.clone()))]).await?;
    }
    // The clock is read before the append, so with the append the row may be a little older.
    let inline = spec.ermine().query_of::<Json>("Inline")?.load("a").await?.unwrap();
    assert_eq!(Alike(with(inline, json!({"seen_at": row["seen_at"]}))), Alike(row));
    Ok(())
}

async fn no_row_is_made_while_a_column_would_be_empty(fresh: Fresh) -> Result<()> {
    let mut spec = tables(&fresh).await?;
    spec.when("a", [VanEvent::Driven { km: 1, litres: 1.0 }, VanEvent::Reset, VanEvent::Scrapped]).await?;
    all_are(&spec, []).await?;
    spec.when("a", [bought("W-1", 1.0)]).await?;
    all_are(&spec, [("a", fresh_row("W-1", 1.0, "a"))]).await
}

async fn a_row_never_loses_what_it_must_have(fresh: Fresh) -> Result<()> {
    let mut spec = spec(&fresh, [vans("Vans", "vans").into()]).await?;
    spec.given("a", [bought("W-1", 1.0), VanEvent::Renamed { plate: Some("W-2".into()) }]).await?;
    let refused = spec.when("a", [VanEvent::Renamed { plate: None }]).await.unwrap_err();
    assert!(refused.chain().contains("column \"plate\" would hold null"), "{}", refused.chain());
    spec.then_all("Vans", [("a", Alike(fresh_row("W-2", 1.0, "a")))]).await
}

async fn a_row_is_deleted_and_made_again(fresh: Fresh) -> Result<()> {
    let mut spec = tables(&fresh).await?;
    spec.given("a", [bought("W-1", 1.0), VanEvent::Driven { km: 4, litres: 4.0 }]).await?;
    spec.when("a", [VanEvent::Scrapped]).await?;
    all_are(&spec, []).await?;
    spec.when(
        "a",
        [VanEvent::Driven { km: 4, litres: 4.0 }, bought("W-3", 3.0), VanEvent::Scrapped, bought("W-4", 4.0)],
    )
    .await?;
    all_are(&spec, [("a", fresh_row("W-4", 4.0, "a"))]).await
}

async fn an_event_changes_every_row_that_it_names(fresh: Fresh) -> Result<()> {
    let people = |name, table| {
        flat_table::<VanEvent>(name, table)
            .column_or("shares", ColumnKind::Integer, 0)
            .nullable("last_van", ColumnKind::Text)
            .on("van.shared", |row| row.increment("shares", 1).stream("last_van"))
            .on("van.scrapped", RowRule::delete)
            .keyed_by(|event| match event.data() {
                VanEvent::Shared { with } => with.clone(),
                VanEvent::Scrapped => vec!["bob".into()],
                _ => Vec::new(),
            })
    };
    let shared = |with: &[&str]| VanEvent::Shared { with: with.iter().map(ToString::to_string).collect() };
    let mut spec =
        spec(&fresh, [people("People", "people").into(), people("Inline", "people_inline").inline().into()])
            .await?;
    spec.given("v1", [shared(&["ada", "bob"]), bought("W-1", 1.0), shared(&[])]).await?;
    spec.when_batch(batch([of("v2", [shared(&["bob", "cyn", "bob"])]), of("v1", [shared(&["ada"])])]))
        .await?;
    let row = |shares: i64, van: &str| json!({"shares": shares, "last_van": van});
    for name in ["People", "Inline"] {
        spec.then_all(name, [("ada", row(2, "v1")), ("bob", row(2, "v2")), ("cyn", row(1, "v2"))]).await?;
    }
    spec.when_batch(batch([of("v1", [VanEvent::Scrapped]), of("v2", [shared(&["cyn"])])])).await?;
    for name in ["People", "Inline"] {
        spec.then_all(name, [("ada", row(2, "v1")), ("cyn", row(2, "v2"))]).await?;
    }
    Ok(())
}

async fn rows_of_tenants_are_apart(fresh: Fresh) -> Result<()> {
    let mut spec = tables(&fresh).await?;
    let acme = tenant("acme");
    let of_acme = |events: Vec<VanEvent>| of("a", events).for_tenant(acme.clone());
    spec.when_batch(batch([of("a", [bought("W-1", 1.0)]), of_acme(vec![bought("G-1", 2.0)])])).await?;
    spec.when_batch(batch([of("a", [VanEvent::Scrapped])])).await?;
    all_are(&spec, []).await?;
    for name in ["Vans", "Small", "Inline"] {
        spec.then_of(&acme, name, "a", Some(Alike(fresh_row("G-1", 2.0, "a")))).await?;
    }
    Ok(())
}

async fn versions_of_a_table_stand_side_by_side(fresh: Fresh) -> Result<()> {
    let second = flat_table::<VanEvent>("Vans", "vans")
        .version(2)
        .column("plate", ColumnKind::Text)
        .on("van.bought", |row| row.map("plate"));
    let mut spec = spec(&fresh, [vans("Vans", "vans").into(), second.into()]).await?;
    spec.when("a", [bought("W-1", 1.0)]).await?;
    let second = spec.ermine().query_of::<serde_json::Value>("Vans")?.version(2)?.load("a").await?;
    assert_eq!(second, Some(json!({"plate": "W-1"})));
    spec.then_all("Vans", [("a", Alike(fresh_row("W-1", 1.0, "a")))]).await
}

async fn the_ends_of_the_numbers_can_be_held(fresh: Fresh) -> Result<()> {
    let mut spec = tables(&fresh).await?;
    let driven = |km, litres| VanEvent::Driven { km, litres };
    spec.when("low", [bought("W-1", f64::MIN), driven(i64::MIN, f64::MIN_POSITIVE)]).await?;
    spec.when("high", [bought("W-2", 9e18), driven(i64::MAX, 9e18)]).await?;
    spec.when("high", [driven(-1, 9e18)]).await?;
    let low = with(
        fresh_row("W-1", f64::MIN, "low"),
        json!({"km": i64::MIN, "litres": 0.5, "drives": 0, "left_drives": 8, "nth": 2}),
    );
    let high = with(
        fresh_row("W-2", 9e18, "high"),
        json!({"km": i64::MAX - 1, "litres": 1.8e19, "drives": 1, "left_drives": 6, "nth": 3}),
    );
    all_are(&spec, [("low", low), ("high", high)]).await?;
    let refused = spec.ermine().append("high", [driven(2, 0.0)]).await.unwrap_err();
    assert!(refused.chain().contains("leads out of range"), "{}", refused.chain());
    Ok(())
}

async fn a_real_column_holds_more_than_an_integer(fresh: Fresh) -> Result<()> {
    let trips = || {
        flat_table::<TripEvent>("Trips", "trips")
            .column_or("km", ColumnKind::Real, 0.0)
            .column_or("left_km", ColumnKind::Real, -1)
            .on("trip.travelled", |row| row.increment_from("km", "km").decrement_from("left_km", "km"))
    };
    let mut before = spec(&fresh, [trips().into()]).await?;
    before.given("a", [travelled(9_000_000_000_000_000_000)]).await?;
    // What was stored is read back here.
    let mut again = spec(&fresh, [trips().into()]).await?;
    again.when("a", [travelled(i64::MAX), travelled(9_000_000_000_000_000_000)]).await?;
    again.when("b", [travelled(i64::MIN)]).await?;
    let row = |km: f64, left: f64| Alike(json!({"km": km, "left_km": left}));
    again
        .then_all(
            "Trips",
            [
                ("a", row(2.722_337_203_685_477_6e19, -2.722_337_203_685_477_6e19)),
                ("b", row(-(2.0_f64.powi(63)), 2.0_f64.powi(63))),
            ],
        )
        .await
}

async fn a_rule_may_depend_on_the_event(fresh: Fresh) -> Result<()> {
    let trips = |name, table| {
        flat_table::<TripEvent>(name, table)
            .column_or("km", ColumnKind::Integer, 0)
            .column_or("short", ColumnKind::Integer, 0)
            .on_event("trip.travelled", |event, row| match event.data() {
                TripEvent::Travelled { km } if *km < 0 => row.delete(),
                TripEvent::Travelled { km } if *km < 10 => {
                    row.increment("short", 1).increment_from("km", "km")
                }
                TripEvent::Travelled { km: 99 } => row.set("lost", 1),
                _ => row.increment_from("km", "km"),
            })
    };
    let inline = trips("Inline", "inline").inline();
    let mut spec = spec(&fresh, [trips("Trips", "trips").into(), inline.into()]).await?;
    spec.when("a", [travelled(3), travelled(30)]).await?;
    spec.when("b", [travelled(4), travelled(-1)]).await?;
    for name in ["Trips", "Inline"] {
        spec.then_all(name, [("a", json!({"km": 33, "short": 1}))]).await?;
    }
    let refused = spec.when("a", [travelled(99)]).await.unwrap_err();
    assert!(refused.chain().contains("column \"lost\" is not declared"), "{}", refused.chain());
    Ok(())
}

on_every_store!(
    a_rule_may_depend_on_the_event,
    a_new_row_has_its_defaults,
    columns_are_counted_up_and_down,
    moments_are_kept_in_microseconds,
    no_row_is_made_while_a_column_would_be_empty,
    a_row_never_loses_what_it_must_have,
    a_row_is_deleted_and_made_again,
    an_event_changes_every_row_that_it_names,
    rows_of_tenants_are_apart,
    versions_of_a_table_stand_side_by_side,
    the_ends_of_the_numbers_can_be_held,
    a_real_column_holds_more_than_an_integer,
);

//! Questions about views.

use ermine::core::{Filter, Order, Value};
use serde_json::{Value as Json, json};

use super::*;

#[derive(DomainEvent, Clone)]
#[event(prefix = "doc")]
enum DocEvent {
    Put { doc: Json },
}

/// One view per stream, as the last event says.
async fn docs(fresh: &Fresh, docs: &[(&str, Json)]) -> Result<ProjectionSpec> {
    let docs_of = event_projection("Docs", |event: &Recorded<DocEvent>, views: &mut ViewChanges<Json>| {
        let DocEvent::Put { doc } = event.data();
        views.store(event.stream().as_str(), doc)
    });
    let mut spec = spec(fresh, [docs_of.into()]).await?;
    spec.when_batch(batch(docs.iter().map(|(id, doc)| of(id, [DocEvent::Put { doc: doc.clone() }])))).await?;
    Ok(spec)
}

fn people() -> [(&'static str, Json); 7] {
    [
        ("a", json!({"name": "ada", "age": 36, "at": {"city": "Wien"}, "paid": true})),
        ("b", json!({"name": "Bob", "age": 20.5, "at": {"city": "graz"}, "paid": false})),
        ("c", json!({"name": "Ærmine", "age": -3, "at": {"city": null}})),
        ("d", json!({"name": null, "age": "36", "at": "Wien", "paid": "true"})),
        ("e", json!({"age": 36.0, "at": {"city": "Wien"}, "paid": null})),
        ("f", json!(["age", 36])),
        ("g", json!({"name": "zoë", "age": 1e300, "at": {"city": ["Wien"]}, "paid": {}})),
    ]
}

async fn ids(spec: &ProjectionSpec, filter: Option<Filter>, order: Vec<Order>) -> Result<String> {
    let query = spec.ermine().query_of::<Json>("Docs")?;
    let query = filter.into_iter().fold(query, ermine::Query::filter);
    let query = order.into_iter().fold(query, ermine::Query::order_by);
    let found = query.list().await?;
    Ok(found.iter().map(|(id, _)| id.as_str()).collect())
}

async fn filters_go_by_kind_and_value(fresh: Fresh) -> Result<()> {
    let spec = docs(&fresh, &people()).await?;
    let age = || field("age");
    for (filter, expected) in [
        (age()?.eq(36), "ae"),
        (age()?.eq(36.0), "ae"),
        (age()?.eq("36"), "d"),
        (age()?.ne(36), "bcdfg"),
        (age()?.lt(36), "bc"),
        (age()?.le(20.5), "bc"),
        (age()?.gt(20), "abeg"),
        (age()?.ge(i64::MAX), "g"),
        (age()?.gt("3"), "d"),
        (age()?.eq(Value::Null), "f"),
        (field("name")?.eq(Value::Null), "def"),
        (field("name")?.gt("Bob"), "acg"),
        (field("name")?.lt("z"), "ab"),
        (field("name")?.ge("z"), "cg"),
        (field("paid")?.eq(true), "a"),
        (field("paid")?.lt(true), "b"),
        (field("paid")?.ne(Value::Null), "abdg"),
        (field("at.city")?.eq("Wien"), "ae"),
        (field("at.city")?.eq(Value::Null), "cdf"),
        (field("at.city.deeper")?.eq(Value::Null), "abcdefg"),
        (age()?.eq(36).and(field("paid")?.eq(true)), "a"),
        (age()?.lt(0).or(field("paid")?.eq(true)).or(age()?.eq("36")), "acd"),
        (age()?.eq(36).or(age()?.eq("36")).and(field("at.city")?.eq("Wien").negated()), "d"),
        (age()?.ge(0).negated(), "cdf"),
        (Filter::And(vec![]), "abcdefg"),
        (Filter::Or(vec![]), ""),
    ] {
        assert_eq!(ids(&spec, Some(filter.clone()), vec![]).await?, expected, "{filter:?}");
        let count = spec.ermine().query_of::<Json>("Docs")?.filter(filter.clone()).count().await?;
        assert_eq!(count, expected.len() as u64, "{filter:?}");
    }
    Ok(())
}

async fn views_are_ordered_with_nothing_first(fresh: Fresh) -> Result<()> {
    let spec = docs(&fresh, &people()).await?;
    let up = |path: &str| field(path).unwrap().ascending();
    let down = |path: &str| field(path).unwrap().descending();
    for (order, expected) in [
        (vec![up("age")], "fcbaegd"),
        (vec![down("age")], "dgaebcf"),
        (vec![up("name")], "defbagc"),
        (vec![down("name")], "cgabdef"),
        (vec![up("paid")], "cefbadg"),
        (vec![down("paid")], "gdabcef"),
        (vec![up("at.city"), down("age")], "dcfaebg"),
        (vec![up("nowhere")], "abcdefg"),
        (vec![down("nowhere"), down("age")], "dgaebcf"),
    ] {
        assert_eq!(ids(&spec, None, order.clone()).await?, expected, "{order:?}");
    }
    Ok(())
}

async fn a_part_of_the_answer_is_cut_out(fresh: Fresh) -> Result<()> {
    let spec = docs(&fresh, &people()).await?;
    let query = || spec.ermine().query_of::<Json>("Docs");
    let ids = |found: Vec<(ViewId, Json)>| found.iter().map(|(id, _)| id.as_str()).collect::<String>();
    assert_eq!(ids(query()?.offset(2).limit(3).list().await?), "cde");
    assert_eq!(ids(query()?.after("c".parse()?).limit(2).list().await?), "de");
    assert_eq!(ids(query()?.after("g".parse()?).list().await?), "");
    assert_eq!(ids(query()?.offset(6).list().await?), "g");
    assert_eq!(ids(query()?.offset(7).list().await?), "");
    assert_eq!(ids(query()?.after("a".parse()?).offset(1).list().await?), "cdefg");
    let youngest =
        query()?.order_by(field("age")?.ascending()).filter(field("age")?.gt(-100)).first().await?;
    assert_eq!(youngest.unwrap().0.as_str(), "c");
    let by_age = query()?.order_by(field("age")?.ascending()).after("b".parse()?).offset(1).limit(2);
    assert_eq!(ids(by_age.list().await?), "ce");
    let both = query()?.filter(field("age")?.eq(36)).filter(field("name")?.eq("ada"));
    assert_eq!(ids(both.list().await?), "a");
    assert_eq!(query()?.offset(3).limit(1).count().await?, 7, "a count minds neither");
    assert_eq!(query()?.tenant(tenant("acme")).count().await?, 0);
    assert_eq!(query()?.filter(field("age")?.eq(0)).load("a").await?.unwrap(), people()[0].1);
    Ok(())
}

async fn rows_are_asked_like_documents(fresh: Fresh) -> Result<()> {
    let trips = flat_table::<TripEvent>("Trips", "trips")
        .nullable("driver", ColumnKind::Text)
        .column_or("km", ColumnKind::Integer, 0)
        .column_or("half", ColumnKind::Real, 0.0)
        .column_or("ended", ColumnKind::Boolean, false)
        .on("trip.started", |row| row.map("driver"))
        .on("trip.travelled", |row| row.increment_from("km", "km").increment("half", 0.5))
        .on("trip.ended", |row| row.set("ended", true));
    let mut spec = spec(&fresh, [trips.into()]).await?;
    spec.when_batch(batch([
        of("a", [started("ada"), travelled(3)]),
        of("b", [travelled(10), travelled(-20)]),
        of("c", [started("Bob"), TripEvent::Ended]),
        of("d", [started("ada"), travelled(i64::MAX)]),
    ]))
    .await?;
    let query = || spec.ermine().query_of::<Json>("Trips");
    for (filter, order, expected) in [
        (None, Some(field("driver")?.ascending()), "bcad"),
        (None, Some(field("driver")?.descending()), "adcb"),
        (Some(field("driver")?.eq("ada")), Some(field("km")?.descending()), "da"),
        (Some(field("driver")?.eq(Value::Null)), None, "b"),
        (Some(field("km")?.gt(2.5)), None, "ad"),
        (Some(field("half")?.eq(1)), None, "b"),
        (Some(field("ended")?.eq(true).or(field("km")?.lt(0))), None, "bc"),
        (Some(field("ended")?.ge(false).negated()), None, ""),
        (Some(field("id")?.eq("a")), None, ""),
    ] {
        let asked = (filter.clone(), order.clone());
        let found = filter.into_iter().fold(query()?, ermine::Query::filter);
        let found = order.into_iter().fold(found, ermine::Query::order_by).list().await?;
        let ids: String = found.iter().map(|(id, _)| id.as_str()).collect();
        assert_eq!(ids, expected, "{asked:?}");
    }
    Ok(())
}

on_every_store!(
    filters_go_by_kind_and_value,
    views_are_ordered_with_nothing_first,
    a_part_of_the_answer_is_cut_out,
    rows_are_asked_like_documents,
);

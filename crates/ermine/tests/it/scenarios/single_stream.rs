//! One view per stream.

use super::*;

async fn a_view_follows_its_stream(fresh: Fresh) -> Result<()> {
    let mut spec = spec(&fresh, [single_stream::<Trip>("Trip").into()]).await?;
    spec.given("a", [started("ada")]).await?;
    spec.given("b", [started("bob"), travelled(9)]).await?;
    spec.when("a", [travelled(3), travelled(-1)]).await?;
    spec.then_all("Trip", [("a", trip("ada", 2)), ("b", trip("bob", 9))]).await
}

async fn none_deletes_and_the_next_event_starts_again(fresh: Fresh) -> Result<()> {
    let mut spec = spec(&fresh, [single_stream::<Trip>("Trip").into()]).await?;
    spec.given("a", [started("ada"), travelled(3)]).await?;
    spec.when("a", [TripEvent::Cancelled]).await?;
    spec.then("Trip", "a", None::<Trip>).await?;
    spec.when("a", [travelled(4)]).await?;
    spec.then("Trip", "a", Some(trip("", 4))).await?;
    spec.when("a", [TripEvent::Cancelled, started("eve"), travelled(1)]).await?;
    spec.then("Trip", "a", Some(trip("eve", 1))).await?;
    spec.when("c", [started("cyn"), TripEvent::Cancelled]).await?;
    spec.then("Trip", "c", None::<Trip>).await
}

async fn two_versions_keep_views_of_their_own(fresh: Fresh) -> Result<()> {
    let first = ProjectionSpec::new(fresh.store(), [single_stream::<Trip>("Trip").into()]).await?;
    first.ermine().append("a", [started("ada"), travelled(3)]).await?;
    first.ermine().catch_up().await?;
    let second = single_stream::<Diary>("Trip").version(2);
    let mut both = spec(&fresh, [single_stream::<Trip>("Trip").into(), second.into()]).await?;
    both.when("a", [travelled(4)]).await?;
    first.then("Trip", "a", Some(trip("ada", 7))).await?;
    both.then("Trip", "a", Some(trip("ada", 7))).await?;
    let second = both.ermine().query_of::<Diary>("Trip")?.version(2)?.load("a").await?;
    assert_eq!(second, Some(diary(&["a: started ada", "a: 3", "a: 4"])));
    let progress = both.ermine().progress().await?;
    let shards: Vec<String> = progress.iter().map(|p| p.shard.to_string()).collect();
    assert_eq!(shards, ["Trip:All", "Trip:V2:All"]);
    Ok(())
}

/// Everything that travels with an event.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Seen {
    correlation: Option<String>,
    causation: Option<String>,
    headers: Option<serde_json::Value>,
    version: u64,
    recorded_at: Option<String>,
    ids: usize,
    type_name: String,
}

impl Aggregate for Seen {
    type Event = TripEvent;

    fn evolve(seen: Option<Self>, event: &Recorded<TripEvent>) -> Result<Option<Self>, ApplyError> {
        Ok(Some(Self {
            correlation: event.correlation().map(Into::into),
            causation: event.causation().map(Into::into),
            headers: event.headers().map(ermine::core::Body::decode).transpose()?,
            version: event.version().get(),
            recorded_at: Some(event.recorded_at().to_string()),
            ids: seen.map_or(0, |seen| seen.ids) + 1,
            type_name: event.type_name().to_string(),
        }))
    }
}

async fn metadata_travels_with_an_event(fresh: Fresh) -> Result<()> {
    let mut spec = spec(&fresh, [single_stream::<Seen>("Seen").into()]).await?;
    let headers = serde_json::json!({"user": "Ærmine", "roles": ["a", 1, null], "deep": {"x": -0.5}});
    let event = NewEvent::of(&travelled(1))?
        .with_correlation("order-7")?
        .with_causation("mail-é")?
        .with_headers(&headers)?;
    let of_a = StreamAppend::new("a".parse()?, vec![NewEvent::of(&started("ada"))?, event]);
    let appended = spec.when_batch(batch([of_a, of("b", [TripEvent::Ended])])).await?;
    let recorded_at = Some(appended.recorded_at.to_string());
    let of_a = Seen {
        correlation: Some("order-7".into()),
        causation: Some("mail-é".into()),
        headers: Some(headers),
        version: 2,
        recorded_at: recorded_at.clone(),
        ids: 2,
        type_name: "trip.travelled".into(),
    };
    let of_b = Seen { version: 1, recorded_at, ids: 1, type_name: "trip.ended".into(), ..Seen::default() };
    spec.then_all("Seen", [("a", of_a), ("b", of_b)]).await
}

async fn tenants_do_not_see_each_other(fresh: Fresh) -> Result<()> {
    let mut spec = spec(&fresh, [single_stream::<Trip>("Trip").into()]).await?;
    spec.given("a", [started("ada")]).await?;
    let acme = of("a", [started("eve"), travelled(5)]).for_tenant(tenant("acme"));
    let umlaut = of("a", [started("ida")]).for_tenant(tenant("zürich"));
    spec.when_batch(batch([acme, umlaut, of("a", [travelled(1)])])).await?;
    let acme = of("a", [TripEvent::Cancelled]).for_tenant(tenant("zürich"));
    spec.when_batch(batch([acme])).await?;
    spec.then_all("Trip", [("a", trip("ada", 1))]).await?;
    spec.then_of(&tenant("acme"), "Trip", "a", Some(trip("eve", 5))).await?;
    spec.then_of(&tenant("zürich"), "Trip", "a", None::<Trip>).await?;
    spec.then_of(&tenant("Acme"), "Trip", "a", None::<Trip>).await
}

async fn ids_are_told_apart_byte_by_byte(fresh: Fresh) -> Result<()> {
    let mut spec = spec(&fresh, [single_stream::<Trip>("Trip").into()]).await?;
    let long = "x".repeat(500);
    let ids = ["A", "a", "a ", " a", "á", "a\u{301}", "%", "'; drop table x --", "🦦", "\\", long.as_str()];
    for (km, id) in (0..).zip(ids) {
        spec.when(id, [travelled(km)]).await?;
    }
    spec.then_all("Trip", ids.into_iter().zip((0..).map(|km| trip("", km)))).await
}

async fn pages_of_one_event_come_to_the_same(fresh: Fresh) -> Result<()> {
    let large = single_stream::<Diary>("Large");
    let small = single_stream::<Diary>("Small").page_events_max(at_most(1)).cache_bytes_max(0);
    let mut spec = spec(&fresh, [large.into(), small.into()]).await?;
    let events = |n: i64| (0..n).map(travelled);
    spec.given("a", events(7)).await?;
    spec.when_batch(batch([of("b", events(3)), of("a", events(2)), of("b2", [TripEvent::Cancelled])]))
        .await?;
    spec.when("a", [TripEvent::Cancelled, started("eve"), travelled(7)]).await?;
    let expected = [("a", diary(&["a: started eve", "a: 7"])), ("b", diary(&["b: 0", "b: 1", "b: 2"]))];
    spec.then_all("Large", expected.clone()).await?;
    spec.then_all("Small", expected).await
}

async fn text_and_numbers_come_back_as_they_were(fresh: Fresh) -> Result<()> {
    let mut spec = spec(&fresh, [single_stream::<Trip>("Trip").into()]).await?;
    let driver = "\u{1}\t\n\"\\/ e\u{301} 漢字 🦦\u{10ffff}";
    spec.when("low", [started(driver), travelled(i64::MIN)]).await?;
    spec.when("high", [travelled(i64::MAX), travelled(-1), travelled(1)]).await?;
    spec.then_all("Trip", [("low", trip(driver, i64::MIN)), ("high", trip("", i64::MAX))]).await
}

on_every_store!(
    a_view_follows_its_stream,
    none_deletes_and_the_next_event_starts_again,
    two_versions_keep_views_of_their_own,
    metadata_travels_with_an_event,
    tenants_do_not_see_each_other,
    ids_are_told_apart_byte_by_byte,
    pages_of_one_event_come_to_the_same,
    text_and_numbers_come_back_as_they_were,
);

//! Which events a projection is given: filters, archived streams, skipped and unknown events, where it starts.

use ermine::{
    ErrorKind,
    core::{Archived, Body, Seq, StreamType, TypeName},
};
use serde_json::{Value as Json, json};

use super::*;

fn all(name: &'static str) -> ermine::core::Projected<ermine::core::MultiStream<Diary>> {
    multi_stream::<Diary, _, _>(name, |_| "all")
}

async fn only_the_named_types_come(fresh: Fresh) -> Result<()> {
    let some = all("Some").only(["trip.travelled"]).only(["trip.ended"]);
    let mut spec = spec(&fresh, [some.into(), all("All").into()]).await?;
    spec.when(
        "a",
        [started("ada"), travelled(1), shared(&["x"]), TripEvent::Ended, TripEvent::Cancelled, travelled(2)],
    )
    .await?;
    spec.then_all("Some", [("all", diary(&["a: 1", "a: ended", "a: 2"]))]).await?;
    spec.then_all("All", [("all", diary(&["a: 2"]))]).await
}

async fn only_streams_of_the_type_come(fresh: Fresh) -> Result<()> {
    let vans = single_stream::<Diary>("Vans")
        .for_streams_of("van")
        .only(["trip.travelled"])
        .page_events_max(at_most(1));
    let mut spec = spec(&fresh, [vans.into()]).await?;
    let typed = |stream, kind, km| {
        of(stream, [travelled(km), TripEvent::Ended]).of_type(StreamType::new(kind).unwrap())
    };
    spec.when_batch(batch([
        typed("a", "van", 1),
        typed("b", "Van", 2),
        of("c", [travelled(3)]),
        typed("d", "van", 4),
    ]))
    .await?;
    spec.when("a", [travelled(5)]).await?;
    spec.then_all("Vans", [("a", diary(&["a: 1", "a: 5"])), ("d", diary(&["d: 4"]))]).await
}

async fn archived_streams_keep_or_drop_their_views(fresh: Fresh) -> Result<()> {
    let named = |name, archived| single_stream::<Trip>(name).archived(archived);
    let rows = flat_table::<TripEvent>("Rows", "trips")
        .column("driver", ColumnKind::Text)
        .on("trip.started", |row| row.map("driver"))
        .archived(Archived::Drop);
    let mut spec = spec(
        &fresh,
        [
            named("Replay", Archived::Replay).into(),
            named("Keep", Archived::Keep).into(),
            named("Drop", Archived::Drop).into(),
            rows.into(),
            all("All").into(),
        ],
    )
    .await?;
    spec.given("a", [started("ada"), travelled(1)]).await?;
    spec.given("b", [started("bob")]).await?;
    // These are appended before the archiving, and read after it.
    spec.ermine().append("a", [travelled(2)]).await?;
    spec.ermine().append("c", [started("cyn")]).await?;
    spec.ermine().archive_stream(&"a".parse()?).await?;
    spec.ermine().archive_stream(&"c".parse()?).await?;
    let refused = spec.ermine().append("a", [travelled(3)]).await.unwrap_err();
    assert!(refused.chain().contains("archived"), "{}", refused.chain());
    spec.when("b", [travelled(4)]).await?;
    for name in ["Replay", "Keep"] {
        spec.then_all(name, [("a", trip("ada", 3)), ("b", trip("bob", 4)), ("c", trip("cyn", 0))]).await?;
    }
    spec.then_all("Drop", [("b", trip("bob", 4))]).await?;
    spec.then_all("Rows", [("b", json!({"driver": "bob"}))]).await?;
    let lines = ["a: started ada", "a: 1", "b: started bob", "a: 2", "c: started cyn", "b: 4"];
    spec.then_all("All", [("all", diary(&lines))]).await
}

async fn a_projection_that_comes_later_meets_archived_streams_in_order(fresh: Fresh) -> Result<()> {
    let earlier = spec(&fresh, [single_stream::<Trip>("Trip").into()]).await?;
    earlier.ermine().append("a", [started("ada")]).await?;
    earlier.ermine().archive_stream(&"a".parse()?).await?;
    earlier.ermine().append("b", [started("bob")]).await?;
    let drop = |name| single_stream::<Trip>(name).archived(Archived::Drop);
    let small = drop("Small").page_events_max(at_most(1)).cache_bytes_max(0);
    let mut later =
        spec(&fresh, [single_stream::<Trip>("Stay").into(), drop("Drop").into(), small.into()]).await?;
    later.when("b", [travelled(1)]).await?;
    later.then_all("Stay", [("a", trip("ada", 0)), ("b", trip("bob", 1))]).await?;
    later.then_all("Drop", [("b", trip("bob", 1))]).await?;
    later.then_all("Small", [("b", trip("bob", 1))]).await
}

async fn a_skipped_event_is_passed_by_those_that_have_not_read_it(fresh: Fresh) -> Result<()> {
    let mut spec = spec(&fresh, [all("Early").into()]).await?;
    spec.given("a", [travelled(1), travelled(2), travelled(3)]).await?;
    let skipped = spec.ermine().skip_events(&[Seq::new(2), Seq::new(99)], "wrong distance").await?;
    assert_eq!(skipped, 1);
    let mut late = super::spec(&fresh, [all("Early").into(), all("Late").into()]).await?;
    late.when("a", [travelled(4)]).await?;
    late.then_all("Early", [("all", diary(&["a: 1", "a: 2", "a: 3", "a: 4"]))]).await?;
    late.then_all("Late", [("all", diary(&["a: 1", "a: 3", "a: 4"]))]).await?;
    assert_eq!(late.ermine().read_stream(&"a".parse()?, Version::ZERO, at_most(9)).await?.len(), 4);
    Ok(())
}

fn strange() -> StreamAppend {
    let event =
        NewEvent::new(TypeName::new("strange.thing").unwrap(), Body::encode(&json!({"x": 1})).unwrap());
    StreamAppend::new("s".parse().unwrap(), vec![event])
}

async fn an_unknown_event_is_passed_and_counted(fresh: Fresh) -> Result<()> {
    let mut spec = spec(&fresh, [all("Pass").into()]).await?;
    spec.given("a", [travelled(1)]).await?;
    spec.when_batch(batch([strange(), of("a", [travelled(2)])])).await?;
    spec.then_all("Pass", [("all", diary(&["a: 1", "a: 2"]))]).await?;
    let progress = spec.ermine().progress().await?;
    assert_eq!((progress[0].seq, progress[0].unknown_events), (Seq::new(3), 1));
    Ok(())
}

#[derive(DomainEvent)]
#[event(prefix = "strange")]
enum StrangeEvent {
    Thing { x: i64 },
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Things(i64);

impl Aggregate for Things {
    type Event = StrangeEvent;

    fn evolve(things: Option<Self>, event: &Recorded<StrangeEvent>) -> Result<Option<Self>, ApplyError> {
        let StrangeEvent::Thing { x } = event.data();
        Ok(Some(Self(things.unwrap_or_default().0 + x)))
    }
}

async fn an_unknown_event_is_refused_until_somebody_knows_it(fresh: Fresh) -> Result<()> {
    let careful = || all("Careful").errors(ErrorPolicy::new().skip_unknown_events(false));
    let mut spec = spec(&fresh, [careful().into()]).await?;
    spec.given("a", [travelled(1)]).await?;
    let refused = spec.when_batch(batch([of("a", [travelled(2)]), strange()])).await.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::UnknownEvent { seq: Seq::new(3) }, "{}", refused.chain());
    let mut newer = super::spec(&fresh, [careful().into(), single_stream::<Things>("Things").into()]).await?;
    newer.when("a", [travelled(3)]).await?;
    newer.then_all("Careful", [("all", diary(&["a: 1", "a: 2", "a: 3"]))]).await?;
    newer.then_all("Things", [("s", Things(1))]).await
}

async fn projections_start_where_they_are_told(fresh: Fresh) -> Result<()> {
    let earlier = spec(&fresh, [all("Early").into()]).await?;
    earlier.ermine().append("a", [travelled(1), travelled(2)]).await?;
    let third = earlier.ermine().append("a", [travelled(3)]).await?;
    earlier.ermine().append("a", [travelled(4)]).await?;
    let registered = || {
        [
            all("Beginning").into(),
            all("Present").start(Start::Present).into(),
            all("After").start(Start::After(Seq::new(1))).into(),
            all("Since").start(Start::Since(third.recorded_at)).into(),
            all("Inline").starts_as_inline().into(),
        ]
    };
    let later = spec(&fresh, registered()).await?;
    later.ermine().catch_up().await?;
    later.then_all::<Diary>("Present", []).await?;
    // Once there is progress, it goes on from there.
    let mut again = spec(&fresh, registered()).await?;
    again.when("a", [travelled(5)]).await?;
    again.then_all("Beginning", [("all", diary(&["a: 1", "a: 2", "a: 3", "a: 4", "a: 5"]))]).await?;
    again.then_all("Present", [("all", diary(&["a: 5"]))]).await?;
    again.then_all("Inline", [("all", diary(&["a: 5"]))]).await?;
    again.then_all("After", [("all", diary(&["a: 2", "a: 3", "a: 4", "a: 5"]))]).await?;
    let events = again.ermine().read_stream(&"a".parse()?, Version::ZERO, at_most(9)).await?;
    let since = events.iter().filter(|event| event.recorded_at >= third.recorded_at);
    let since: Vec<String> = since.map(|event| format!("a: {}", event.version)).collect();
    again.then_all("Since", [("all", Diary(since))]).await
}

async fn an_event_that_cannot_be_decoded_is_named(fresh: Fresh) -> Result<()> {
    let mut spec = spec(&fresh, [single_stream::<Trip>("Trip").into()]).await?;
    spec.given("a", [started("ada")]).await?;
    let body = Body::encode(&json!({"km": "many"}))?;
    let event = NewEvent::new(TypeName::new("trip.travelled")?, body);
    let refused = spec.when_batch(batch([StreamAppend::new("a".parse()?, vec![event])])).await.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::Serialization { seq: Some(Seq::new(2)) }, "{}", refused.chain());
    spec.ermine().skip_events(&[Seq::new(2)], "not a number").await?;
    spec.when("a", [travelled(7)]).await?;
    spec.then_all("Trip", [("a", json!({"driver": "ada", "km": 7, "ended": false}) as Json)]).await
}

async fn the_present_of_an_empty_log_is_its_beginning(fresh: Fresh) -> Result<()> {
    let mut spec = spec(&fresh, [all("Present").start(Start::Present).into()]).await?;
    spec.ermine().catch_up().await?;
    spec.when("a", [travelled(1)]).await?;
    spec.then_all("Present", [("all", diary(&["a: 1"]))]).await
}

on_every_store!(
    the_present_of_an_empty_log_is_its_beginning,
    only_the_named_types_come,
    only_streams_of_the_type_come,
    archived_streams_keep_or_drop_their_views,
    a_projection_that_comes_later_meets_archived_streams_in_order,
    a_skipped_event_is_passed_by_those_that_have_not_read_it,
    an_unknown_event_is_passed_and_counted,
    an_unknown_event_is_refused_until_somebody_knows_it,
    projections_start_where_they_are_told,
    an_event_that_cannot_be_decoded_is_named,
);

//! Projections that read views: custom ones, look-ups, composites, `after`.

use std::sync::Arc;

use ermine::core::{
    Body, Deleted, Operation, PageError, PageProjection, ProjectionName, Seq, StoredView, Updated, ViewKey,
    ViewRead, ViewTable, Views,
};

use super::*;

fn key(event: &Recorded<TripEvent>) -> ViewKey {
    ViewKey { tenant: event.tenant().clone(), id: event.stream().clone().into() }
}

/// The longest leg of each trip, kept by a projection that reads its own views.
struct Longest;

impl PageProjection for Longest {
    type Event = TripEvent;

    fn reads(&self, page: &[Recorded<TripEvent>]) -> Result<Vec<ViewRead>, PageError> {
        Ok(vec![ViewRead {
            projection: ProjectionName::new("Longest")?,
            keys: page.iter().map(key).collect(),
        }])
    }

    fn apply(
        &self,
        page: &[Recorded<TripEvent>],
        views: &Views,
        table: &ViewTable,
    ) -> Result<Vec<Operation>, PageError> {
        let mut known: Vec<(ViewKey, i64)> = Vec::new();
        let mut operations = Vec::new();
        for (at, event) in page.iter().enumerate() {
            let key = key(event);
            if let TripEvent::Cancelled = event.data() {
                known.retain(|(other, _)| *other != key);
                known.push((key.clone(), 0));
                operations.push(Operation::Delete { table: table.clone(), key });
                continue;
            }
            let TripEvent::Travelled { km } = event.data() else { continue };
            if *km < 0 {
                return Err(PageError::at(at, ApplyError::msg("nobody drives backwards")));
            }
            let stored = match known.iter().position(|(other, _)| *other == key) {
                Some(at) => known.swap_remove(at).1,
                None => views.get_of("Longest", &key.tenant, &key.id)?.unwrap_or(0),
            };
            let longest = stored.max(*km);
            known.push((key.clone(), longest));
            let view = StoredView {
                body: Body::encode(&longest)?,
                version: event.version(),
                seq: event.seq().unwrap_or(Seq::ZERO),
            };
            operations.push(Operation::Store { table: table.clone(), key, view });
        }
        Ok(operations)
    }
}

async fn a_custom_projection_reads_its_own_views(fresh: Fresh) -> Result<()> {
    let mut spec = spec(&fresh, [custom("Longest", Longest).page_events_max(at_most(3)).into()]).await?;
    spec.given("a", [travelled(3), travelled(9), travelled(4)]).await?;
    spec.when_batch(batch([
        of("a", [travelled(5)]),
        of("b", [travelled(1), travelled(2)]),
        of("a", [travelled(7)]).for_tenant(tenant("acme")),
    ]))
    .await?;
    spec.then_all("Longest", [("a", 9), ("b", 2)]).await?;
    spec.then_of(&tenant("acme"), "Longest", "a", Some(7)).await?;
    spec.when("a", [TripEvent::Cancelled, travelled(1)]).await?;
    spec.then_all("Longest", [("a", 1), ("b", 2)]).await
}

async fn a_custom_projection_names_the_event_that_it_refuses(fresh: Fresh) -> Result<()> {
    let mut spec = spec(&fresh, [custom("Longest", Longest).into()]).await?;
    spec.given("a", [travelled(3)]).await?;
    let refused = spec.when("a", [travelled(4), travelled(-1), travelled(5)]).await.unwrap_err();
    assert_eq!(*refused.kind(), ermine::ErrorKind::Apply { seq: Seq::new(3) }, "{}", refused.chain());
    // What comes before it goes through.
    spec.then_all("Longest", [("a", 4)]).await
}

/// Who drives, as the look-up has found it, with each event.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Driven(Vec<String>);

impl Aggregate for Driven {
    type Event = TripEvent;

    fn evolve(driven: Option<Self>, event: &Recorded<TripEvent>) -> Result<Option<Self>, ApplyError> {
        let mut driven = driven.unwrap_or_default();
        let ids: Vec<&str> = match event.data() {
            TripEvent::Shared { with } => with.iter().map(String::as_str).collect(),
            _ => vec![event.stream()],
        };
        let found =
            ids.into_iter().map(|id| event.looked_up::<Trip>(id).map_or("-", |trip| trip.driver.as_str()));
        driven.0.push(found.collect::<Vec<_>>().join("+"));
        Ok(Some(driven))
    }
}

fn driven(lines: &[&str]) -> Driven {
    Driven(lines.iter().map(ToString::to_string).collect())
}

fn referred(event: &Recorded<TripEvent>) -> Vec<String> {
    match event.data() {
        TripEvent::Shared { with } => with.clone(),
        _ => vec![event.stream().to_string()],
    }
}

async fn a_look_up_finds_what_is_there_and_passes_what_is_not(fresh: Fresh) -> Result<()> {
    let driven_by =
        single_stream::<Driven>("Driven")
            .only(["trip.ended", "trip.shared"])
            .look_up(look_up::<Trip, _, _>("Trip", referred));
    let mut spec = spec(&fresh, [driven_by.into(), single_stream::<Trip>("Trip").into()]).await?;
    spec.given("a", [started("ada")]).await?;
    spec.given("b", [started("bob")]).await?;
    spec.when("c", [shared(&["a", "nobody", "b", "a"]), shared(&[]), TripEvent::Ended]).await?;
    spec.when_batch(batch([of("c", [shared(&["a"])]).for_tenant(tenant("acme"))])).await?;
    spec.then_all("Driven", [("c", driven(&["ada+-+bob+ada", "", ""]))]).await?;
    spec.then_of(&tenant("acme"), "Driven", "c", Some(driven(&["-"]))).await?;
    spec.when("a", [TripEvent::Cancelled]).await?;
    spec.when("c", [shared(&["a", "b"])]).await?;
    spec.then_all("Driven", [("c", driven(&["ada+-+bob+ada", "", "", "-+bob"]))]).await
}

async fn a_look_up_of_another_tenant_finds_its_own(fresh: Fresh) -> Result<()> {
    let of_stream =
        multi_stream::<Driven, _, _>("Driven", |event: &Recorded<TripEvent>| event.stream().to_string())
            .look_up(look_up::<Trip, _, _>("Trip", referred));
    let mut spec = spec(&fresh, [single_stream::<Trip>("Trip").into(), of_stream.into()]).await?;
    let acme = of("a", [started("eve")]).for_tenant(tenant("acme"));
    spec.when_batch(batch([of("a", [started("ada")]), acme])).await?;
    spec.then_all("Driven", [("a", driven(&["ada"]))]).await?;
    spec.then_of(&tenant("acme"), "Driven", "a", Some(driven(&["eve"]))).await
}

async fn what_runs_after_another_sees_all_that_it_has_done(fresh: Fresh) -> Result<()> {
    let later = multi_stream::<Driven, _, _>("Later", |_| "all")
        .only(["trip.ended"])
        .after("Trip")
        .page_events_max(at_most(1))
        .look_up(look_up::<Trip, _, _>("Trip", referred));
    let slow = single_stream::<Trip>("Trip").page_events_max(at_most(1));
    let mut spec = spec(&fresh, [later.into(), slow.into()]).await?;
    let trips = (0..8).map(|n| of(&format!("t{n}"), [started(&format!("d{n}")), TripEvent::Ended]));
    spec.when_batch(batch(trips)).await?;
    spec.then_all("Later", [("all", driven(&["d0", "d1", "d2", "d3", "d4", "d5", "d6", "d7"]))]).await
}

/// What later stages are told of trips.
#[derive(DomainEvent)]
enum ChangeEvent {
    #[event(name = "updated:Trip")]
    Updated(Updated<Trip>),
    #[event(name = "deleted:Trip")]
    Deleted(Deleted<Trip>),
    #[event(name = "trip.ended")]
    Ended,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct History(Vec<String>);

impl Aggregate for History {
    type Event = ChangeEvent;

    fn evolve(history: Option<Self>, event: &Recorded<ChangeEvent>) -> Result<Option<Self>, ApplyError> {
        let mut history = history.unwrap_or_default();
        history.0.push(match event.data() {
            ChangeEvent::Updated(trip) => format!("{} of {} is {}", trip.id, trip.view.driver, trip.view.km),
            ChangeEvent::Deleted(trip) => format!("{} is gone", trip.id),
            ChangeEvent::Ended => "ended".into(),
        });
        Ok(Some(history))
    }
}

/// How many lines each history has, told by the stage before.
#[derive(DomainEvent)]
enum LineEvent {
    #[event(name = "updated:History")]
    Told(Updated<History>),
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Lines(Vec<usize>);

impl Aggregate for Lines {
    type Event = LineEvent;

    fn evolve(lines: Option<Self>, event: &Recorded<LineEvent>) -> Result<Option<Self>, ApplyError> {
        let mut lines = lines.unwrap_or_default();
        let LineEvent::Told(history) = event.data();
        lines.0.push(history.view.0.len());
        Ok(Some(lines))
    }
}

fn member(projection: impl Projection + 'static) -> Arc<dyn Projection> {
    Arc::new(projection)
}

fn by_stream<E>(event: &Recorded<E>) -> String {
    event.stream().to_string()
}

fn history(lines: &[&str]) -> History {
    History(lines.iter().map(ToString::to_string).collect())
}

async fn three_stages_follow_each_other_in_one_page(fresh: Fresh) -> Result<()> {
    let all = composite("All")
        .stage([member(single_stream::<Trip>("Trip")), member(single_stream::<Diary>("Diary"))])
        .stage([member(multi_stream::<History, _, _>("History", by_stream))])
        .stage([member(multi_stream::<Lines, _, _>("Lines", |_: &Recorded<LineEvent>| "all"))]);
    let mut spec = spec(&fresh, [all.into()]).await?;
    spec.when("a", [started("ada"), travelled(2), TripEvent::Ended]).await?;
    spec.when_batch(batch([of("a", [travelled(3)]), of("b", [started("bob")])])).await?;
    spec.when("a", [TripEvent::Cancelled]).await?;
    let of_a = history(&["ended", "a of ada is 2", "a of ada is 5", "a is gone"]);
    spec.then_all("History", [("a", of_a), ("b", history(&["b of bob is 0"]))]).await?;
    // After the first page 2 lines of a, after the second 3 of a and 1 of b, then 4 of a.
    spec.then_all("Lines", [("all", Lines(vec![2, 3, 1, 4]))]).await?;
    spec.then_all("Trip", [("b", trip("bob", 0))]).await?;
    spec.then_all("Diary", [("b", diary(&["b: started bob"]))]).await
}

async fn a_view_that_comes_and_goes_within_a_page_is_told_as_it_is_at_the_end(fresh: Fresh) -> Result<()> {
    let both = composite("Both")
        .stage([member(single_stream::<Trip>("Trip"))])
        .stage([member(multi_stream::<History, _, _>("History", |_: &Recorded<ChangeEvent>| "all"))]);
    let mut spec = spec(&fresh, [both.into()]).await?;
    spec.given("a", [started("ada"), TripEvent::Cancelled]).await?;
    spec.then_all::<History>("History", []).await?;
    spec.when("a", [started("eve")]).await?;
    spec.when("a", [TripEvent::Cancelled, started("ida"), travelled(4)]).await?;
    spec.then_all("History", [("all", history(&["a of eve is 0", "a of ida is 4"]))]).await
}

async fn a_later_stage_looks_up_what_an_earlier_one_has_just_made(fresh: Fresh) -> Result<()> {
    let driven_by = single_stream::<Driven>("Driven").look_up(look_up::<Trip, _, _>("Trip", referred));
    let both = composite("Both").stage([member(single_stream::<Trip>("Trip"))]).stage([member(driven_by)]);
    let mut spec = spec(&fresh, [both.into()]).await?;
    spec.when_batch(batch([of("a", [started("ada")]), of("b", [started("bob"), shared(&["a", "b", "c"])])]))
        .await?;
    spec.when("b", [TripEvent::Cancelled]).await?;
    spec.then_all("Driven", [("a", driven(&["ada"])), ("b", driven(&["bob", "ada+bob+-", "-"]))]).await
}

async fn a_swept_view_is_gone_for_later_stages_too(fresh: Fresh) -> Result<()> {
    let trips = event_projection("Trip", |event: &Recorded<TripEvent>, views: &mut ViewChanges<Trip>| {
        match event.data() {
            TripEvent::Started { driver } => views.store(event.stream().as_str(), &trip(driver, 0))?,
            TripEvent::Cancelled => views.delete_where(field("driver")?.eq("ada")),
            _ => {}
        }
        Ok(())
    });
    let driven_by = single_stream::<Driven>("Driven")
        .only(["trip.ended"])
        .look_up(look_up::<Trip, _, _>("Trip", referred));
    let told = multi_stream::<History, _, _>("History", by_stream);
    let both = composite("Both").stage([member(trips)]).stage([member(driven_by), member(told)]);
    let mut spec = spec(&fresh, [both.into()]).await?;
    spec.when_batch(batch([
        of("a", [started("ada")]),
        of("b", [started("bob"), TripEvent::Cancelled, TripEvent::Ended]),
        of("a2", [TripEvent::Ended]),
    ]))
    .await?;
    spec.when_batch(batch([of("a", [TripEvent::Ended])])).await?;
    spec.then_all("Trip", [("b", trip("bob", 0))]).await?;
    spec.then_all("Driven", [("a", driven(&["-"])), ("a2", driven(&["-"])), ("b", driven(&["bob"]))]).await?;
    let told = [
        ("a", history(&["a is gone", "ended"])),
        ("a2", history(&["ended"])),
        ("b", history(&["b of bob is 0", "ended"])),
    ];
    spec.then_all("History", told).await
}

async fn a_look_up_finds_the_views_of_a_member_of_a_composite(fresh: Fresh) -> Result<()> {
    let slow = ermine::core::Options { page_events_max: Some(at_most(1)), ..Default::default() };
    let trips = composite("Trips").stage([member(single_stream::<Trip>("Trip"))]).options(slow);
    let driven_by = single_stream::<Driven>("Driven").look_up(look_up::<Trip, _, _>("Trip", referred));
    let mut spec = spec(&fresh, [driven_by.into(), trips.into()]).await?;
    spec.when_batch(batch([of("a", [started("ada"), travelled(1)]), of("b", [shared(&["a"])])])).await?;
    spec.then("Driven", "b", Some(driven(&["ada"]))).await?;
    spec.when("a", [started("eve"), TripEvent::Ended]).await?;
    spec.then("Driven", "a", Some(driven(&["ada", "ada", "eve", "eve"]))).await
}

async fn the_state_of_a_stream_is_not_folded_twice_where_changes_are_told_too(fresh: Fresh) -> Result<()> {
    let both = composite("Both")
        .stage([member(single_stream::<Trip>("Trip"))])
        .stage([member(single_stream::<History>("History"))]);
    let mut spec = spec(&fresh, [both.into()]).await?;
    spec.when("a", [started("ada"), TripEvent::Ended]).await?;
    let told = history(&["ended", "a of ada is 0"]);
    spec.then("History", "a", Some(told.clone())).await?;
    assert_eq!(spec.ermine().fetch_latest::<History>("a").await?, Some(told));
    Ok(())
}

on_every_store!(
    a_look_up_finds_the_views_of_a_member_of_a_composite,
    the_state_of_a_stream_is_not_folded_twice_where_changes_are_told_too,
    a_custom_projection_reads_its_own_views,
    a_custom_projection_names_the_event_that_it_refuses,
    a_look_up_finds_what_is_there_and_passes_what_is_not,
    a_look_up_of_another_tenant_finds_its_own,
    what_runs_after_another_sees_all_that_it_has_done,
    three_stages_follow_each_other_in_one_page,
    a_view_that_comes_and_goes_within_a_page_is_told_as_it_is_at_the_end,
    a_later_stage_looks_up_what_an_earlier_one_has_just_made,
    a_swept_view_is_gone_for_later_stages_too,
);

//! Views that gather events of many streams.

use ermine::core::{
    Appended, PageError, ProjectionName, Slicer, Slices, StreamType, ViewKey, ViewRead, Views, sliced,
    tenant_roll_up,
};

use super::*;

/// The people that an event is about: none, one or several, some twice.
fn people(event: &Recorded<TripEvent>) -> Vec<String> {
    match event.data() {
        TripEvent::Started { driver } => vec![driver.clone()],
        TripEvent::Shared { with } => with.clone(),
        _ => Vec::new(),
    }
}

async fn an_event_goes_to_every_view_that_it_names_once(fresh: Fresh) -> Result<()> {
    let mut spec = spec(&fresh, [multi_stream::<Diary, _, _>("Person", people).into()]).await?;
    spec.given("a", [started("ada"), travelled(3)]).await?;
    spec.when("a", [shared(&["bob", "ada", "bob"]), shared(&[])]).await?;
    spec.when("b", [started("bob"), TripEvent::Ended]).await?;
    spec.then_all(
        "Person",
        [
            ("ada", diary(&["a: started ada", "a: shared bob+ada+bob"])),
            ("bob", diary(&["a: shared bob+ada+bob", "b: started bob"])),
        ],
    )
    .await
}

async fn streams_meet_in_a_view_in_the_order_of_the_log(fresh: Fresh) -> Result<()> {
    let all = || multi_stream::<Diary, _, _>("All", |_| "all");
    let small = multi_stream::<Diary, _, _>("Small", |_| ["all", "also"]).page_events_max(at_most(2));
    let mut spec = spec(&fresh, [all().into(), small.into()]).await?;
    spec.when_batch(batch([
        of("z", [travelled(1), travelled(2)]),
        of("a", [travelled(3)]),
        of("m", [travelled(4)]),
    ]))
    .await?;
    spec.when("a", [travelled(5)]).await?;
    spec.when_batch(batch([of("m", [travelled(6)]), of("a", [travelled(7)])])).await?;
    let lines = diary(&["z: 1", "z: 2", "a: 3", "m: 4", "a: 5", "m: 6", "a: 7"]);
    spec.then_all("All", [("all", lines.clone())]).await?;
    spec.then_all("Small", [("all", lines.clone()), ("also", lines)]).await
}

async fn a_view_of_many_streams_is_deleted_and_made_again(fresh: Fresh) -> Result<()> {
    let all = multi_stream::<Diary, _, _>("All", |_| "all");
    let mut spec = spec(&fresh, [all.into()]).await?;
    spec.given("a", [travelled(1)]).await?;
    spec.when("b", [TripEvent::Cancelled]).await?;
    spec.then_all::<Diary>("All", []).await?;
    spec.when("a", [travelled(2), TripEvent::Cancelled, travelled(3)]).await?;
    spec.then_all("All", [("all", diary(&["a: 3"]))]).await
}

fn legs(event: &Recorded<TripEvent>) -> Option<Vec<TripEvent>> {
    match event.data() {
        TripEvent::Legs { km } => Some(km.iter().map(|km| travelled(*km)).collect()),
        _ => None,
    }
}

async fn children_name_views_of_their_own_before_the_grouping(fresh: Fresh) -> Result<()> {
    let by_length = |event: &Recorded<TripEvent>| match event.data() {
        TripEvent::Travelled { km } if *km >= 10 => Some("long"),
        TripEvent::Travelled { .. } => Some("short"),
        _ => None,
    };
    let legs = multi_stream::<Diary, _, _>("Legs", by_length).fan_out(legs);
    let mut spec = spec(&fresh, [legs.into()]).await?;
    spec.given("a", [travelled(12)]).await?;
    spec.when(
        "a",
        [TripEvent::Legs { km: vec![3, 20, 4] }, TripEvent::Legs { km: vec![] }, TripEvent::Ended],
    )
    .await?;
    spec.when("b", [TripEvent::Legs { km: vec![10] }]).await?;
    spec.then_all(
        "Legs",
        [("long", diary(&["a: 12", "a: 20", "b: 10"])), ("short", diary(&["a: 3", "a: 4"]))],
    )
    .await
}

async fn children_stay_together_after_the_grouping(fresh: Fresh) -> Result<()> {
    let by_stream = |event: &Recorded<TripEvent>| event.stream().to_string();
    let legs = multi_stream::<Diary, _, _>("Legs", by_stream).fan_out_in_view(legs);
    let mut spec = spec(&fresh, [legs.into()]).await?;
    spec.given("a", [started("ada")]).await?;
    spec.when("a", [TripEvent::Legs { km: vec![3, 20] }, TripEvent::Ended]).await?;
    spec.when("b", [TripEvent::Legs { km: vec![] }]).await?;
    spec.then_all("Legs", [("a", diary(&["a: started ada", "a: 3", "a: 20", "a: ended"]))]).await
}

/// A trip belongs to its driver, whose name is known from the first event, or from the view of an earlier page.
struct ByDriver;

impl Slicer<TripEvent> for ByDriver {
    fn reads(&self, page: &[Recorded<TripEvent>]) -> Result<Vec<ViewRead>, PageError> {
        let keys = page
            .iter()
            .map(|event| ViewKey { tenant: event.tenant().clone(), id: event.stream().clone().into() });
        Ok(vec![ViewRead { projection: ProjectionName::new("Trip")?, keys: keys.collect() }])
    }

    fn slice(
        &self,
        page: &[Recorded<TripEvent>],
        views: &Views,
        slices: &mut Slices,
    ) -> Result<(), PageError> {
        for (at, event) in page.iter().enumerate() {
            let trip: Option<Trip> = views.get_of("Trip", event.tenant(), &event.stream().clone().into())?;
            if let Some(trip) = trip.filter(|trip| !trip.driver.is_empty()) {
                slices.add(event.tenant(), &ViewId::new(trip.driver)?, at);
            }
        }
        Ok(())
    }
}

async fn a_slicer_goes_by_stored_views(fresh: Fresh) -> Result<()> {
    let by_driver = sliced::<Diary>("Driver", ByDriver).after("Trip").page_events_max(at_most(2));
    let mut spec = spec(&fresh, [by_driver.into(), single_stream::<Trip>("Trip").into()]).await?;
    spec.given("a", [started("ada")]).await?;
    spec.given("b", [started("bob"), travelled(1)]).await?;
    spec.when_batch(batch([of("a", [travelled(2)]), of("b", [travelled(3)]), of("x", [travelled(4)])]))
        .await?;
    spec.when_batch(batch([of("a", [travelled(5)]).for_tenant(tenant("acme"))])).await?;
    spec.then_all(
        "Driver",
        [("ada", diary(&["a: started ada", "a: 2"])), ("bob", diary(&["b: started bob", "b: 1", "b: 3"]))],
    )
    .await
}

async fn a_roll_up_has_a_view_per_tenant(fresh: Fresh) -> Result<()> {
    let mut spec = spec(&fresh, [tenant_roll_up::<Diary>("Tenants").into()]).await?;
    spec.given("a", [travelled(1)]).await?;
    let of_acme = |km| of("a", [travelled(km)]).for_tenant(tenant("acme"));
    let of_other = of("b", [travelled(3)]).for_tenant(tenant("Other:1"));
    spec.when_batch(batch([of_acme(2), of_other, of("b", [travelled(4)])])).await?;
    spec.when_batch(batch([of_acme(5)])).await?;
    spec.then_all(
        "Tenants",
        [
            ("acme", diary(&["a: 2", "a: 5"])),
            ("Other:1", diary(&["b: 3"])),
            ("default", diary(&["a: 1", "b: 4"])),
        ],
    )
    .await
}

async fn views_are_cut_by_month(fresh: Fresh) -> Result<()> {
    let month =
        |event: &Recorded<TripEvent>| format!("{}:{}", event.stream(), event.recorded_at().strftime("%Y-%m"));
    let months = multi_stream::<Diary, _, _>("Months", month);
    let mut spec = spec(&fresh, [months.into()]).await?;
    let id = |appended: &Appended| format!("a:{}", appended.recorded_at.strftime("%Y-%m"));
    let first = id(&spec.when_batch(batch([of("a", [travelled(1)])])).await?);
    let second = id(&spec.when_batch(batch([of("a", [travelled(2)])])).await?);
    if first == second {
        spec.then_all("Months", [(first.as_str(), diary(&["a: 1", "a: 2"]))]).await
    } else {
        // The month has changed meanwhile.
        spec.then_all("Months", [(first.as_str(), diary(&["a: 1"])), (second.as_str(), diary(&["a: 2"]))])
            .await
    }
}

#[tokio::test]
async fn a_new_month_is_a_new_view() {
    let clock =
        std::sync::Arc::new(ermine_testkit::ManualClock::new("2026-01-31T23:59:59Z".parse().unwrap()));
    let store = ermine_memory::MemoryStore::new().with_clock(clock.clone());
    let month =
        |event: &Recorded<TripEvent>| format!("{}:{}", event.stream(), event.recorded_at().strftime("%Y-%m"));
    let months = multi_stream::<Diary, _, _>("Months", month).page_events_max(at_most(2));
    let mut spec = ProjectionSpec::new(std::sync::Arc::new(store), [months.into()]).await.unwrap();
    for (at, km) in
        [("2026-01-31T23:59:59.999999Z", 1), ("2026-02-01T00:00:00Z", 2), ("2027-01-01T00:00:00Z", 3)]
    {
        clock.set(at.parse().unwrap());
        spec.when("a", [travelled(km)]).await.unwrap();
    }
    let months = ["a:2026-01", "a:2026-02", "a:2027-01"];
    let expected = months.into_iter().zip(["a: 1", "a: 2", "a: 3"].map(|line| diary(&[line])));
    spec.then_all("Months", expected).await.unwrap();
}

async fn only_streams_of_one_type_are_gathered(fresh: Fresh) -> Result<()> {
    let vans = multi_stream::<Diary, _, _>("Vans", |_| "all").for_streams_of("van");
    let mut spec = spec(&fresh, [vans.into()]).await?;
    let typed = |stream, kind, km| of(stream, [travelled(km)]).of_type(StreamType::new(kind).unwrap());
    spec.given("c", [travelled(1)]).await?;
    spec.when_batch(batch([typed("a", "van", 2), typed("b", "car", 3), typed("c", "van", 4)])).await?;
    // The type of a stream is that of its first append.
    spec.when_batch(batch([of("a", [travelled(5)]), of("b", [travelled(6)])])).await?;
    spec.then_all("Vans", [("all", diary(&["a: 2", "a: 5"]))]).await
}

on_every_store!(
    an_event_goes_to_every_view_that_it_names_once,
    streams_meet_in_a_view_in_the_order_of_the_log,
    a_view_of_many_streams_is_deleted_and_made_again,
    children_name_views_of_their_own_before_the_grouping,
    children_stay_together_after_the_grouping,
    a_slicer_goes_by_stored_views,
    a_roll_up_has_a_view_per_tenant,
    views_are_cut_by_month,
    only_streams_of_one_type_are_gathered,
);

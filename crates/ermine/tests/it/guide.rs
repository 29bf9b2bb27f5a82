//! The samples of the guide, `docs/src/projections.md`, `docs/src/errors.md` and `docs/src/reads.md`: the pages include them from here.

mod errors;
mod reads;

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use ermine::{
    core::{
        Body, Composite, Deleted, EventProjection, FlatTable, Message, MultiStream, Operation, PageEffects,
        PageError, PageProjection, Projected, ProjectionName, RowRule, SingleStream, StoredView, Updated,
        ViewKey, ViewRead, ViewTable, Views, tenant_roll_up,
    },
    prelude::*,
};
use ermine_memory::MemoryStore;

// ANCHOR: events
#[derive(DomainEvent)]
enum TripEvent {
    Started { driver: String },
    Travelled { km: f64 },
    Ended,
    Aborted,
}
// ANCHOR_END: events

// ANCHOR: single_stream
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Trip {
    driver: String,
    km: f64,
    ended: bool,
}

impl Aggregate for Trip {
    type Event = TripEvent;

    fn evolve(trip: Option<Self>, event: &Recorded<TripEvent>) -> Result<Option<Self>, ApplyError> {
        let mut trip = trip.unwrap_or_default();
        match event.data() {
            TripEvent::Started { driver } => trip.driver.clone_from(driver),
            TripEvent::Travelled { km } => trip.km += km,
            TripEvent::Ended => trip.ended = true,
            TripEvent::Aborted => return Ok(None), // no view any more
        }
        Ok(Some(trip))
    }
}

fn trips() -> Projected<SingleStream<Trip>> {
    single_stream("Trip")
}
// ANCHOR_END: single_stream

// ANCHOR: multi_stream
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Distance {
    km: f64,
}

impl Aggregate for Distance {
    type Event = TripEvent;

    fn evolve(distance: Option<Self>, event: &Recorded<TripEvent>) -> Result<Option<Self>, ApplyError> {
        let mut distance = distance.unwrap_or_default();
        if let TripEvent::Travelled { km } = event.data() {
            distance.km += km;
        }
        Ok(Some(distance))
    }
}

fn distance_by_month() -> Projected<MultiStream<Distance>> {
    multi_stream("DistanceByMonth", |event: &Recorded<TripEvent>| match event.data() {
        TripEvent::Travelled { .. } => Some(event.recorded_at().strftime("%Y-%m").to_string()),
        _ => None, // in no view
    })
}
// ANCHOR_END: multi_stream

// ANCHOR: tenant_roll_up
fn distance_by_tenant() -> Projected<MultiStream<Distance>> {
    tenant_roll_up("DistanceByTenant").only(["trip.travelled"])
}
// ANCHOR_END: tenant_roll_up

// ANCHOR: event_projection
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct UnderWay {
    driver: String,
    legs: u32,
}

fn under_way() -> Projected<EventProjection<TripEvent, UnderWay>> {
    event_projection("UnderWay", |event: &Recorded<TripEvent>, views: &mut ViewChanges<UnderWay>| {
        let trip = event.stream().as_str();
        match event.data() {
            TripEvent::Started { driver } => {
                views.delete_where(field("driver")?.eq(driver.as_str())); // nobody drives two
                views.store(trip, &UnderWay { driver: driver.clone(), legs: 0 })?;
            }
            TripEvent::Travelled { .. } => views.patch(trip, Patch::new().increment("legs", 1)?)?,
            TripEvent::Ended | TripEvent::Aborted => views.delete(trip)?,
        }
        Ok(())
    })
}
// ANCHOR_END: event_projection

// ANCHOR: flat_table
fn trip_rows() -> Projected<FlatTable<TripEvent>> {
    flat_table("TripRows", "trips")
        .column("driver", ColumnKind::Text)
        .column_or("km", ColumnKind::Real, 0.0)
        .nullable("ended_at", ColumnKind::Timestamp)
        .on("trip.started", |row| row.map("driver"))
        .on("trip.travelled", |row| row.increment_from("km", "km"))
        .on("trip.ended", |row| row.recorded_at("ended_at"))
        .on("trip.aborted", RowRule::delete)
}
// ANCHOR_END: flat_table

// ANCHOR: look_up
#[derive(DomainEvent)]
enum RatingEvent {
    Rated { trip: String, stars: u8 },
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct DriverRating {
    driver: String,
    stars: Vec<u8>,
}

impl Aggregate for DriverRating {
    type Event = RatingEvent;

    fn evolve(rating: Option<Self>, event: &Recorded<RatingEvent>) -> Result<Option<Self>, ApplyError> {
        let RatingEvent::Rated { trip, stars } = event.data();
        let mut rating = rating.unwrap_or_default();
        if let Some(trip) = event.looked_up::<Trip>(trip) {
            rating.driver.clone_from(&trip.driver);
        }
        rating.stars.push(*stars);
        Ok(Some(rating))
    }
}

fn ratings() -> Projected<SingleStream<DriverRating>> {
    let trip_of = |event: &Recorded<RatingEvent>| {
        let RatingEvent::Rated { trip, .. } = event.data();
        trip.clone()
    };
    single_stream("DriverRating").look_up(look_up::<Trip, _, _>("Trip", trip_of))
}
// ANCHOR_END: look_up

// ANCHOR: composite
#[derive(DomainEvent)]
enum TripChange {
    #[event(name = "updated:Trip")]
    Updated(Updated<Trip>),
    #[event(name = "deleted:Trip")]
    Deleted(Deleted<Trip>),
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct BestTrip {
    trip: String,
    km: f64,
}

impl Aggregate for BestTrip {
    type Event = TripChange;

    fn evolve(best: Option<Self>, event: &Recorded<TripChange>) -> Result<Option<Self>, ApplyError> {
        let best = best.unwrap_or_default();
        Ok(Some(match event.data() {
            TripChange::Updated(Updated { id, view }) if view.km > best.km => {
                Self { trip: id.to_string(), km: view.km }
            }
            _ => best,
        }))
    }
}

fn trips_and_the_best_of_each_driver() -> Composite {
    let best =
        multi_stream::<BestTrip, _, _>("BestTrip", |event: &Recorded<TripChange>| match event.data() {
            TripChange::Updated(updated) => Some(updated.view.driver.clone()),
            TripChange::Deleted(_) => None,
        });
    let (first, second): (Arc<dyn Projection>, Arc<dyn Projection>) = (Arc::new(trips()), Arc::new(best));
    composite("TripsAndBest").stage([first]).stage([second])
}
// ANCHOR_END: composite

// ANCHOR: custom
/// One view, of the longest leg ever, stored only when a page beats it.
struct LongestLeg;

impl PageProjection for LongestLeg {
    type Event = TripEvent;

    fn reads(&self, _: &[Recorded<TripEvent>]) -> Result<Vec<ViewRead>, PageError> {
        let keys = vec![ViewKey::new(ViewId::new("all")?)];
        Ok(vec![ViewRead { projection: ProjectionName::new("LongestLeg")?, keys }])
    }

    fn apply(
        &self,
        page: &[Recorded<TripEvent>],
        views: &Views,
        table: &ViewTable,
    ) -> Result<Vec<Operation>, PageError> {
        let key = ViewKey::new(ViewId::new("all")?);
        let stored = views.stored("LongestLeg", &key);
        let mut longest: f64 = stored.map_or(Ok(0.0), |view| view.body.decode())?;
        let mut operations = Vec::new();
        for event in page {
            if let TripEvent::Travelled { km } = event.data()
                && *km > longest
            {
                longest = *km;
                let (body, seq) = (Body::encode(&longest)?, event.raw().seq);
                let view = StoredView { body, version: event.version(), seq };
                operations.push(Operation::Store { table: table.clone(), key: key.clone(), view });
            }
        }
        Ok(operations)
    }
}

fn longest_leg() -> impl Projection + 'static {
    custom("LongestLeg", LongestLeg)
}
// ANCHOR_END: custom

// ANCHOR: effects
fn trips_with_invoices() -> Projected<SingleStream<Trip>> {
    trips().raise(|event, trip, effects| {
        if let (TripEvent::Ended, Some(trip)) = (event.data(), trip) {
            effects.publish("invoice", &trip)?; // to the sink, after the commit
        }
        Ok(())
    })
}
// ANCHOR_END: effects

// ANCHOR: subscription
struct Dispatcher;

#[async_trait]
impl Subscriber for Dispatcher {
    type Event = TripEvent;

    async fn receive(
        &self,
        page: &[Recorded<TripEvent>],
        effects: &mut PageEffects,
    ) -> Result<(), PageError> {
        for event in page {
            // Calls to other systems stand here, and happen at least once. Effects happen exactly once.
            if let TripEvent::Aborted = event.data() {
                effects.of(event).publish("dispatch", &format!("send another car for {}", event.stream()))?;
            }
        }
        Ok(())
    }
}
// ANCHOR_END: subscription

// ANCHOR: sink
#[derive(Clone, Default)]
struct Sent(Arc<Mutex<Vec<String>>>);

#[async_trait]
impl Sink for Sent {
    async fn deliver(&self, messages: &[Message]) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let texts = messages.iter().map(|message| format!("{}: {:?}", message.topic, message.body));
        self.0.lock().map_err(|e| e.to_string())?.extend(texts);
        Ok(())
    }
}
// ANCHOR_END: sink

#[tokio::test]
async fn every_kind_does_what_the_guide_says() -> ermine::Result<()> {
    let sent = Sent::default();
    let ermine = Ermine::with_store(Arc::new(MemoryStore::new()))
        .project(trips_with_invoices())
        .project(distance_by_month())
        .project(distance_by_tenant())
        .project(under_way())
        .project(trip_rows())
        .project(ratings())
        .project(longest_leg())
        .project(subscription("Dispatcher", Dispatcher))
        .sink(sent.clone())
        .start()
        .await?;
    let started = |driver: &str| TripEvent::Started { driver: driver.into() };
    ermine.append("one", [started("ada"), TripEvent::Travelled { km: 7.5 }]).await?;
    ermine.append("two", [started("bob"), TripEvent::Aborted]).await?;
    ermine.append("rating", [RatingEvent::Rated { trip: "one".into(), stars: 5 }]).await?;
    ermine.catch_up().await?;

    assert_eq!(ermine.load("one").await?, Some(Trip { driver: "ada".into(), km: 7.5, ended: false }));
    assert_eq!(ermine.load::<Trip>("two").await?, None);
    let months = ermine.query_of::<Distance>("DistanceByMonth")?.list().await?;
    assert_eq!(months.iter().map(|(_, view)| view.km).collect::<Vec<_>>(), [7.5]);
    let tenants = ermine.query_of::<Distance>("DistanceByTenant")?;
    assert_eq!(tenants.load("default").await?, Some(Distance { km: 7.5 }));
    assert_eq!(ermine.load("one").await?, Some(UnderWay { driver: "ada".into(), legs: 1 }));
    assert_eq!(ermine.query_of::<serde_json::Value>("TripRows")?.count().await?, 1);
    let rating = ermine.load::<DriverRating>("rating").await?;
    assert_eq!(rating, Some(DriverRating { driver: "ada".into(), stars: vec![5] }));
    assert_eq!(ermine.query_of::<f64>("LongestLeg")?.load("all").await?, Some(7.5));

    ermine.append("one", [TripEvent::Travelled { km: 2.5 }, TripEvent::Ended]).await?;
    ermine.append("three", [started("ada")]).await?;
    ermine.catch_up().await?;
    assert_eq!(ermine.query::<UnderWay>()?.count().await?, 1);
    assert_eq!(ermine.query_of::<f64>("LongestLeg")?.load("all").await?, Some(7.5));
    let mut sent = sent.0.lock().unwrap().clone();
    sent.sort_unstable();
    assert_eq!(
        sent,
        [r#"dispatch: "send another car for two""#, r#"invoice: {"driver":"ada","km":10.0,"ended":true}"#,]
    );
    Ok(())
}

#[tokio::test]
async fn a_composite_does_what_the_guide_says() -> ermine::Result<()> {
    let both = trips_and_the_best_of_each_driver();
    let ermine = Ermine::with_store(Arc::new(MemoryStore::new())).project(both).start().await?;
    for (trip, km) in [("one", 3.0), ("two", 9.0), ("three", 6.0)] {
        let started = TripEvent::Started { driver: "ada".into() };
        ermine.append(trip, [started, TripEvent::Travelled { km }]).await?;
    }
    ermine.append("three", [TripEvent::Aborted]).await?;
    ermine.catch_up().await?;
    assert_eq!(ermine.load("ada").await?, Some(BestTrip { trip: "two".into(), km: 9.0 }));
    Ok(())
}

/// mdBook leaves out what it does not find, and says nothing.
#[test]
fn every_sample_of_the_guide_is_there() {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src");
    for page in ["projections.md", "reads.md"] {
        let text = std::fs::read_to_string(pages.join(page)).unwrap();
        let samples = text.split("{{#include ").skip(1).filter_map(|rest| rest.split_once("}}"));
        let samples: Vec<&str> = samples.map(|(sample, _)| sample).collect();
        assert!(!samples.is_empty(), "{page} has no samples");
        for sample in samples {
            let (file, anchor) = sample.split_once(':').unwrap();
            let source = std::fs::read_to_string(pages.join(file)).unwrap();
            let has = |line: String| source.lines().any(|it| it == line);
            assert!(
                has(format!("// ANCHOR: {anchor}")) && has(format!("// ANCHOR_END: {anchor}")),
                "{sample}"
            );
        }
    }
}

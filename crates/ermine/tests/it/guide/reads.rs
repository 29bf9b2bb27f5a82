//! The samples of `docs/src/reads.md`.

use std::{sync::Arc, time::Duration};

use ermine::{core::Projected, core::SingleStream, prelude::*, testing::ProjectionSpec};
use ermine_memory::MemoryStore;

use super::{Trip, TripEvent, distance_by_month, trips};

// ANCHOR: lifecycles
fn when_the_append_is_answered() -> Projected<SingleStream<Trip>> {
    trips().inline()
}

fn soon_afterwards_by_the_daemon() -> Projected<SingleStream<Trip>> {
    trips() // async is the default
}

fn when_somebody_asks() -> Projected<SingleStream<Trip>> {
    trips().live()
}
// ANCHOR_END: lifecycles

// ANCHOR: read_your_writes
async fn read_your_writes(ermine: &Ermine) -> ermine::Result<Option<Trip>> {
    let appended = ermine.append("trip-1", [TripEvent::Travelled { km: 12.5 }]).await?;
    ermine.wait_for(appended.position()).await?; // until every projection shows it
    ermine.load("trip-1").await
}
// ANCHOR_END: read_your_writes

// ANCHOR: non_stale
async fn wait_for_what_others_wrote(ermine: &Ermine) -> ermine::Result<()> {
    let patience = Duration::from_secs(5);
    ermine.wait_for_non_stale(patience).await?; // every projection
    ermine.wait_for_non_stale_of("Trip", patience).await?; // one
    let trips = ermine.query::<Trip>()?.non_stale(patience, OnTimeout::AcceptStale); // within a query
    println!("{} trips", trips.count().await?);
    Ok(())
}
// ANCHOR_END: non_stale

// ANCHOR: query
async fn longest_trips(ermine: &Ermine) -> ermine::Result<Vec<(ViewId, Trip)>> {
    ermine
        .query::<Trip>()?
        .filter(field("ended")?.eq(true).and(field("km")?.ge(100.0)))
        .order_by(field("km")?.descending())
        .limit(10)
        .list()
        .await
}
// ANCHOR_END: query

// ANCHOR: for_writing
async fn end(ermine: &Ermine, trip: &str) -> ermine::Result<()> {
    loop {
        let current = ermine.fetch_for_writing::<Trip>(trip).await?;
        match current.state() {
            Some(trip) if !trip.ended => {}
            _ => return Ok(()), // nothing to end
        }
        match current.append([TripEvent::Ended]).await {
            Err(error) if error.as_conflict().is_some() => {} // somebody was quicker: decide again
            done => return done.map(drop),
        }
    }
}
// ANCHOR_END: for_writing

// ANCHOR: live
async fn as_it_was(ermine: &Ermine, trip: &str) -> ermine::Result<Option<Trip>> {
    ermine.aggregate_stream(trip, Until::Version(Version::new(2))).await
}
// ANCHOR_END: live

// ANCHOR: spec
#[tokio::test]
async fn an_aborted_trip_has_no_view() -> ermine::Result<()> {
    let mut spec = ProjectionSpec::new(Arc::new(MemoryStore::new()), [trips().into()]).await?;
    spec.given("trip-1", [TripEvent::Started { driver: "ada".into() }]).await?;
    spec.when("trip-1", [TripEvent::Travelled { km: 4.0 }]).await?;
    spec.then("Trip", "trip-1", Some(Trip { driver: "ada".into(), km: 4.0, ended: false })).await?;
    spec.when("trip-1", [TripEvent::Aborted]).await?;
    spec.then("Trip", "trip-1", None::<Trip>).await
}
// ANCHOR_END: spec

// ANCHOR: catch_up
#[tokio::test]
async fn trips_are_added_up_by_month() -> ermine::Result<()> {
    let store = Arc::new(MemoryStore::new());
    let ermine = Ermine::with_store(store).project(trips()).project(distance_by_month()).start().await?;
    ermine.append("trip-1", [TripEvent::Travelled { km: 4.0 }]).await?;
    ermine.append("trip-2", [TripEvent::Travelled { km: 5.0 }]).await?;
    ermine.catch_up().await?; // on this task, without a daemon
    let months = ermine.query::<super::Distance>()?.list().await?;
    assert_eq!(months[0].1.km, 9.0);
    Ok(())
}
// ANCHOR_END: catch_up

#[tokio::test]
async fn reading_is_as_the_guide_says() -> ermine::Result<()> {
    let lifecycles = [when_the_append_is_answered, soon_afterwards_by_the_daemon, when_somebody_asks];
    for (nth, lifecycle) in lifecycles.into_iter().enumerate() {
        let store = Arc::new(MemoryStore::new());
        let builder = Ermine::with_store(store).project(lifecycle()).daemon(DaemonMode::Solo);
        let ermine = builder.start().await?;
        ermine.append("trip-1", [TripEvent::Started { driver: "ada".into() }]).await?;
        ermine.append("trip-1", [TripEvent::Travelled { km: 100.0 }]).await?;
        end(&ermine, "trip-1").await?;
        let ended = ermine.fetch_latest::<Trip>("trip-1").await?;
        assert_eq!(ended, Some(Trip { driver: "ada".into(), km: 100.0, ended: true }));
        let before = as_it_was(&ermine, "trip-1").await?;
        assert_eq!(before, Some(Trip { driver: "ada".into(), km: 100.0, ended: false }));
        if nth < 2 {
            assert_eq!(read_your_writes(&ermine).await?.unwrap().km, 112.5);
            wait_for_what_others_wrote(&ermine).await?;
            assert_eq!(longest_trips(&ermine).await?.len(), 1);
        }
        ermine.stop().await?;
    }
    Ok(())
}

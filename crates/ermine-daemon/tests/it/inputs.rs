use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use ermine_core::{
    Aggregate, ApplyError, Deleted, DomainEvent, ErrorKind, PageEffects, PageError, Position, Recorded, Seq,
    Subscriber, Updated, composite, look_up, single_stream, subscription,
};
use ermine_daemon::Daemon;
use ermine_memory::MemoryStore;
use serde::{Deserialize, Serialize};

use crate::support::{Count, Rig, Seen, Trip, TripEvent, builder, settings};

#[tokio::test]
async fn everything_that_cannot_work_is_said_at_once() {
    let store = MemoryStore::new();
    let mut settings = settings();
    settings.in_flight_events_max = 1;
    let error = builder(&store)
        .projection(single_stream::<Trip>("Trip"))
        .projection(single_stream::<Trip>("a:b"))
        .settings(settings)
        .build()
        .unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Configuration);
    let said = error.to_string();
    for part in [
        "in_flight_events_max is 1 and must be at least page_events_max, which is 5000",
        "projection name \"a:b\" must have 1 to 100 bytes, no ':'",
        "projection \"Trip\" version 1 is registered 2 times: give each a name or a version of its own",
    ] {
        assert!(said.contains(part), "{said}");
    }
}

/// Takes changes of trips, which only later stages of a composite are told.
#[derive(DomainEvent)]
#[event(crate = "ermine_core")]
enum ChangeEvent {
    #[event(name = "updated:Trip")]
    Updated(Updated<Trip>),
    #[event(name = "deleted:Trip")]
    Deleted(Deleted<Trip>),
}

#[derive(Default, Serialize, Deserialize)]
struct Changes(u64);

impl Aggregate for Changes {
    type Event = ChangeEvent;

    fn evolve(changes: Option<Self>, event: &Recorded<ChangeEvent>) -> Result<Option<Self>, ApplyError> {
        let id = match event.data() {
            ChangeEvent::Updated(trip) => &trip.id,
            ChangeEvent::Deleted(trip) => &trip.id,
        };
        Ok(Some(Self(changes.unwrap_or_default().0 + u64::from(!id.is_empty()))))
    }
}

struct Deaf;

#[async_trait]
impl Subscriber for Deaf {
    type Event = TripEvent;

    async fn receive(&self, _: &[Recorded<TripEvent>], _: &mut PageEffects) -> Result<(), PageError> {
        Ok(())
    }
}

#[tokio::test]
async fn what_could_only_fail_while_it_runs_is_refused_before() {
    let store = MemoryStore::new();
    let changes = |name: &'static str| single_stream::<Changes>(name);
    let reads = |upstream: &'static str| {
        let of = look_up::<Trip, _, _>(upstream, |event: &Recorded<TripEvent>| event.stream().to_string());
        single_stream::<Seen>(format!("Reads{upstream}")).look_up(of)
    };
    let said = builder(&store)
        .projection(changes("Outside"))
        .projection(
            composite("Same")
                .stage([single_stream::<Trip>("Trip").version(2).into(), changes("Beside").into()])
                .stage([changes("Later").into()]),
        )
        .projection(
            composite("Other")
                .stage([single_stream::<Count>("Count").into()])
                .stage([changes("Told").into()]),
        )
        .projection(subscription("Deaf", Deaf))
        .projection(reads("Deaf"))
        .projection(reads("Other"))
        .projection(reads("Trip").inline())
        .settings(settings())
        .build()
        .unwrap_err()
        .to_string();
    for part in [
        "\"Outside\" takes \"updated:Trip\", which only a composite with \"Trip\" in an earlier stage tells",
        "\"Outside\" takes \"deleted:Trip\", which only",
        "\"Beside\" takes \"updated:Trip\", which only",
        "\"Beside\" takes \"deleted:Trip\", which only",
        "\"Told\" takes \"updated:Trip\", which only",
        "\"Told\" takes \"deleted:Trip\", which only",
        "\"ReadsDeaf\" looks up views of \"Deaf\", which keeps none: name the projection that does",
        "\"ReadsOther\" looks up views of \"Other\", which keeps none: name the projection that does",
        "\"ReadsTrip\" is inline and looks up views of \"Trip\", which is async and may lag: make the one async or the other \
         inline",
    ] {
        assert!(said.contains(part), "{part}\nis not in\n{said}");
    }
    assert_eq!(said.split("; ").count(), 9, "something else is refused too: {said}");
}

#[tokio::test]
async fn an_upstream_is_the_highest_version_of_the_projection_and_not_of_the_composite_around_another() {
    let store = MemoryStore::new();
    let around = composite("Around").version(9).stage([single_stream::<Trip>("Trip").into()]);
    let daemon = Daemon::builder(Arc::new(store.clone()))
        .projection(single_stream::<Trip>("Trip").version(2))
        .projection(around)
        .projection(single_stream::<Trip>("Down").after("Trip"))
        .settings(settings())
        .build()
        .unwrap();
    let first = Position::new(Seq::new(1));
    let said = daemon.handle().wait_for(first, Duration::ZERO).await.unwrap_err().to_string();
    assert!(said.contains("Down:All is at 0, starting, after Trip:V2:All is at 0, starting"), "{said}");
}

#[tokio::test]
async fn two_versions_of_a_projection_run_side_by_side() {
    let store = MemoryStore::new();
    let rig = Rig::run(
        &store,
        builder(&store).projection(single_stream::<Trip>("Trip").version(2)).settings(settings()),
    );
    let position = rig.append(crate::support::travelled("a", [1])).await;
    rig.reach(position).await;
    let names: Vec<String> = rig.handle.status().iter().map(|s| s.shard.to_string()).collect();
    assert_eq!(names, ["Trip:All", "Trip:V2:All"]);
}

#[tokio::test]
async fn a_shard_that_does_not_exist_is_answered_with_those_that_do() {
    let store = MemoryStore::new();
    let rig = Rig::start(&store, settings());
    let error = rig.handle.status_of(&"Tripp:All".parse().unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "there is no shard Tripp:All; the shards are: Trip:All");
}

use ermine_core::{ErrorKind, single_stream};
use ermine_memory::MemoryStore;

use crate::support::{Rig, Trip, builder, settings};

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

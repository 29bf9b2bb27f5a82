//! Several shards over one log.

use std::collections::BTreeMap;

use ermine_core::{
    Error, ErrorKind, ProjectionName, Start, ViewId, ViewKey, ViewTable, composite, look_up,
    ports::{EventAppender, ProgressStore, ViewStore},
    single_stream,
};
use ermine_daemon::{Daemon, DaemonBuilder, Mode};
use ermine_memory::{Call, MemoryStore};
use proptest::prelude::*;

use crate::support::{Rig, SOON, Seen, Trip, TripEvent, batch, builder, settings, small_pages, travelled};

/// The daemon of `versions` copies of one projection.
fn copies(store: &MemoryStore, versions: u32) -> DaemonBuilder {
    (2..=versions)
        .fold(builder(store), |b, version| b.projection(single_stream::<Trip>("Trip").version(version)))
}

async fn km_in(store: &MemoryStore, version: u32, stream: &str) -> Option<Vec<u64>> {
    let table = ViewTable::new(ProjectionName::new("Trip").unwrap(), version);
    let key = ViewKey::new(ViewId::new(stream).unwrap());
    let view = store.load_views(&table, &[key]).await.unwrap().remove(0)?;
    Some(view.body.decode::<Trip>().unwrap().km)
}

#[tokio::test]
async fn shards_that_keep_step_share_reads_of_the_log() {
    const SHARDS: u32 = 10;
    let store = MemoryStore::new();
    let mut position = None;
    for n in 0..100 {
        position = Some(store.append(travelled("a", [n])).await.unwrap().position());
    }
    let rig = Rig::run(&store, copies(&store, SHARDS).settings(small_pages(10)));
    rig.reach(position.unwrap()).await;
    for version in 1..=SHARDS {
        assert_eq!(
            km_in(&store, version, "a").await.unwrap(),
            (0..100).collect::<Vec<_>>(),
            "version {version}"
        );
    }
    // Ten pages would do; ten shards on their own would read a hundred.
    let read = rig.handle.pages_read();
    assert!(read <= 30, "{read} pages were read");
    rig.stop().await.unwrap();
}

#[tokio::test]
async fn a_shard_that_stands_still_does_not_hold_the_others() {
    let store = MemoryStore::new();
    let late = store.faults().commit_late(1);
    let rig = Rig::run(&store, copies(&store, 4).settings(small_pages(2)));
    let mut position = None;
    for n in 0..40 {
        position = Some(rig.append(travelled("a", [n])).await);
    }
    let position = position.unwrap();
    ermine_testkit::eventually(SOON, async || {
        let status = rig.handle.status();
        let there = status.iter().filter(|s| s.progress >= position.seq()).count();
        if there == 3 { Ok(()) } else { Err(format!("{status:?}")) }
    })
    .await;
    late.release();
    rig.reach(position).await;
    rig.stop().await.unwrap();
}

#[tokio::test]
async fn a_projection_never_runs_ahead_of_the_one_whose_views_it_reads() {
    let store = MemoryStore::new();
    for n in 0..20 {
        store.append(travelled("a", [n])).await.unwrap();
    }
    let seen = single_stream::<Seen>("Seen")
        .look_up(look_up::<Trip, _, _>("Trip", |event: &ermine_core::Recorded<TripEvent>| {
            event.stream().to_string()
        }));
    // The reader is registered first and would be ahead: the first commit of all is late, and so is its answer.
    let late = store.faults().commit_late(1);
    let builder = Daemon::builder(std::sync::Arc::new(store.clone())).projection(seen);
    let rig = Rig::run(&store, builder.projection(single_stream::<Trip>("Trip")).settings(small_pages(3)));
    ermine_testkit::eventually(SOON, async || late.is_reached()).await;
    assert_eq!(rig.handle.status_of(&"Seen:All".parse().unwrap()).unwrap().progress.get(), 0);
    late.release();
    let position = rig.append(travelled("a", 20..40)).await;
    rig.reach(position).await;
    let table = ViewTable::new(ProjectionName::new("Seen").unwrap(), 1);
    let view = store.load_views(&table, &[ViewKey::new(ViewId::new("a").unwrap())]).await.unwrap().remove(0);
    let seen: Seen = view.unwrap().body.decode().unwrap();
    assert_eq!(seen.events, 40);
    assert_eq!(seen.ahead, 0, "an event was folded whose stream's view was not there yet");
    rig.stop().await.unwrap();
}

#[tokio::test]
async fn a_run_to_a_ceiling_waits_for_every_upstream() {
    let store = MemoryStore::new();
    let position = store.append(travelled("a", 0..30)).await.unwrap().position();
    let builder = Daemon::builder(std::sync::Arc::new(store.clone()))
        .projection(single_stream::<Trip>("Down").after("Fast").after("Trip"))
        .projection(single_stream::<Trip>("Fast").page_events_max(std::num::NonZeroUsize::new(30).unwrap()))
        .projection(single_stream::<Trip>("Trip"))
        .settings(small_pages(3))
        .mode(Mode::CatchUp { ceiling: position.seq() });
    Rig::run(&store, builder).end().await.unwrap();
    let progress = store.read_progress().await.unwrap();
    let progress: Vec<u64> = progress.iter().map(|p| p.seq.get()).collect();
    assert_eq!(progress, [30, 30, 30]);
}

#[tokio::test]
async fn a_run_to_a_ceiling_goes_on_when_one_of_its_upstreams_has_ended() {
    let store = MemoryStore::new();
    let position = store.append(travelled("a", 0..30)).await.unwrap().position();
    let early = |node: &MemoryStore| {
        Daemon::builder(std::sync::Arc::new(node.clone()))
            .projection(single_stream::<Trip>("Early"))
            .settings(small_pages(3))
            .mode(Mode::CatchUp { ceiling: position.seq() })
    };
    Rig::run(&store, early(&store)).end().await.unwrap();
    let node = store.node();
    let late = node.faults().stall(Call::Commit, 1);
    let builder = early(&node)
        .projection(single_stream::<Trip>("Down").after("Early").after("Trip"))
        .projection(single_stream::<Trip>("Trip"));
    let rig = Rig::run(&node, builder);
    ermine_testkit::eventually(SOON, async || {
        let early = rig.handle.status_of(&"Early:All".parse().unwrap()).unwrap();
        matches!(early.state, ermine_daemon::ShardState::Stopped { .. }) && late.is_reached()
    })
    .await;
    late.release();
    rig.end().await.unwrap();
    let progress = store.read_progress().await.unwrap();
    let progress: Vec<u64> = progress.iter().map(|p| p.seq.get()).collect();
    assert_eq!(progress, [30, 30, 30]);
}

#[tokio::test]
async fn a_run_that_ends_does_not_wait_for_a_start_beyond_its_end() {
    let store = MemoryStore::new();
    let position = store.append(travelled("a", [1])).await.unwrap().position();
    let builder = Daemon::builder(std::sync::Arc::new(store.clone()))
        .projection(single_stream::<Trip>("Trip").start(Start::After(ermine_core::Seq::new(9))))
        .settings(settings())
        .mode(Mode::CatchUp { ceiling: position.seq() });
    Rig::run(&store, builder).end().await.unwrap();
    assert_eq!(km_in(&store, 1, "a").await, None);
}

#[tokio::test]
async fn a_member_that_comes_from_elsewhere_is_not_given_events_twice() {
    let store = MemoryStore::new();
    let rig = Rig::run(&store, builder(&store).settings(settings()));
    let position = rig.append(travelled("a", [1, 2])).await;
    rig.reach(position).await;
    rig.stop().await.unwrap();
    let both = composite("Both").stage([single_stream::<Trip>("Trip").into()]);
    let builder = Daemon::builder(std::sync::Arc::new(store.clone())).projection(both);
    let rig = Rig::run(&store, builder.settings(settings()));
    let state = rig.state(|state| matches!(state, ermine_daemon::ShardState::Paused { .. })).await;
    assert!(state.to_string().contains("its member Trip:All is at 2"), "{state}");
    assert_eq!(km_in(&store, 1, "a").await.unwrap(), [1, 2]);
    rig.stop().await.unwrap();
}

#[tokio::test]
async fn a_shard_without_progress_starts_where_it_is_told_to() {
    let store = MemoryStore::new();
    let first = store.append(travelled("a", [1])).await.unwrap();
    store.append(travelled("a", [2])).await.unwrap();
    let starts = |start| {
        let builder = Daemon::builder(std::sync::Arc::new(store.clone()));
        builder.projection(single_stream::<Trip>("Trip").start(start)).settings(settings())
    };
    let rig = Rig::run(&store, starts(Start::Present));
    rig.state(|state| *state == ermine_daemon::ShardState::Running).await;
    let position = rig.append(travelled("a", [3])).await;
    rig.reach(position).await;
    assert_eq!(km_in(&store, 1, "a").await.unwrap(), [3]);
    rig.stop().await.unwrap();
    let position = store.append(travelled("a", [4])).await.unwrap().position();
    let rig = Rig::run(&store, starts(Start::Present));
    rig.reach(position).await;
    assert_eq!(km_in(&store, 1, "a").await.unwrap(), [3, 4], "stored progress wins");
    rig.stop().await.unwrap();
    let rig = Rig::run(
        &store,
        starts(Start::Beginning)
            .projection(single_stream::<Trip>("Trip").version(2).start(Start::After(first.position().seq()))),
    );
    rig.reach(position).await;
    assert_eq!(km_in(&store, 2, "a").await.unwrap(), [2, 3, 4]);
    rig.stop().await.unwrap();
}

/// What goes wrong while several shards follow the log.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    CommitFails(u64),
    CommitAnswerIsLost(u64),
    LoadFails(u64),
    Crash,
}

fn trouble() -> impl Strategy<Value = Trouble> {
    prop_oneof![
        3 => (1u64..9).prop_map(Trouble::CommitFails),
        3 => (1u64..9).prop_map(Trouble::CommitAnswerIsLost),
        2 => (1u64..6).prop_map(Trouble::LoadFails),
        1 => Just(Trouble::Crash),
    ]
}

fn make(trouble: Trouble, store: &MemoryStore) {
    let passing = || Error::new(ErrorKind::Transient, "a passing fault");
    match trouble {
        Trouble::CommitFails(nth) => store.faults().fail(Call::Commit, nth, passing()),
        Trouble::CommitAnswerIsLost(nth) => store.faults().lose_answer(Call::Commit, nth),
        Trouble::LoadFails(nth) => store.faults().fail(Call::LoadPage, nth, passing()),
        Trouble::Crash => store.crash(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Shards that share reads, want different types and different pages, and fail now and then, still each fold every
    /// event that they want exactly once, in order.
    #[test]
    fn shared_reads_lose_and_double_nothing(
        page in 1usize..=4,
        appends in proptest::collection::vec((0usize..3, 1usize..5, any::<bool>(), proptest::option::of(trouble())), 1..20),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async move {
            let store = MemoryStore::new();
            let other_page = std::num::NonZeroUsize::new(page + 1).unwrap();
            let builder = copies(&store, 2)
                .projection(single_stream::<Trip>("Trip").version(3).only(["trip.travelled"]).page_events_max(other_page))
                .projection(single_stream::<Trip>("Trip").version(4).only(["trip.ended"]));
            let rig = Rig::run(&store, builder.settings(small_pages(page)));
            let mut all: BTreeMap<String, Vec<u64>> = BTreeMap::new();
            let mut travels: BTreeMap<String, Vec<u64>> = BTreeMap::new();
            let mut next = 0;
            let mut position = None;
            for (stream, count, ends, trouble) in appends {
                let stream = format!("s{stream}");
                if let Some(trouble) = trouble {
                    make(trouble, &store);
                }
                let mut km: Vec<TripEvent> = Vec::new();
                for _ in 0..count {
                    next += 1;
                    km.push(TripEvent::Travelled { km: next });
                    all.entry(stream.clone()).or_default().push(next);
                    travels.entry(stream.clone()).or_default().push(next);
                }
                if ends {
                    km.push(TripEvent::Ended);
                    all.remove(&stream);
                }
                position = Some(rig.append(batch(&stream, km)).await);
            }
            rig.reach(position.unwrap()).await;
            for stream in ["s0", "s1", "s2"] {
                for version in [1, 2] {
                    assert_eq!(km_in(&store, version, stream).await, all.get(stream).cloned(), "version {version}");
                }
                assert_eq!(km_in(&store, 3, stream).await, travels.get(stream).cloned());
                assert_eq!(km_in(&store, 4, stream).await, None);
            }
            rig.stop().await.unwrap();
        });
    }
}

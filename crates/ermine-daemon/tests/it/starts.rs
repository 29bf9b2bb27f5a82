//! Where shards start, and who says so when two daemons start at once.

use std::sync::Arc;

use ermine_core::{Error, Position, Seq, Start, ports::EventAppender, single_stream, subscription};
use ermine_daemon::{Daemon, ShardState, wait_for_stored};
use ermine_memory::{Call, Gate, MemoryStore};

use crate::support::{Listener, Rig, SOON, Trip, km, settings, shard, travelled};

fn start_at(start: Start, node: &MemoryStore) -> Rig {
    let trips = single_stream::<Trip>("Trip").start(start);
    let builder = Daemon::builder(Arc::new(node.clone())).projection(trips);
    Rig::run(node, builder.settings(settings()))
}

/// The second starts, and goes on, while the first is held up in one of the calls of its own start.
async fn a_start_that_another_has_overtaken_undoes_nothing(held_up: [Call; 2]) {
    let store = MemoryStore::new();
    store.append(travelled("a", 0..10)).await.unwrap();
    let node = store.node();
    let gates = held_up.map(|call| node.faults().stall(call, 1));
    let first = start_at(Start::Present, &node);
    ermine_testkit::eventually(SOON, async || gates.iter().any(Gate::is_reached)).await;

    let second = start_at(Start::Present, &store.node());
    second.state(|state| *state == ShardState::Running).await;
    let position = second.append(travelled("a", [10, 11])).await;
    second.reach(position).await;
    assert_eq!(km(&store, "a").await.unwrap(), [10, 11]);

    gates.iter().for_each(Gate::release);
    for n in 12..20 {
        let position = first.append(travelled("a", [n])).await;
        reach_stored(&store, position).await;
    }
    assert_eq!(km(&store, "a").await.unwrap(), (10..20).collect::<Vec<_>>());
}

/// Whoever runs the shard.
async fn reach_stored(store: &MemoryStore, position: Position) {
    wait_for_stored(store, &[shard()], position, SOON).await.unwrap();
}

#[tokio::test]
async fn a_start_held_up_before_it_takes_the_shard_undoes_nothing() {
    a_start_that_another_has_overtaken_undoes_nothing([Call::TakeShards, Call::PlaceShard]).await;
}

#[tokio::test]
async fn a_start_held_up_after_it_has_taken_the_shard_undoes_nothing() {
    a_start_that_another_has_overtaken_undoes_nothing([Call::Commit, Call::PlaceShard]).await;
}

#[tokio::test]
async fn a_start_whose_process_ended_half_way_is_made_by_the_next() {
    let store = MemoryStore::new();
    store.append(travelled("a", 0..10)).await.unwrap();
    let node = store.node();
    let moving_up = node.faults().stall(Call::Commit, 1);
    let first = start_at(Start::Present, &node);
    ermine_testkit::eventually(SOON, async || moving_up.is_reached()).await;
    drop(first);
    let position = store.append(travelled("a", [10, 11])).await.unwrap().position();
    let second = start_at(Start::Present, &store.node());
    second.reach(position).await;
    assert_eq!(km(&store, "a").await.unwrap(), [10, 11], "what came after the first had begun");
}

#[tokio::test]
async fn a_start_on_an_empty_log_passes_nothing_that_comes_while_nobody_runs() {
    let store = MemoryStore::new();
    let rig = start_at(Start::Present, &store);
    rig.state(|state| *state == ShardState::Running).await;
    rig.stop().await.unwrap();
    store.append(travelled("a", [1])).await.unwrap();
    let rig = start_at(Start::Present, &store);
    let position = rig.append(travelled("a", [2])).await;
    rig.reach(position).await;
    assert_eq!(km(&store, "a").await.unwrap(), [1, 2]);
    rig.stop().await.unwrap();
}

#[tokio::test]
async fn a_start_that_fails_is_made_again() {
    for start in [Start::Present, Start::After(Seq::new(10))] {
        let store = MemoryStore::new();
        store.append(travelled("a", 0..10)).await.unwrap();
        for nth in 1..=3 {
            store.faults().fail(Call::Commit, nth, Error::transient("a passing fault"));
        }
        let rig = start_at(start, &store);
        rig.state(|state| *state == ShardState::Running).await;
        let position = rig.append(travelled("a", [10])).await;
        rig.reach(position).await;
        assert_eq!(km(&store, "a").await.unwrap(), [10], "{start:?}");
        rig.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_subscription_that_has_been_put_at_the_beginning_does_not_start_at_the_present() {
    let (store, listener) = (MemoryStore::new(), Listener::default());
    let run = || {
        let heard = subscription("Listener", listener.clone()).start(Start::Present);
        let builder = Daemon::builder(Arc::new(store.clone())).projection(heard);
        Rig::run(&store, builder.settings(settings()))
    };
    store.append(travelled("a", [1, 2])).await.unwrap();
    let rig = run();
    rig.state(|state| *state == ShardState::Running).await;
    let position = rig.append(travelled("a", [3])).await;
    rig.reach(position).await;
    let handle = rig.handle.clone();
    rig.stop().await.unwrap();
    handle.rewind_stored(&"Listener:All".parse().unwrap(), Start::Beginning).await.unwrap();
    let rig = run();
    let position = rig.append(travelled("a", [4])).await;
    rig.reach(position).await;
    assert_eq!(*listener.0.lock().unwrap(), [3, 1, 2, 3, 4]);
    rig.stop().await.unwrap();
}

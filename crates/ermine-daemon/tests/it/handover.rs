use ermine_core::ports::ProgressStore;
use ermine_daemon::ShardState;
use ermine_memory::MemoryStore;

use crate::support::{Rig, SOON, km, settings, shard, travelled};

#[tokio::test]
async fn two_daemons_on_one_store_apply_every_event_once_and_one_says_that_it_is_fenced() {
    let store = MemoryStore::new();
    let first = Rig::start(&store.node(), settings());
    let position = first.append(travelled("a", [0])).await;
    first.reach(position).await;
    let second = Rig::start(&store.node(), settings());
    second.reach(position).await;
    let mut expected = vec![0];
    let mut fenced = false;
    for n in 1..=200 {
        first.append(travelled("a", [n])).await;
        expected.push(n);
        fenced |= [&first, &second].iter().any(|r| {
            matches!(r.handle.status()[0].state, ShardState::Fenced { .. } | ShardState::Stopped { .. })
        });
    }
    ermine_testkit::eventually(SOON, || async {
        match km(&store, "a").await {
            Some(found) if found == expected => Ok(()),
            found => Err(format!("{found:?}")),
        }
    })
    .await;
    fenced |= [&first, &second].iter().any(|r| {
        matches!(r.handle.status()[0].state, ShardState::Fenced { .. } | ShardState::Stopped { .. })
    });
    assert!(fenced, "nobody said that another daemon had taken over");
}

#[tokio::test]
async fn a_fenced_worker_takes_the_shard_back_when_the_other_has_gone() {
    let store = MemoryStore::new();
    let rig = Rig::start(&store, settings());
    let position = rig.append(travelled("a", [1])).await;
    rig.reach(position).await;
    store.node().take_shards(&[shard()]).await.unwrap(); // by somebody who then does nothing
    rig.append(travelled("a", [2])).await;
    rig.state(|s| matches!(s, ShardState::Fenced { .. })).await;
    let position = rig.append(travelled("a", [3])).await;
    rig.reach(position).await;
    assert_eq!(km(&store, "a").await, Some(vec![1, 2, 3]));
}

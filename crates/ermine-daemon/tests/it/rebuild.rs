use ermine_core::{ErrorKind, Seq, ports::EventAppender};
use ermine_daemon::Mode;
use ermine_memory::MemoryStore;

use crate::support::{Rig, builder, km, settings, small_pages, travelled};

#[tokio::test]
async fn a_rebuild_ends_at_its_ceiling_and_applies_nothing_above() {
    let store = MemoryStore::new();
    store.append(travelled("a", 0..10)).await.unwrap();
    let mode = Mode::Rebuild { ceiling: Seq::new(7) };
    let rig = Rig::run(&store, builder(&store).settings(small_pages(3)).mode(mode));
    let handle = rig.handle.clone();
    rig.end().await.unwrap();
    assert_eq!(km(&store, "a").await, Some((0..7).collect()));
    assert_eq!(handle.status()[0].progress, Seq::new(7));
}

#[tokio::test]
async fn a_rebuild_stops_at_the_first_poison_event() {
    let store = MemoryStore::new();
    store.append(travelled("a", [1, 13_000])).await.unwrap();
    let mode = Mode::Rebuild { ceiling: Seq::new(2) };
    let rig = Rig::run(&store, builder(&store).settings(settings()).mode(mode));
    let error = rig.end().await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Apply { seq: Seq::new(2) });
    assert!(
        error.chain().starts_with("running shard Trip:All: folding events (0, 2] of shard Trip:All"),
        "{}",
        error.chain()
    );
}

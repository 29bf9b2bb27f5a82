use std::collections::BTreeMap;

use ermine_core::{Error, ErrorKind, ports::EventAppender};
use ermine_memory::{Call, MemoryStore};
use proptest::prelude::*;

use crate::support::{Rig, km, small_pages, travelled};

/// What goes wrong while the log is followed.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    CommitFails(u64),
    CommitAnswerIsLost(u64),
    LoadFails(u64),
    ViewsFail(u64),
    Crash,
    CleanRestart,
    Outage,
}

fn trouble() -> impl Strategy<Value = Trouble> {
    prop_oneof![
        3 => (1u64..6).prop_map(Trouble::CommitFails),
        3 => (1u64..6).prop_map(Trouble::CommitAnswerIsLost),
        1 => (1u64..6).prop_map(Trouble::LoadFails),
        1 => (1u64..6).prop_map(Trouble::ViewsFail),
        1 => Just(Trouble::Crash),
        1 => Just(Trouble::CleanRestart),
        1 => Just(Trouble::Outage),
    ]
}

fn make(trouble: Trouble, store: &MemoryStore) {
    let passing = || Error::new(ErrorKind::Transient, "a passing fault");
    let faults = store.faults();
    match trouble {
        Trouble::CommitFails(nth) => faults.fail(Call::Commit, nth, passing()),
        Trouble::CommitAnswerIsLost(nth) => faults.lose_answer(Call::Commit, nth),
        Trouble::LoadFails(nth) => faults.fail(Call::LoadPage, nth, passing()),
        Trouble::ViewsFail(nth) => faults.fail(Call::LoadViews, nth, passing()),
        Trouble::Crash => store.crash(),
        Trouble::CleanRestart => store.restart(),
        Trouble::Outage => {
            faults.outage(true);
            faults.outage(false);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// The views of overlapping pages are those of a plain fold, whatever fails in between.
    #[test]
    fn views_are_a_plain_fold_whatever_fails(
        page in 1usize..=3,
        appends in proptest::collection::vec((0usize..3, 1usize..5, proptest::option::of(trouble())), 1..25),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async move {
            let store = MemoryStore::new();
            let rig = Rig::start(&store, small_pages(page));
            let mut model: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
            let (mut next, mut last) = (0, None);
            for (stream, events, trouble) in appends {
                if let Some(trouble) = trouble {
                    make(trouble, &store);
                }
                let km = next..next + events as u64;
                next = km.end;
                // Another node appends: its calls meet none of these faults.
                let appended = store.node().append(travelled(&format!("trip-{stream}"), km.clone())).await.unwrap();
                model.entry(stream).or_default().extend(km);
                last = Some(appended.position());
            }
            rig.reach(last.unwrap()).await;
            for (stream, expected) in model {
                assert_eq!(km(&store.node(), &format!("trip-{stream}")).await, Some(expected), "trip-{stream}");
            }
        });
    }
}

#[tokio::test]
async fn a_commit_that_stalls_holds_up_later_pages_and_loses_nothing() {
    let store = MemoryStore::new();
    let stalled = store.faults().stall(Call::Commit, 2);
    let rig = Rig::start(&store, small_pages(1));
    let position = rig.append(travelled("a", 0..9)).await;
    stalled.reached().await;
    assert!(rig.handle.status()[0].progress < position.seq());
    stalled.release();
    rig.reach(position).await;
    assert_eq!(km(&store, "a").await, Some((0..9).collect()));
}

#[tokio::test]
async fn pages_are_loaded_and_folded_while_a_commit_is_under_way() {
    let store = MemoryStore::new();
    let stalled = store.faults().stall(Call::Commit, 1);
    let rig = Rig::start(&store, small_pages(1));
    let position = rig.append(travelled("a", 0..9)).await;
    stalled.reached().await;
    ermine_testkit::eventually(crate::support::SOON, || async {
        let loaded = store.calls(Call::LoadPage);
        if loaded >= 3 { Ok(()) } else { Err(format!("{loaded} pages loaded")) }
    })
    .await;
    assert_eq!(store.calls(Call::LoadPage), 3, "and no more than the budget of three events allows");
    stalled.release();
    rig.reach(position).await;
}

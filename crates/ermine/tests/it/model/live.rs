//! The story told to a store and to the model.

use std::{collections::BTreeMap, time::Duration};

use ermine::{ErrorKind, core::Seq, daemon::Settings, prelude::*};
use ermine_testkit::poll_times;
use proptest::{prop_assert_eq, test_runner::TestCaseError};

use super::{
    folds::Model,
    for_all,
    projections::{KINDS, projections},
    story::{Before, Entries, Round, TENANTS, story, tenant},
    unexpected,
};
use crate::{
    alike::Alike,
    stores::{Fresh, StoreKind},
};

#[test]
fn views_are_a_fold_of_all_events_in_memory() {
    for_all(64, story(), async |rounds| live(StoreKind::Memory, rounds).await);
}

#[cfg(feature = "sqlite")]
#[test]
fn views_are_a_fold_of_all_events_in_sqlite() {
    for_all(16, story(), async |rounds| live(StoreKind::Sqlite, rounds).await);
}

#[cfg(feature = "postgres")]
#[test]
fn views_are_a_fold_of_all_events_in_postgres() {
    for_all(5, story(), async |rounds| live(StoreKind::Postgres, rounds).await);
}

async fn live(kind: StoreKind, rounds: Vec<Round>) -> Result<(), TestCaseError> {
    let fresh = kind.fresh().await;
    let mut model = Model::default();
    for round in &rounds {
        let ermine = host(&fresh, round).await?;
        for batch in &round.batches {
            append(&fresh, &ermine, round, batch).await?;
            for Entries { tenant, stream, events } in batch {
                events.iter().for_each(|event| model.append(tenant, stream, event));
            }
        }
        compare(&ermine, &model, "Inline").await?;
        interrupt(&fresh, ermine, &round.before).await;
        let ermine = host(&fresh, round).await?;
        ermine.catch_up().await.map_err(unexpected)?;
        compare(&ermine, &model, "Async").await?;
        compare(&ermine, &model, "Inline").await?;
        same(&ermine, &model, "Last", "Last").await?;
    }
    Ok(())
}

/// A process of its own, as it were: nothing is remembered from the one before.
async fn host(fresh: &Fresh, round: &Round) -> Result<Ermine, TestCaseError> {
    let mut settings = Settings::default();
    settings.page_events_max = round.page_events_max.try_into().unwrap();
    settings.cache_bytes_max = if round.caches { 4 << 20 } else { 0 };
    settings.retry_first = Duration::from_millis(1);
    settings.retry_max = Duration::from_millis(2);
    let builder = Ermine::with_store(fresh.store()).settings(settings);
    let builder = projections().into_iter().fold(builder, ermine::ErmineBuilder::project);
    builder.start().await.map_err(unexpected)
}

/// Appends as a careful program does: again with the same ids when the answer does not come.
async fn append(
    fresh: &Fresh,
    ermine: &Ermine,
    round: &Round,
    entries: &[Entries],
) -> Result<(), TestCaseError> {
    let mut batch = AppendBatch::new().idempotent();
    for Entries { tenant: of, stream, events } in entries {
        let events = events.iter().map(|event| NewEvent::of(event).unwrap()).collect();
        batch = batch.stream(StreamAppend::new(stream.parse().unwrap(), events).for_tenant(tenant(of)));
    }
    if let (Some(memory), Before::Fault { call: ermine_memory::Call::Append, done, .. }) =
        (fresh.memory(), &round.before)
    {
        fault(memory, ermine_memory::Call::Append, 1, *done);
    }
    loop {
        match ermine.append_batch(batch.clone()).await {
            Ok(_) => return Ok(()),
            Err(error) if matches!(error.kind(), ErrorKind::Transient | ErrorKind::OutcomeUnknown) => {}
            Err(error) => return Err(unexpected(error)),
        }
    }
}

fn fault(memory: &ermine_memory::MemoryStore, call: ermine_memory::Call, nth: u64, done: bool) {
    if done {
        memory.faults().lose_answer(call, nth);
    } else {
        memory.faults().fail(call, nth, ermine::Error::transient("the connection was lost"));
    }
}

/// Lets the projections come some way, and ends that in some way.
async fn interrupt(fresh: &Fresh, ermine: Ermine, before: &Before) {
    match (before, fresh.memory()) {
        (Before::Killed(steps), _) => drop(poll_times(*steps, ermine.catch_up()).await),
        (Before::Fault { call, nth, done }, Some(memory)) => {
            fault(memory, *call, *nth, *done);
            // Whether it comes through or not is all the same.
            drop(ermine.catch_up().await);
            memory.faults().clear();
        }
        (Before::Crash(steps), Some(memory)) => {
            let mut run = Box::pin(ermine.catch_up());
            if poll_times(*steps, &mut run).await.is_none() {
                memory.crash();
                drop(run.await);
            }
        }
        _ => {}
    }
}

async fn compare(ermine: &Ermine, model: &Model, lifecycle: &str) -> Result<(), TestCaseError> {
    for kind in KINDS {
        same(ermine, model, kind, &format!("{kind}{lifecycle}")).await?;
    }
    Ok(())
}

async fn same(ermine: &Ermine, model: &Model, kind: &str, name: &str) -> Result<(), TestCaseError> {
    for of in TENANTS {
        let query = ermine.query_of::<Alike>(name).map_err(unexpected)?;
        let stored = query.tenant(tenant(of)).all().await.map_err(unexpected)?;
        let stored: BTreeMap<String, Alike> =
            stored.into_iter().map(|(id, view)| (id.to_string(), view)).collect();
        prop_assert_eq!(stored, model.views(kind, of), "the views of {} of tenant \"{}\"", name, of);
    }
    Ok(())
}

/// The log that the model is told is the log that the store keeps.
#[tokio::test]
async fn a_batch_is_numbered_in_its_own_order() {
    for kind in StoreKind::ALL {
        let fresh = kind.fresh().await;
        let ermine = Ermine::with_store(fresh.store()).start().await.unwrap();
        let of = |stream: &str, n| {
            let event = NewEvent::of(&super::story::Entry::Added { n, tags: vec![] }).unwrap();
            StreamAppend::new(stream.parse().unwrap(), vec![event])
        };
        let batch = AppendBatch::new().stream(of("z", 1)).stream(of("a", 2)).stream(of("m", 3));
        ermine.append_batch(batch).await.unwrap();
        for (seq, stream) in [(1, "z"), (2, "a"), (3, "m")] {
            let one = std::num::NonZeroUsize::MIN;
            let events = ermine.read_stream(&stream.parse().unwrap(), Version::ZERO, one).await.unwrap();
            assert_eq!(events[0].seq, Seq::new(seq), "{kind:?}");
        }
    }
}

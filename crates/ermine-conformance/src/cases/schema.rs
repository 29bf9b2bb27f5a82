use ermine_core::{ErrorKind, Seq, ports::Registration};
use tokio::task::JoinSet;

use crate::{
    Outcome, Stop,
    bench::{Bench, Worker, batch, log, progress, put, registration, shard, table, values},
    outcome::{ensure, ensure_eq, ensure_kind},
};

pub(crate) async fn migrating_is_idempotent_and_safe_from_many_nodes(bench: &Bench<'_>) -> Outcome {
    let mut nodes = JoinSet::new();
    for _ in 0..8 {
        let node = bench.other().await?;
        nodes.spawn(async move { node.migrate(&registration()).await });
    }
    while let Some(migrated) = nodes.join_next().await {
        migrated.map_err(|e| Stop::Broken(format!("a migration panicked: {e}")))??;
    }
    let store = bench.fresh();
    store.migrate(&registration()).await?;
    store.check(&registration()).await?;
    let position = store.append(batch(&[("a", 1)])).await?.position.seq();
    ensure_eq!(position, Seq::new(1), "the first number after nodes migrated at once");
    Ok(())
}

pub(crate) async fn migrating_keeps_what_is_stored(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    let (balance, shard) = (table("Balance", 1), shard("Balance", 1));
    store.append(batch(&[("a", 2), ("b", 1)])).await?;
    let mut worker = Worker::take(&*store, shard.clone()).await?;
    worker.commit(&*store, 3, vec![put(&balance, "a", 3)]).await?;
    let before = (log(&*store).await?, progress(&*store, &shard).await?);

    let mut more = registration();
    more.tables.push(table("Latecomer", 1).into());
    for registration in [&more, &Registration::default(), &registration()] {
        store.migrate(registration).await?;
        let after = (log(&*store).await?, progress(&*store, &shard).await?);
        ensure_eq!(after, before, "events and progress after another migration");
        ensure_eq!(values(&*store, &balance, &["a"]).await?, [Some(3)], "a view after another migration");
    }
    store.check(&more).await?;
    worker.commit(&*store, 4, vec![put(&table("Latecomer", 1), "l", 1)]).await?;
    ensure_eq!(store.append(batch(&[("a", 1)])).await?.version().get(), 3, "the next version of a stream");
    Ok(())
}

pub(crate) async fn a_store_that_was_not_migrated_is_refused(bench: &Bench<'_>) -> Outcome {
    let store = bench.fresh();
    let refused = store.check(&registration()).await;
    ensure_kind!(refused, ErrorKind::Refused, "a check of a store that has not been migrated");
    if let Err(error) = refused {
        let said = error.chain();
        ensure!(said.to_lowercase().contains("migrat"), "the refusal does not say what to do: {said:?}");
    }
    Ok(())
}

pub(crate) async fn a_store_whose_promises_hold_passes(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    for round in 1..=2 {
        let checks = store.check(&registration()).await?;
        ensure!(!checks.is_empty(), "check number {round} passed and says nothing of what holds");
        ensure!(checks.iter().all(|check| !check.what.is_empty()), "a check of nothing: {checks:?}");
        let position = store.append(batch(&[("a", 2)])).await?.position.seq();
        let mut worker = Worker::take(&*store, shard("Balance", 1)).await?;
        worker.commit(&*store, position.get(), vec![put(&table("Balance", 1), "a", 1)]).await?;
    }
    Ok(())
}

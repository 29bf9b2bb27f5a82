use ermine_core::{Epoch, ErrorKind, Seq, ShardName, TakenShard, ports::Store};

use crate::{
    Outcome, Stop,
    bench::{Bench, Worker, patiently, poll_times, progress, put, shard, table, values},
    outcome::{ensure, ensure_eq, ensure_kind},
};

pub(crate) async fn taking_raises_the_epoch_and_answers_with_progress(bench: &Bench<'_>) -> Outcome {
    let (store, other) = (bench.ready().await?, bench.other().await?);
    let shard = shard("Balance", 1);
    let mut first = Worker::take(&*store, shard.clone()).await?;
    ensure_eq!(first.batch.from, Seq::ZERO, "where a new shard starts");
    let second = Worker::take(&*other, shard.clone()).await?;
    ensure!(first.batch.epoch < second.batch.epoch, "taking a shard again did not raise its epoch");
    let late = store.commit(first.next(5, Vec::new())).await;
    ensure_kind!(late, ErrorKind::Fenced { .. }, "a commit in the epoch before the last taking");

    first = second;
    first.commit(&*other, 5, Vec::new()).await?;
    let third = Worker::take(&*store, shard.clone()).await?;
    ensure_eq!(third.batch.from, Seq::new(5), "where a shard at progress 5 starts");
    ensure!(first.batch.epoch < third.batch.epoch, "taking a shard again did not raise its epoch");
    let stored = progress(&*other, &shard).await?;
    ensure_eq!((stored.seq, stored.epoch), (Seq::new(5), third.batch.epoch), "what is stored of the shard");
    Ok(())
}

pub(crate) async fn taking_waits_for_a_commit_in_flight(bench: &Bench<'_>) -> Outcome {
    let (store, other) = (bench.ready().await?, bench.other().await?);
    let (balance, shard) = (table("Balance", 1), shard("Balance", 1));
    let mut worker = Worker::take(&*store, shard.clone()).await?;
    for round in 0..72_usize {
        let (from, to) = (worker.batch.from, worker.batch.from.next());
        // Now one is a little later and now the other, so that they meet at every stage.
        let (commit_waits, take_waits) = (round % 24, 12);
        let commit = async {
            give_way(commit_waits).await;
            store.commit(worker.next(to.get(), vec![put(&balance, "a", to.get())])).await
        };
        let take = async {
            give_way(take_waits).await;
            other.take_shards(std::slice::from_ref(&shard)).await
        };
        let (committed, taken) = tokio::join!(commit, take);
        worker.take_over(taken?)?;
        let start = worker.batch.from;
        match &committed {
            Ok(()) => ensure_eq!(start, to, "where the taker has to start after the commit succeeded"),
            Err(error) if matches!(error.kind(), ErrorKind::Fenced { .. }) => {
                ensure_eq!(start, from, "where the taker has to start after the commit was fenced");
            }
            Err(error) => return Err(Stop::Broken(format!("a commit met a taking: {error:?}"))),
        }
        let stored = progress(&*store, &shard).await?.seq;
        ensure_eq!(stored, start, "progress a while after the taking");
        let stored = values(&*store, &balance, &["a"]).await?[0].unwrap_or_default();
        ensure_eq!(stored, start.get(), "the view a while after the taking");
    }
    Ok(())
}

pub(crate) async fn shards_are_taken_in_order_all_or_none(bench: &Bench<'_>) -> Outcome {
    let (store, other) = (bench.ready().await?, bench.other().await?);
    let shards = [shard("Ride", 1), shard("Balance", 2), shard("Balance", 1), shard("Ride", 2)];
    let backward: Vec<ShardName> = shards.iter().rev().cloned().collect();
    let taken = store.take_shards(&shards).await?;
    ensure_eq!(names(&taken), shards, "shards in the answer");
    for _ in 0..25 {
        let (one, two) = tokio::join!(store.take_shards(&shards), other.take_shards(&backward));
        ensure_eq!(names(&one?), shards, "shards in the answer");
        ensure_eq!(names(&two?), backward, "shards in the answer");
    }
    let base = epochs(bench, &shards).await?;
    ensure!(base.iter().all(|epoch| *epoch == base[0]), "shards that were always taken together: {base:?}");

    for polls in 0..100 {
        let taken = poll_times(polls, store.take_shards(&shards)).await;
        // Waits for a taking that was given up and is still on its way.
        other.take_shards(&shards).await?;
        let epochs = epochs(bench, &shards).await?;
        let even = epochs.iter().all(|epoch| *epoch == epochs[0]);
        ensure!(even, "a taking that was dropped at poll {polls} took some shards only: {epochs:?}");
        if let Some(taken) = taken {
            taken?;
            return Ok(());
        }
    }
    Err(Stop::Skipped("taking shards asks to be polled more than 100 times".into()))
}

pub(crate) async fn placing_a_shard_raises_its_epoch_and_sets_its_progress(bench: &Bench<'_>) -> Outcome {
    let (store, other) = (bench.ready().await?, bench.other().await?);
    let (balance, shard) = (table("Balance", 1), shard("Balance", 1));
    let mut worker = Worker::take(&*store, shard.clone()).await?;
    worker.commit(&*store, 5, vec![put(&balance, "a", 5)]).await?;
    for to in [2, 2, 100, 0] {
        let stale = worker.next(200, vec![put(&balance, "a", 200)]);
        let placed = other.place_shard(&shard, Seq::new(to)).await?;
        ensure_eq!((&placed.shard, placed.seq), (&shard, Seq::new(to)), "a shard that was placed at {to}");
        ensure!(worker.batch.epoch < placed.epoch, "placing a shard at {to} did not raise its epoch");
        let stored = progress(&*store, &shard).await?;
        ensure_eq!((stored.seq, stored.epoch), (placed.seq, placed.epoch), "what is stored of the shard");
        ensure_kind!(
            store.commit(stale).await,
            ErrorKind::Fenced { .. },
            "a commit in the epoch before the placing"
        );
        ensure_eq!(values(&*store, &balance, &["a"]).await?, [Some(5)], "a view after its shard was placed");
        worker.take_over(vec![placed])?;
    }
    worker.commit(&*other, 3, vec![put(&balance, "a", 6)]).await?;
    ensure_eq!(
        progress(&*store, &shard).await?.seq,
        Seq::new(3),
        "progress after a commit from where it was placed"
    );
    let new = self::shard("Ride", 1);
    let placed = store.place_shard(&new, Seq::new(7)).await?;
    ensure_eq!(
        Worker::take(&*store, new).await?.batch.from,
        placed.seq,
        "where a new shard starts that was placed"
    );
    placing_waits_for_a_commit_in_flight(&*store, &*other, worker).await
}

async fn placing_waits_for_a_commit_in_flight(
    store: &dyn Store,
    other: &dyn Store,
    mut worker: Worker,
) -> Outcome {
    for round in 0..48_usize {
        let (to, rewound) = (worker.batch.from.next(), Seq::new(1));
        let commit = async {
            give_way(round % 24).await;
            store.commit(worker.next(to.get(), vec![put(&table("Balance", 1), "a", to.get())])).await
        };
        let place = async {
            give_way(12).await;
            other.place_shard(&worker.batch.shard, rewound).await
        };
        let (committed, placed) = tokio::join!(commit, place);
        if let Err(error) = &committed {
            ensure!(matches!(error.kind(), ErrorKind::Fenced { .. }), "a commit met a placing: {error:?}");
        }
        worker.take_over(vec![placed?])?;
        let stored = progress(store, &worker.batch.shard).await?;
        ensure_eq!(
            (stored.seq, stored.epoch),
            (rewound, worker.batch.epoch),
            "what is stored after the placing"
        );
    }
    Ok(())
}

pub(crate) async fn progress_survives_a_restart(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    let shard = shard("Balance", 1);
    let mut worker = Worker::take(&*store, shard.clone()).await?;
    worker.batch.unknown_events = 3;
    worker.commit(&*store, 7, Vec::new()).await?;
    let before = progress(&*store, &shard).await?;
    if let Some(other) = bench.true_other().await? {
        ensure_eq!(progress(&*other, &shard).await?, before, "progress as another node reads it");
    }
    if !bench.restart().await {
        return Err(Stop::Skipped("the harness cannot restart the store".into()));
    }
    let after = patiently(|| store.read_progress()).await?;
    ensure_eq!(after, [before], "progress after a restart");
    Ok(())
}

pub(crate) async fn all_progress_is_in_the_order_of_the_names(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    ensure_eq!(store.read_progress().await?.len(), 0, "progress of a store in which nothing was taken");
    let mut shards: Vec<ShardName> =
        ["b", "Z", "a", "A", "\u{e4}"].iter().map(|projection| shard(projection, 1)).collect();
    shards.push(shard("a", 2));
    for shard in &shards {
        Worker::take(&*store, shard.clone()).await?.commit(&*store, 2, Vec::new()).await?;
    }
    shards.sort_unstable();
    let found: Vec<ShardName> = store.read_progress().await?.into_iter().map(|p| p.shard).collect();
    ensure_eq!(found, shards, "shards in the order of their progress");
    Ok(())
}

async fn give_way(times: usize) {
    for _ in 0..times {
        tokio::task::yield_now().await;
    }
}

fn names(taken: &[TakenShard]) -> Vec<ShardName> {
    taken.iter().map(|taken| taken.shard.clone()).collect()
}

async fn epochs(bench: &Bench<'_>, shards: &[ShardName]) -> Result<Vec<Epoch>, Stop> {
    let mut epochs = Vec::with_capacity(shards.len());
    for shard in shards {
        epochs.push(progress(&*bench.fresh(), shard).await?.epoch);
    }
    Ok(epochs)
}

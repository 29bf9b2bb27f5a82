//! Events that wait behind others.

use ermine_core::{LetterChanges, ParkKey, Seq, ShardName};

use super::data::{behind_stream, behind_view, commit, keys, parked, waiting};
use crate::{
    Outcome, Stop,
    bench::{Bench, Worker, at_most, dead_letters, shard},
    outcome::ensure_eq,
};

fn parking(key: &ParkKey, seqs: &[u64]) -> LetterChanges {
    let parked = seqs.iter().map(|seq| (key.clone(), Seq::new(*seq))).collect();
    LetterChanges { parked, ..LetterChanges::default() }
}

fn releasing(key: &ParkKey, seqs: &[u64]) -> LetterChanges {
    let released = seqs.iter().map(|seq| (key.clone(), Seq::new(*seq))).collect();
    LetterChanges { released, ..LetterChanges::default() }
}

pub(crate) async fn parked_events_are_given_in_order_after_a_number(bench: &Bench<'_>) -> Outcome {
    let (store, other) = (bench.ready().await?, bench.other().await?);
    let theirs = dead_letters(&*other)?;
    let (shard, key) = (shard("Balance", 1), behind_stream("it's: \u{e4}"));
    let mut worker = Worker::take(&*store, shard.clone()).await?;
    ensure_eq!(waiting(theirs, &shard, &key).await?, [0; 0], "events that wait where nothing was parked");
    commit(&*store, &mut worker, 10, parking(&key, &[9, 10, 2, 9, 100])).await?;
    commit(&*store, &mut worker, 11, parking(&key, &[11, 2, Seq::MAX.get()])).await?;
    let order = [2, 9, 10, 11, 100, Seq::MAX.get()];
    for after in [0, 1, 2, 9, 99, 100, 101, Seq::MAX.get()] {
        let above: Vec<u64> = order.into_iter().filter(|seq| *seq > after).collect();
        for limit in [1, 2, 6, 1000] {
            let found = theirs.parked(&shard, &key, Seq::new(after), at_most(limit)).await?;
            let found: Vec<u64> = found.into_iter().map(Seq::get).collect();
            ensure_eq!(
                found,
                above[..limit.min(above.len())],
                "at most {limit} waiting events after {after}"
            );
        }
    }
    // One that was never parked is released, too; and what is parked and released in one batch does not wait.
    let mut changes = releasing(&key, &[9, 100, 55, 12]);
    changes.parked = parking(&key, &[12, 13]).parked;
    commit(&*store, &mut worker, 13, changes).await?;
    ensure_eq!(
        waiting(theirs, &shard, &key).await?,
        [2, 10, 11, 13, Seq::MAX.get()],
        "events that wait still"
    );
    commit(&*store, &mut worker, 13, parking(&key, &[9])).await?;
    ensure_eq!(waiting(theirs, &shard, &key).await?[..2], [2, 9], "events that wait, one of them again");
    Ok(())
}

pub(crate) async fn parked_keys_of_a_shard_come_with_how_many_wait(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    let theirs = dead_letters(&*store)?;
    let names = ["Balance:All", "Balance:V2:All", "balance:All", "Balance:1of2", "Balance:All:a:b"];
    let mut workers = Vec::new();
    for name in names {
        workers.push(Worker::take(&*store, name.parse()?).await?);
    }
    let quiet: ShardName = "Balance:2of2".parse()?;
    ensure_eq!(theirs.parked_keys(&quiet).await?, [], "parked keys of a shard that nobody has taken");
    // Behind every key of every shard wait other events, and other counts of them.
    let keys = keys();
    let numbers = |at: usize, nth: usize| -> Vec<u64> {
        (0..=(at + nth) % 4).map(|more| (1 + at * 1000 + nth * 10 + more) as u64).collect()
    };
    let mut wanted: Vec<Vec<(ParkKey, Vec<u64>)>> = Vec::new();
    for (at, worker) in workers.iter_mut().enumerate() {
        let mut behind: Vec<_> =
            keys.iter().enumerate().map(|(nth, key)| (key.clone(), numbers(at, nth))).collect();
        let mut changes = LetterChanges::default();
        for (key, numbers) in &behind {
            changes.parked.extend(parking(key, numbers).parked);
        }
        commit(&*store, worker, 1, changes).await?;
        behind.sort_unstable();
        wanted.push(behind);
    }
    ensure_parked(theirs, &names, &wanted).await?;

    // A view of the same id as a stream, and the stream: what happens to the one does not touch the other.
    let (stream, view) = (behind_stream("x"), behind_view("x"));
    let gone = wanted[1].extract_if(.., |(key, _)| *key == stream).flat_map(|(_, numbers)| numbers);
    commit(&*store, &mut workers[1], 2, releasing(&stream, &gone.collect::<Vec<u64>>())).await?;
    ensure_parked(theirs, &names, &wanted).await?;
    commit(&*store, &mut workers[2], 2, parking(&view, &[5000])).await?;
    wanted[2].iter_mut().filter(|(key, _)| *key == view).for_each(|(_, numbers)| numbers.push(5000));
    ensure_parked(theirs, &names, &wanted).await?;
    ensure_eq!(theirs.parked_keys(&quiet).await?, [], "parked keys of another part of the same projection");
    Ok(())
}

async fn ensure_parked(
    theirs: &dyn ermine_core::ports::DeadLetterStore,
    names: &[&str],
    wanted: &[Vec<(ParkKey, Vec<u64>)>],
) -> Outcome {
    for (name, wanted) in names.iter().zip(wanted) {
        let shard: ShardName = name.parse()?;
        let found: Result<_, Stop> = parked(theirs, &shard).await;
        ensure_eq!(found?, *wanted, "what waits in shard {name}");
    }
    Ok(())
}

//! Letters and waiting events beside everything else in a batch.

use ermine_core::{
    DeadLetter, ErrorKind, Incarnation, LetterChanges, LetterQuery, LetterState, ParkKey, Seq, ShardBatch,
    ShardName, Uuid, ports::Store,
};

use super::data::{all, behind_stream, behind_view, commit, letter, moment, parked, waiting};
use crate::{
    Outcome, Stop,
    bench::{
        Bench, Worker, dead_letters, foreign, patiently, poll_times, progress, put, shard, table, values,
    },
    outcome::{ensure, ensure_eq, ensure_kind},
};

pub(crate) async fn letters_and_progress_become_visible_together(bench: &Bench<'_>) -> Outcome {
    let (store, other) = (bench.ready().await?, bench.other().await?);
    dead_letters(&*store)?;
    while_others_read(&*store, &*other).await?;
    where_a_batch_is_refused(&*store).await?;
    where_nothing_moves(&*store).await?;
    where_a_commit_is_dropped(&*store).await?;
    after_a_restart(bench, &*store).await
}

/// What there is of a shard's refused events.
async fn everything(
    store: &dyn Store,
    shard: &ShardName,
) -> Result<(Vec<DeadLetter>, Vec<(ParkKey, Vec<u64>)>), Stop> {
    let letters = dead_letters(store)?;
    let query = LetterQuery { shard: Some(shard.clone()), ..LetterQuery::default() };
    Ok((letters.letters(query).await?, parked(letters, shard).await?))
}

/// Passes event `seq`, and has the next one wait behind it.
fn pass(shard: &ShardName, seq: u64) -> LetterChanges {
    LetterChanges {
        letters: vec![letter(shard, seq, Some(behind_stream("s")))],
        parked: vec![(behind_stream("s"), Seq::new(seq))],
        released: Vec::new(),
    }
}

async fn while_others_read(store: &dyn Store, other: &dyn Store) -> Outcome {
    const ROUNDS: u64 = 40;
    let shard = shard("Balance", 1);
    let letters = dead_letters(other)?;
    let mut worker = Worker::take(store, shard.clone()).await?;
    let write = async {
        for to in 1..=ROUNDS {
            commit(store, &mut worker, to, pass(&shard, to)).await?;
        }
        Ok::<(), Stop>(())
    };
    let read = async {
        loop {
            let before = progress(other, &shard).await?.seq.get();
            let open = letters.count_letters(LetterQuery::open(shard.clone())).await?;
            let behind = waiting(letters, &shard, &behind_stream("s")).await?.len() as u64;
            let after = progress(other, &shard).await?.seq.get();
            ensure!(
                before <= open && open <= behind && behind <= after,
                "at progress {before} there were {open} letters, then {behind} waiting events, then progress was {after}"
            );
            if before == ROUNDS {
                return Ok(());
            }
        }
    };
    tokio::try_join!(write, read)?;
    Ok(())
}

async fn where_a_batch_is_refused(store: &dyn Store) -> Outcome {
    let shard = shard("Ride", 1);
    let old = Worker::take(store, shard.clone()).await?;
    let mut worker = Worker::take(store, shard.clone()).await?;
    commit(store, &mut worker, 1, pass(&shard, 1)).await?;
    let before = everything(store, &shard).await?;
    let changed = DeadLetter { attempts: 9, ..before.0[0].clone() };
    worker.batch.letters = LetterChanges {
        letters: vec![changed, letter(&shard, 2, None)],
        parked: vec![(behind_view("v"), Seq::new(2))],
        released: vec![(behind_stream("s"), Seq::new(1))],
    };
    let batch = worker.next(2, Vec::new());
    let fenced = ShardBatch { epoch: old.batch.epoch, ..batch.clone() };
    let misplaced = ShardBatch { from: Seq::ZERO, ..batch.clone() };
    let rewound = ShardBatch { incarnation: Incarnation(Uuid::from_u128(1)), ..batch.clone() };
    let foreign = ShardBatch { operations: vec![foreign(&table("Ride", 1))], ..batch };
    ensure_kind!(store.commit(fenced).await, ErrorKind::Fenced { .. }, "a batch of an older epoch");
    ensure_eq!(everything(store, &shard).await?, before, "refused events after a batch that was fenced");
    ensure_kind!(
        store.commit(misplaced).await,
        ErrorKind::OutOfOrder { .. },
        "a batch that starts too early"
    );
    ensure_eq!(everything(store, &shard).await?, before, "refused events after a batch out of order");
    ensure_kind!(store.commit(rewound).await, ErrorKind::Rewound, "a batch of another incarnation");
    ensure_eq!(everything(store, &shard).await?, before, "refused events after a rewound batch");
    ensure_kind!(store.commit(foreign).await, ErrorKind::Configuration, "a batch with a foreign statement");
    ensure_eq!(everything(store, &shard).await?, before, "refused events after a batch that cannot work");
    Ok(())
}

async fn where_nothing_moves(store: &dyn Store) -> Outcome {
    let shard = shard("Ride", 2);
    let ride = table("Ride", 1);
    let mut worker = Worker::take(store, shard.clone()).await?;
    commit(store, &mut worker, 1, pass(&shard, 1)).await?;
    let replayed = DeadLetter {
        state: LetterState::Replayed { at: moment(1) },
        ..letter(&shard, 1, Some(behind_stream("s")))
    };
    worker.batch.letters = LetterChanges {
        letters: vec![replayed.clone()],
        parked: Vec::new(),
        released: vec![(behind_stream("s"), Seq::new(1))],
    };
    worker.commit(store, 1, vec![put(&ride, "replayed", 1)]).await?;
    ensure_eq!(
        everything(store, &shard).await?,
        (vec![replayed], Vec::new()),
        "refused events after a batch with to == from has settled one"
    );
    ensure_eq!(values(store, &ride, &["replayed"]).await?, [Some(1)], "the view of that batch");
    ensure_eq!(progress(store, &shard).await?.seq, Seq::new(1), "progress after that batch");
    Ok(())
}

async fn where_a_commit_is_dropped(store: &dyn Store) -> Outcome {
    let shard = shard("Dropped", 1);
    let letters = dead_letters(store)?;
    let mut to = 0;
    for polls in 0..200 {
        // Taking waits for what the dropped commit may have left behind.
        let mut worker = Worker::take(store, shard.clone()).await?;
        let at = worker.batch.from.get();
        let numbers: Vec<u64> = (1..=at).collect();
        let (open, behind) = everything(store, &shard).await?;
        let open: Vec<u64> = open.iter().map(|letter| letter.id.seq.get()).collect();
        ensure_eq!(open, numbers, "letters at progress {at}, after a commit was dropped at poll {polls}");
        let behind: Vec<u64> = behind.into_iter().flat_map(|(_, seqs)| seqs).collect();
        ensure_eq!(behind, numbers, "waiting events after a commit was dropped at poll {polls}");
        ensure!(at == to || at + 1 == to, "progress is {at} after a commit to {to} was dropped");
        to = at + 1;
        worker.batch.letters = pass(&shard, to);
        if let Some(done) = poll_times(polls, store.commit(worker.next(to, Vec::new()))).await {
            done?;
            let query = LetterQuery::open(shard);
            ensure_eq!(letters.count_letters(query).await?, to, "letters after a commit that was answered");
            return Ok(());
        }
    }
    Err(Stop::Skipped("a commit of this store asks to be polled more than 200 times".into()))
}

async fn after_a_restart(bench: &Bench<'_>, store: &dyn Store) -> Outcome {
    let shard = shard("Balance", 2);
    let mut worker = Worker::take(store, shard.clone()).await?;
    commit(store, &mut worker, 1, pass(&shard, 1)).await?;
    let letters = dead_letters(store)?;
    let before = (all(letters).await?, parked(letters, &shard).await?);
    if !bench.restart().await {
        return Ok(());
    }
    patiently(|| store.read_progress()).await?;
    let letters = dead_letters(store)?;
    let found = patiently(|| letters.letters(LetterQuery::default())).await?;
    ensure_eq!((found, parked(letters, &shard).await?), before, "refused events after a restart");
    Ok(())
}

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ermine_core::{EventFilter, Evidence, HolderId, Observation, Observe, Seq, ports::Store};
use tokio::task::JoinSet;

use crate::{
    Outcome, Stop,
    bench::{
        Bench, HAPPENED, Worker, batch, log, names, observe, observe_patiently, put, request, shard, table,
    },
    outcome::{ensure, ensure_eq},
};

pub(crate) async fn the_fields_of_an_observation_are_read_in_order(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    let empty = observe(&*store).await?;
    let nothing = (Seq::ZERO, Seq::ZERO, Seq::ZERO);
    ensure_eq!((empty.last, empty.last_again, empty.highest_visible), nothing, "numbers of an empty store");
    let position = store.append(batch(&[("a", 3)])).await?.position.seq();
    let seen = observe(&*store).await?;
    ensure_eq!(seen.highest_visible, position, "the highest event after an append was answered");
    ensure!(position <= seen.last && seen.last <= seen.last_again, "numbers out of order: {seen:?}");

    // Writers as fast as they can, appends held open among them, and a reader that goes by nothing but observations. A
    // field read too early lets the reader's mark pass a number that is still to come.
    let holder_ended = Arc::new(AtomicBool::new(false));
    let mut writers = JoinSet::new();
    for writer in 0..3 {
        let (store, holder_ended) = (bench.other().await?, Arc::clone(&holder_ended));
        writers.spawn(async move { write(&*store, writer, &holder_ended).await });
    }
    let hold = async {
        let held = hold_and_let_go(bench).await;
        holder_ended.store(true, Ordering::Release);
        held
    };
    let (held, read) = tokio::join!(hold, follow(&*store, &mut writers, &holder_ended));
    held?;
    let read = read?;
    let recorded: Vec<Seq> = log(&*store).await?.iter().map(|event| event.seq).collect();
    match read {
        Some(read) => {
            let lost: Vec<&Seq> = recorded.iter().filter(|seq| !read.contains(seq)).collect();
            ensure!(lost.is_empty(), "a reader that goes by the observations never saw the events {lost:?}");
            ensure_eq!(read.len(), recorded.len(), "events that a reader saw");
            Ok(())
        }
        None => Err(Stop::Skipped("this store's evidence cannot tell a late number from a dead one".into())),
    }
}

pub(crate) async fn an_append_in_flight_shows_as_evidence(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    store.append(batch(&[("a", 1)])).await?;
    let held = bench.hold(batch(&[("held", 2)])).await?;
    let first = Seq::new(held.appended().position.seq().get() - 1);
    store.append(batch(&[("b", 3)])).await?;
    let longer = bench.hold(batch(&[("longer", 1)])).await?;
    let later = longer.appended().position.seq();
    for _ in 0..3 {
        let seen = observe(&*store).await?;
        ensure!(covers(&seen, first), "number {first} is in flight and shows nowhere: {seen:?}");
        ensure!(covers(&seen, later), "number {later} is in flight and shows nowhere: {seen:?}");
        store.append(batch(&[("b", 1)])).await?;
    }
    held.commit().await?;
    let seen = observe(&*store).await?;
    ensure!(covers(&seen, later), "number {later} is in flight and shows nowhere: {seen:?}");
    longer.commit().await?;
    let seen = observe(&*store).await?;
    ensure!(is_quiet(&seen), "both appends have ended and still show: {seen:?}");
    ensure_eq!(log(&*store).await?.len(), 10, "events after all appends have ended");
    Ok(())
}

pub(crate) async fn a_rolled_back_append_leaves_and_its_numbers_stay_dead(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    store.append(batch(&[("a", 1)])).await?;
    let held = bench.hold(batch(&[("held", 2)])).await?;
    let dead = held.appended().position.seq();
    held.rollback().await?;
    let seen = observe(&*store).await?;
    ensure!(is_quiet(&seen), "the append was rolled back and still shows: {seen:?}");
    ensure!(seen.highest_visible < dead, "a rolled back event is visible: {seen:?}");
    let next = store.append(batch(&[("a", 1), ("held", 1)])).await?;
    ensure!(next.position.seq() > dead, "number {dead} was drawn before and rolled back: {next:?}");
    ensure_eq!(next.versions.last().map(|v| v.get()), Some(1), "the version after a rolled back first event");
    let seqs: Vec<Seq> = log(&*store).await?.iter().map(|event| event.seq).collect();
    let dead = [Seq::new(dead.get() - 1), dead];
    ensure!(seqs.len() == 3 && !seqs.iter().any(|s| dead.contains(s)), "{dead:?} are dead: {seqs:?}");
    Ok(())
}

pub(crate) async fn the_incarnation_changes_with_a_loss_and_stays_otherwise(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    let first = observe(&*store).await?.incarnation;
    store.append(batch(&[("a", 1)])).await?;
    let mut worker = Worker::take(&*store, shard("Balance", 1)).await?;
    worker.commit(&*store, 1, vec![put(&table("Balance", 1), "a", 1)]).await?;
    ensure_eq!(observe(&*store).await?.incarnation, first, "the incarnation after ordinary work");
    ensure_eq!(observe(&*bench.other().await?).await?.incarnation, first, "what another node sees");
    let restarted = bench.restart().await;
    if restarted {
        let after = observe_patiently(&*store).await?.incarnation;
        ensure_eq!(after, first, "the incarnation after a clean restart");
    }
    if bench.crash().await {
        let after = observe_patiently(&*store).await?.incarnation;
        ensure!(after != first, "the store has crashed and goes on under the same incarnation");
        ensure_eq!(observe(&*bench.other().await?).await?.incarnation, after, "what another node sees");
        Ok(())
    } else if restarted {
        Err(Stop::Skipped("the harness cannot crash the store; a restart kept the incarnation".into()))
    } else {
        Err(Stop::Skipped("the harness can neither crash nor restart the store".into()))
    }
}

pub(crate) async fn explain_names_every_append_that_holds_the_mark(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    store.append(batch(&[("a", 1)])).await?;
    ensure_eq!(store.explain().await?.len(), 0, "who holds the mark of a quiet store");
    let one = bench.hold(batch(&[("one", 1)])).await?;
    let two = bench.hold(batch(&[("two", 1)])).await?;
    let holders = store.explain().await?;
    ensure_eq!(holders.len(), 2, "appends that hold the mark ({holders:?})");
    let ordered = holders.is_sorted_by_key(|holder| holder.floor);
    ensure!(ordered, "the lowest floor comes first: {holders:?}");
    let first = one.appended().position.seq();
    ensure!(holders[0].floor < first, "number {first} is held below itself: {holders:?}");
    ensure!(holders.iter().all(|holder| !holder.state.is_empty()), "a holder without a state: {holders:?}");
    one.commit().await?;
    ensure_eq!(store.explain().await?.len(), 1, "appends that hold the mark after one has ended");
    two.rollback().await?;
    ensure_eq!(store.explain().await?.len(), 0, "who holds the mark after both have ended");
    Ok(())
}

/// Whether the observation admits that `number` may still become an event.
fn covers(seen: &Observation, number: Seq) -> bool {
    match &seen.evidence {
        Evidence::Floors(floors) => floors.iter().any(|floor| *floor < number),
        Evidence::Holders(holders) => !holders.is_empty(),
        Evidence::Visible { contiguous, .. } => *contiguous < number,
        _ => true,
    }
}

/// Whether the observation says that nothing is in flight, as far as it can.
fn is_quiet(seen: &Observation) -> bool {
    match &seen.evidence {
        Evidence::Floors(floors) => floors.is_empty(),
        Evidence::Holders(holders) => holders.is_empty(),
        _ => true,
    }
}

/// At least this many appends by each writer, and until nobody holds one open any more.
const APPENDS: usize = 60;

async fn write(store: &dyn Store, writer: usize, holder_ended: &AtomicBool) -> Outcome {
    let mut nth = 0;
    while nth < APPENDS || !holder_ended.load(Ordering::Acquire) {
        store.append(batch(&[(&format!("writer-{writer}"), 1 + nth % 3)])).await?;
        tokio::time::sleep(Duration::from_micros(500)).await;
        nth += 1;
    }
    Ok(())
}

async fn hold_and_let_go(bench: &Bench<'_>) -> Outcome {
    for nth in 0..24 {
        // With times in between when nobody holds anything: what comes after them must not surprise the reader. All
        // lengths differ, so that no pace of the reader fits between them.
        tokio::time::sleep(Duration::from_millis(nth * 7 % 11)).await;
        let Some(held) = bench.try_hold(batch(&[("held", 1)])).await? else { return Ok(()) };
        tokio::time::sleep(Duration::from_millis(2 + nth * 5 % 9)).await;
        if nth % 4 == 0 {
            held.rollback().await?;
        } else {
            held.commit().await?;
        }
    }
    Ok(())
}

/// Reads the log up to the mark until all writers have ended and nothing is left; `None` where the evidence does not allow
/// for a mark.
async fn follow(
    store: &dyn Store,
    writers: &mut JoinSet<Outcome>,
    holder_ended: &AtomicBool,
) -> Result<Option<Vec<Seq>>, Stop> {
    let mut marker = Marker::default();
    let mut read = Vec::new();
    let mut position = Seq::ZERO;
    loop {
        while let Some(ended) = writers.try_join_next() {
            ended.map_err(|e| Stop::Broken(format!("a writer panicked: {e}")))??;
        }
        let ended = writers.is_empty() && holder_ended.load(Ordering::Acquire);
        let ask = Observe { mark: position, bell: ermine_core::Bell::Leave };
        let seen = store.observe(ask).await?;
        ensure!(seen.last <= seen.last_again, "the last number went back in one observation: {seen:?}");
        let Some(mark) = marker.handle(&seen) else {
            while let Some(ended) = writers.join_next().await {
                ended.map_err(|e| Stop::Broken(format!("a writer panicked: {e}")))??;
            }
            return Ok(None);
        };
        if mark > position {
            let filter = EventFilter::new(names(&[HAPPENED]), []);
            let page = store.load_page(request(seen.incarnation, position, mark, filter)?).await?;
            read.extend(page.events.iter().map(|event| event.seq));
            position = page.range.ceiling();
        } else if ended && is_quiet(&seen) && position == seen.highest_visible {
            return Ok(Some(read));
        }
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
}

/// The mark by its definition, without any cleverness.
#[derive(Default)]
struct Marker {
    mark: Seq,
    waiting: Vec<(Seq, HashSet<HolderId>)>,
}

impl Marker {
    fn handle(&mut self, seen: &Observation) -> Option<Seq> {
        let settled = match &seen.evidence {
            Evidence::Floors(floors) => floors.iter().copied().fold(seen.last, Seq::min),
            Evidence::Holders(holders) => {
                let now: HashSet<HolderId> = holders.iter().cloned().collect();
                self.waiting.push((seen.last, now.clone()));
                // A number is settled when everybody who was there after it had been drawn is gone.
                let is_settled = |held: &HashSet<HolderId>| held.is_disjoint(&now);
                let settled = self.waiting.iter().filter(|(_, held)| is_settled(held)).map(|(last, _)| *last);
                let settled = settled.max().unwrap_or_default();
                self.waiting.retain(|(_, held)| !is_settled(held));
                settled
            }
            _ => return None,
        };
        self.mark = self.mark.max(settled.min(seen.highest_visible));
        Some(self.mark)
    }
}

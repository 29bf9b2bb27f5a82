mod data;
mod model;
mod parked;
mod queries;
mod together;
mod written;

use ermine_core::{
    DeadLetter, Event, LetterChanges, LetterId, LetterQuery, LetterRequest, LetterState, LetterStatus, Seq,
    ports::DeadLetterStore,
};

use crate::{
    Outcome, Stop,
    bench::{Bench, Worker, batch, dead_letters, json, last, log, shard},
    cases::wakeup::ensure_wakes,
    outcome::{ensure, ensure_eq},
};
use data::{all, behind_stream, behind_view, commit, letter, states, written};

pub(crate) use data::{moment, parking};
pub(crate) use parked::{
    parked_events_are_given_in_order_after_a_number, parked_keys_of_a_shard_come_with_how_many_wait,
};
pub(crate) use queries::{
    counting_letters_gives_how_many_match, letters_are_given_as_the_query_says_in_the_order_of_ids,
};
pub(crate) use together::letters_and_progress_become_visible_together;
pub(crate) use written::a_letter_takes_the_place_of_its_namesake_and_comes_back_as_written;

pub(crate) async fn asking_marks_open_letters_and_wakes_a_waiter(bench: &Bench<'_>) -> Outcome {
    let (store, other) = (bench.ready().await?, bench.other().await?);
    let (mine, theirs) = (dead_letters(&*store)?, dead_letters(&*other)?);
    let shard = shard("Balance", 1);
    let mut worker = Worker::take(&*store, shard.clone()).await?;
    let mut letters: Vec<DeadLetter> =
        (1..).zip(states()).map(|(seq, state)| DeadLetter { state, ..letter(&shard, seq, None) }).collect();
    let parked = letter(&shard, 1, Some(behind_stream("it's: 1")));
    letters.insert(1, parked);
    commit(&*store, &mut worker, 9, written(&letters)).await?;

    let retry = LetterRequest::Retry { by: "ada".into() };
    let nobody = LetterQuery { seq: Some(Seq::new(99)), ..LetterQuery::default() };
    ensure_eq!(theirs.request(nobody, retry.clone()).await?, 0, "letters marked, of an event without any");
    ensure_eq!(all(mine).await?, letters, "letters after nothing was asked about them");

    let discard = LetterRequest::Discard { by: "gr\u{e4}ce: o'x".into(), reason: "it's\n\"broken\"".into() };
    for (what, query, request) in [
        ("one event", LetterQuery { seq: Some(Seq::new(1)), ..LetterQuery::default() }, retry.clone()),
        (
            "a limit, which does not count",
            LetterQuery { limit: Some(1), ..LetterQuery::open(shard.clone()) },
            discard,
        ),
        (
            "what comes after a letter",
            LetterQuery { after: Some(letters[0].id.clone()), ..LetterQuery::default() },
            retry.clone(),
        ),
        (
            "letters that are settled",
            LetterQuery { statuses: vec![LetterStatus::Replayed], ..LetterQuery::default() },
            retry,
        ),
    ] {
        let mut wanted = 0;
        for letter in letters.iter_mut().filter(|letter| is_open(letter) && query.matches(letter)) {
            letter.state = LetterState::Requested(request.clone());
            wanted += 1;
        }
        let ask = async {
            ensure_eq!(theirs.request(query, request).await?, wanted, "letters marked with {what}");
            Ok(())
        };
        // Where nothing is marked, nobody has to wake.
        let told =
            if wanted > 0 { ensure_wakes(&*store, "asking about letters", ask).await } else { ask.await };
        told?;
        ensure_eq!(all(mine).await?, letters, "letters after asking with {what}");
    }
    Ok(())
}

fn is_open(letter: &DeadLetter) -> bool {
    LetterStatus::OPEN.contains(&letter.state.status())
}

pub(crate) async fn reading_events_gives_those_that_there_are(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    let letters = dead_letters(&*store)?;
    ensure_eq!(letters.read_events(&[Seq::new(1)]).await?, [], "events of an empty log");
    let dead = bench.try_hold(batch(&[("dead", 2)])).await?;
    store.append(batch(&[("a", 3), ("b", 2)])).await?;
    if let Some(dead) = dead {
        dead.rollback().await?;
    }
    let events = log(&*store).await?;
    if let Some(admin) = store.stream_admin() {
        admin.skip_events(&[events[1].seq, events[4].seq], "broken").await?;
    }
    let unheard = Seq::new(last(&*store).await?.get() + 1000);
    let of = |places: &[usize]| places.iter().map(|place| events[*place].seq).collect::<Vec<Seq>>();
    ensure_events(letters, &of(&[4, 0, 2, 1, 3]), &events).await?;
    ensure_events(letters, &of(&[1]), &events[1..2]).await?;
    let mut odd = of(&[3, 1, 3, 0, 1]);
    odd.extend([Seq::ZERO, unheard, Seq::MAX]);
    ensure_events(letters, &odd, &[events[0].clone(), events[1].clone(), events[3].clone()]).await?;
    ensure_events(letters, &[], &[]).await
}

/// However a store spells the JSON of the bodies.
async fn ensure_events(letters: &dyn DeadLetterStore, seqs: &[Seq], wanted: &[Event]) -> Outcome {
    let found = letters.read_events(seqs).await?;
    let numbers = |events: &[Event]| events.iter().map(|event| event.seq).collect::<Vec<Seq>>();
    ensure_eq!(numbers(&found), numbers(wanted), "numbers of the events that were read by {seqs:?}");
    for (found, wanted) in found.iter().zip(wanted) {
        ensure_eq!(json(&found.body)?, json(&wanted.body)?, "the body of event {}", wanted.seq);
        let same = Event { body: wanted.body.clone(), ..found.clone() };
        ensure_eq!(same, *wanted, "an event that was read by its number");
    }
    Ok(())
}

pub(crate) async fn purging_removes_what_was_replayed_before(bench: &Bench<'_>) -> Outcome {
    let (store, other) = (bench.ready().await?, bench.other().await?);
    let (mine, theirs) = (dead_letters(&*store)?, dead_letters(&*other)?);
    let shard = shard("Balance", 1);
    let mut worker = Worker::take(&*store, shard.clone()).await?;
    let settled = |at| {
        let discarded = LetterState::Discarded { at, by: "ada".into(), reason: String::new() };
        [LetterState::Replayed { at }, discarded]
    };
    let open = states().into_iter().filter(|state| state.settled_at().is_none());
    let states: Vec<LetterState> =
        [1, 2, 3].into_iter().flat_map(|at| settled(moment(at))).chain(open).collect();
    let mut letters: Vec<DeadLetter> = (1..)
        .zip(states)
        .map(|(seq, state)| {
            // All of them failed long before anything was settled.
            DeadLetter { state, ..letter(&shard, seq, Some(behind_view("v"))) }
        })
        .collect();
    let mut changes = written(&letters);
    changes.parked = vec![(behind_view("v"), Seq::new(50))];
    commit(&*store, &mut worker, 99, changes).await?;

    for (before, wanted) in [(0, 0), (1, 0), (2, 1), (2, 0), (1_000_000, 2)] {
        let moment = moment(before);
        letters.retain(|letter| !letter.state.is_replayed_before(moment));
        ensure_eq!(theirs.purge_letters(moment).await?, wanted, "letters purged before moment {before}");
        ensure_eq!(all(mine).await?, letters, "letters after those replayed before {before} were purged");
    }
    ensure!(letters.len() == 6, "the case is wrong: {letters:?} are left");
    let keys = mine.parked_keys(&shard).await?;
    ensure_eq!(keys, [(behind_view("v"), 1)], "parked keys after purging");
    // What is purged may fail again.
    let again = letter(&shard, 1, Some(behind_view("v")));
    commit(&*store, &mut worker, 99, written(std::slice::from_ref(&again))).await?;
    letters.insert(0, again);
    ensure_eq!(all(mine).await?, letters, "letters after one that was purged has failed again");
    Ok(())
}

/// Every letter there is, by its id.
async fn ids(letters: &dyn DeadLetterStore) -> Result<Vec<LetterId>, Stop> {
    Ok(all(letters).await?.into_iter().map(|letter| letter.id).collect())
}

/// What leaves letters and events as they are.
fn nothing() -> LetterChanges {
    LetterChanges::default()
}

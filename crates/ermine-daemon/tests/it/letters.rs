//! Events that fail: passed, parked, retried, given up.

use std::{
    collections::HashSet,
    sync::{LazyLock, Mutex},
    time::Duration,
};

use ermine_core::{
    Aggregate, AppendBatch, ApplyError, DeadLetters, DomainEvent, ErrorClass, ErrorKind, ErrorPolicy,
    LetterQuery, LetterState, LetterStatus, NewEvent, ParkKey, Projected, ProjectionName, Recorded, Result,
    Seq, SingleStream, StreamAppend, StreamId, ViewId, ViewKey, ViewTable, multi_stream,
    policy::{retry_later, skip},
    ports::{DeadLetterStore, EventAppender, Store, ViewStore},
    single_stream,
};
use ermine_daemon::{Daemon, Letters, Retried, ShardState};
use ermine_memory::{Call, MemoryStore};
use serde::{Deserialize, Serialize};

use crate::support::{Rig, SOON, settings, small_pages};

/// The events that user code accepts by now; each test has names of its own.
static CURED: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);

pub(crate) fn cure(name: &str) {
    CURED.lock().unwrap().insert(name.to_owned());
}

#[derive(DomainEvent, Serialize, Deserialize)]
#[event(crate = "ermine_core")]
pub(crate) enum Entry {
    Noted { n: u64, board: String },
    Odd { n: u64, board: String, name: String },
}

/// All numbers in the order in which they were applied.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Numbers {
    pub(crate) all: Vec<u64>,
}

impl Aggregate for Numbers {
    type Event = Entry;

    fn evolve(numbers: Option<Self>, event: &Recorded<Entry>) -> Result<Option<Self>, ApplyError> {
        let mut numbers = numbers.unwrap_or_default();
        match event.data() {
            Entry::Odd { name, .. } if !CURED.lock().unwrap().contains(name) => {
                return Err(ApplyError::msg(format!("{name} is odd")));
            }
            Entry::Odd { n, .. } | Entry::Noted { n, .. } => numbers.all.push(*n),
        }
        Ok(Some(numbers))
    }
}

pub(crate) fn numbers() -> Projected<SingleStream<Numbers>> {
    single_stream("Numbers")
}

pub(crate) fn boards() -> Projected<ermine_core::MultiStream<Numbers>> {
    multi_stream("Boards", |event: &Recorded<Entry>| match event.data() {
        Entry::Noted { board, .. } | Entry::Odd { board, .. } => board.clone(),
    })
}

pub(crate) fn noted(stream: &str, n: u64) -> AppendBatch {
    on_board(stream, "all", n)
}

pub(crate) fn on_board(stream: &str, board: &str, n: u64) -> AppendBatch {
    batch(stream, &Entry::Noted { n, board: board.into() })
}

pub(crate) fn odd(stream: &str, n: u64, name: &str) -> AppendBatch {
    batch(stream, &Entry::Odd { n, board: "all".into(), name: name.into() })
}

pub(crate) fn batch(stream: &str, entry: &Entry) -> AppendBatch {
    let event = NewEvent::of(entry).unwrap();
    AppendBatch::new().stream(StreamAppend::new(StreamId::new(stream).unwrap(), vec![event]))
}

pub(crate) fn run<P: Into<ermine_core::Registered>>(store: &MemoryStore, projection: P) -> Rig {
    let shared: std::sync::Arc<dyn Store> = std::sync::Arc::new(store.clone());
    Rig::run(store, Daemon::builder(shared).settings(settings()).projection(projection))
}

pub(crate) async fn view(store: &MemoryStore, projection: &str, id: &str) -> Option<Vec<u64>> {
    let table = ViewTable::new(ProjectionName::new(projection).unwrap(), 1);
    let key = ViewKey::new(ViewId::new(id).unwrap());
    let found = store.load_views(&table, &[key]).await.unwrap().remove(0);
    found.map(|view| view.body.decode::<Numbers>().unwrap().all)
}

pub(crate) async fn letters(rig: &Rig) -> Vec<ermine_core::DeadLetter> {
    rig.handle.dead_letters().unwrap().list(LetterQuery::default()).await.unwrap()
}

pub(crate) async fn retry(letters: &Letters) -> Retried {
    letters.retry(LetterQuery::default(), "ada").await.unwrap().run(SOON).await.unwrap()
}

#[tokio::test]
async fn a_skipped_event_leaves_a_letter_and_its_neighbours_go_through() {
    let store = MemoryStore::new();
    let rig = run(&store, numbers());
    rig.append(noted("a", 1)).await;
    rig.append(odd("a", 2, "skipped-alone")).await;
    rig.append(noted("b", 3)).await;
    let position = rig.append(noted("a", 4)).await;
    rig.reach(position).await;
    assert_eq!(view(&store, "Numbers", "a").await, Some(vec![1, 4]));
    assert_eq!(view(&store, "Numbers", "b").await, Some(vec![3]));
    let all = letters(&rig).await;
    let [letter] = &all[..] else { panic!("one letter, and not {all:?}") };
    assert_eq!((letter.id.seq, letter.id.key.clone()), (Seq::new(2), None));
    assert_eq!((letter.stream.as_str(), letter.type_name.as_str()), ("a", "entry.odd"));
    assert_eq!((letter.class, letter.attempts), (Some(ErrorClass::Apply), 1));
    assert_eq!(
        letter.error,
        "the projection refused event 2 (entry.odd, version 2 of stream \"a\"): skipped-alone is odd"
    );
    assert_eq!(letter.body.as_bytes(), odd("a", 2, "skipped-alone").streams()[0].events[0].body().as_bytes());
    assert_eq!(rig.handle.status()[0].dead_letters, 1);
}

#[tokio::test]
async fn a_retried_event_finds_its_place_in_the_view_of_its_stream() {
    let store = MemoryStore::new();
    let rig = run(&store, numbers());
    rig.append(noted("a", 1)).await;
    rig.append(odd("a", 2, "placed")).await;
    rig.append(odd("a", 3, "hopeless")).await;
    let position = rig.append(noted("a", 4)).await;
    rig.reach(position).await;
    cure("placed");
    let dead = rig.handle.dead_letters().unwrap();
    let planned = dead.retry(LetterQuery::default(), "ada").await.unwrap();
    assert_eq!(
        planned.to_string(),
        "Numbers:All: 2 skipped events, whose views are made again out of their streams, in order"
    );
    assert_eq!(planned.run(SOON).await.unwrap(), Retried { replayed: 1, refused: 1 });
    assert_eq!(view(&store, "Numbers", "a").await, Some(vec![1, 2, 4]));
    let all = letters(&rig).await;
    assert!(matches!(all[0].state, LetterState::Replayed { .. }));
    assert_eq!((all[1].state.status(), all[1].attempts), (LetterStatus::Waiting, 2));
    let position = rig.append(noted("a", 5)).await;
    rig.reach(position).await;
    assert_eq!(
        view(&store, "Numbers", "a").await,
        Some(vec![1, 2, 4, 5]),
        "what comes next goes on from there"
    );
}

#[tokio::test]
async fn behind_a_parked_event_its_view_waits_and_the_others_go_on() {
    let store = MemoryStore::new();
    let rig = run(&store, boards().dead_letters(DeadLetters::park()));
    rig.append(noted("a", 1)).await;
    rig.append(odd("b", 2, "parked")).await;
    rig.append(noted("c", 3)).await;
    let position = rig.append(on_board("b", "other", 4)).await;
    rig.reach(position).await;
    assert_eq!(view(&store, "Boards", "all").await, Some(vec![1]));
    assert_eq!(view(&store, "Boards", "other").await, Some(vec![4]));
    let position = rig.append(noted("d", 5)).await;
    rig.reach(position).await;
    let shard = "Boards:All".parse().unwrap();
    let waiting = store.parked_keys(&shard).await.unwrap();
    let key = ParkKey::View(ViewKey::new(ViewId::new("all").unwrap()));
    assert_eq!(waiting, [(key.clone(), 3)]);
    assert_eq!(letters(&rig).await[0].id.key, Some(key));
    cure("parked");
    assert_eq!(retry(&rig.handle.dead_letters().unwrap()).await, Retried { replayed: 1, refused: 0 });
    assert_eq!(view(&store, "Boards", "all").await, Some(vec![1, 2, 3, 5]), "in order");
    assert_eq!(store.parked_keys(&shard).await.unwrap(), []);
    let position = rig.append(noted("d", 6)).await;
    rig.reach(position).await;
    assert_eq!(view(&store, "Boards", "all").await, Some(vec![1, 2, 3, 5, 6]));
}

#[tokio::test]
async fn a_second_odd_event_behind_a_parked_one_stops_the_retry_there() {
    let store = MemoryStore::new();
    let rig = run(&store, numbers().dead_letters(DeadLetters::park()));
    rig.append(odd("a", 1, "first-of-two")).await;
    rig.append(noted("a", 2)).await;
    rig.append(odd("a", 3, "second-of-two")).await;
    let position = rig.append(noted("a", 4)).await;
    rig.reach(position).await;
    assert_eq!(view(&store, "Numbers", "a").await, None);
    assert_eq!(letters(&rig).await.len(), 1, "nobody knows yet about the second");
    cure("first-of-two");
    let dead = rig.handle.dead_letters().unwrap();
    assert_eq!(retry(&dead).await, Retried { replayed: 1, refused: 0 });
    assert_eq!(view(&store, "Numbers", "a").await, Some(vec![1, 2]));
    let all = letters(&rig).await;
    assert_eq!((all[1].id.seq, all[1].state.status()), (Seq::new(3), LetterStatus::Waiting));
    assert_eq!(dead.discard(LetterQuery::default(), "ada", "nobody misses it").await.unwrap(), 1);
    rig.eventually_view("Numbers", "a", &[1, 2, 4]).await;
}

#[tokio::test]
async fn what_the_store_refuses_to_commit_is_found_and_passed() {
    let store = MemoryStore::new();
    store.faults().refuse(|operation| {
        operation
            .result()
            .is_some_and(|view| view.body.decode::<Numbers>().is_ok_and(|it| it.all.contains(&13)))
    });
    for n in 1..=20 {
        store.append(noted(&format!("s{n}"), n)).await.unwrap();
    }
    let rig = run(&store, numbers());
    let position = rig.append(noted("s13", 33)).await;
    rig.reach(position).await;
    for n in (1..=20).filter(|n| *n != 13) {
        assert_eq!(view(&store, "Numbers", &format!("s{n}")).await, Some(vec![n]));
    }
    assert_eq!(view(&store, "Numbers", "s13").await, Some(vec![33]));
    let all = letters(&rig).await;
    assert_eq!(all.iter().map(|letter| letter.id.seq).collect::<Vec<_>>(), [Seq::new(13)]);
    assert_eq!(all[0].class, Some(ErrorClass::Apply));
}

#[tokio::test]
async fn an_event_is_tried_again_as_often_as_the_rules_say_before_it_is_passed() {
    let ms = Duration::from_millis;
    let store = MemoryStore::new();
    let patient = numbers().on_error(ErrorClass::Apply, retry_later([ms(1), ms(1)]).then(skip()));
    let rig = run(&store, patient);
    let position = rig.append(odd("a", 1, "tried-thrice")).await;
    rig.reach(position).await;
    assert_eq!(letters(&rig).await[0].attempts, 3);
}

#[tokio::test]
async fn a_shard_stops_exactly_before_the_event_that_it_does_not_pass() {
    let store = MemoryStore::new();
    for n in 1..=5 {
        store.append(noted("a", n)).await.unwrap();
    }
    store.append(odd("a", 6, "unpassed")).await.unwrap();
    store.append(noted("a", 7)).await.unwrap();
    let rig = run(&store, numbers().errors(ErrorPolicy::new().skip_apply_errors(false)));
    rig.state(|state| matches!(state, ShardState::Paused { .. })).await;
    let status = rig.handle.status().remove(0);
    assert_eq!((status.progress, status.halted_at), (Seq::new(5), Some(Seq::new(6))));
    assert_eq!(view(&store, "Numbers", "a").await, Some(vec![1, 2, 3, 4, 5]));
    rig.handle.skip_event(Seq::new(6), "it is of no use").await.unwrap();
    rig.eventually_view("Numbers", "a", &[1, 2, 3, 4, 5, 7]).await;
    let all = letters(&rig).await;
    let LetterState::Discarded { reason, .. } = &all[0].state else { panic!("{all:?}") };
    assert_eq!(reason, "it is of no use");
}

#[tokio::test]
async fn a_passing_fault_inside_of_user_code_is_not_held_against_the_event() {
    use std::{
        io,
        sync::atomic::{AtomicU32, Ordering},
    };
    let store = MemoryStore::new();
    let calls = std::sync::Arc::new(AtomicU32::new(0));
    let counted = calls.clone();
    let flaky = ermine_core::event_projection("Flaky", move |event: &Recorded<Entry>, changes| {
        if counted.fetch_add(1, Ordering::SeqCst) < 2 {
            return Err(io::Error::from(io::ErrorKind::ConnectionReset).into());
        }
        changes.store(event.stream().as_str(), &Numbers::default())
    });
    let rig = run(&store, flaky);
    let position = rig.append(noted("a", 1)).await;
    rig.reach(position).await;
    assert_eq!(view(&store, "Flaky", "a").await, Some(vec![]));
    assert_eq!(letters(&rig).await, []);
    assert_eq!(calls.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_pause_is_stored_and_holds_in_the_next_process_until_somebody_resumes() {
    let store = MemoryStore::new();
    let rig = run(&store, numbers());
    let position = rig.append(noted("a", 1)).await;
    rig.reach(position).await;
    rig.handle.pause("Numbers", "ada", "moving house", None).await.unwrap();
    let state = rig.state(|state| matches!(state, ShardState::Paused { .. })).await;
    assert_eq!(state.to_string(), "paused by ada until somebody resumes it: moving house");
    rig.stop().await.unwrap();
    let position = store.append(noted("a", 2)).await.unwrap().position();
    let rig = run(&store, numbers());
    rig.state(|state| matches!(state, ShardState::Paused { .. })).await;
    let other = run(&store.node(), numbers());
    other.handle.resume("Numbers:All").await.unwrap();
    drop(other);
    rig.reach(position).await;
    assert_eq!(view(&store, "Numbers", "a").await, Some(vec![1, 2]));
}

#[tokio::test]
async fn a_full_box_of_letters_halts_the_shard() {
    let store = MemoryStore::new();
    let small = DeadLetters::skip().cap(std::num::NonZeroU64::new(2).unwrap());
    let rig = run(&store, numbers().dead_letters(small));
    for n in 1..=3 {
        rig.append(odd("a", n, "too-many")).await;
    }
    let state = rig.state(|state| matches!(state, ShardState::Paused { .. })).await.to_string();
    assert!(
        state.contains("shard Numbers:All has 2 dead letters and waiting events, and at most 2 are allowed: retry or discard"),
        "{state}"
    );
    assert_eq!(rig.handle.status()[0].progress, Seq::new(2));
}

#[tokio::test]
async fn a_crash_in_the_middle_of_a_retry_loses_and_doubles_nothing() {
    for nth in 1..=6 {
        let store = MemoryStore::new();
        let name = format!("crashed-{nth}");
        let rig = run(&store, boards().dead_letters(DeadLetters::park()));
        rig.append(odd("a", 1, &name)).await;
        for n in 2..=450 {
            rig.append(noted("a", n)).await;
        }
        let position = rig.append(noted("b", 451)).await;
        rig.reach(position).await;
        cure(&name);
        store.faults().lose_answer(Call::Commit, nth);
        let retried = retry(&rig.handle.dead_letters().unwrap()).await;
        assert_eq!(retried, Retried { replayed: 1, refused: 0 });
        let all: Vec<u64> = (1..=451).collect();
        assert_eq!(view(&store, "Boards", "all").await, Some(all), "answer {nth} lost");
    }
}

#[tokio::test]
async fn a_store_whose_errors_do_not_pass_is_asked_again_after_a_while() {
    let store = MemoryStore::new();
    let times = 1_000;
    store.faults().fail_times(Call::Commit, times, || {
        ermine_core::Error::new(ErrorKind::Transient, "could not serialize access (40001)")
    });
    let rig =
        run(&store, numbers().on_error(ErrorClass::Transient, retry_later(vec![Duration::ZERO; 2_000])));
    let position = rig.append(noted("a", 1)).await;
    rig.reach(position).await;
    assert_eq!(letters(&rig).await, []);
    assert_eq!(view(&store, "Numbers", "a").await, Some(vec![1]));
}

#[tokio::test]
async fn events_of_two_streams_wait_only_behind_their_own() {
    let store = MemoryStore::new();
    let rig = Rig::run(
        &store,
        Daemon::builder(std::sync::Arc::new(store.clone()))
            .settings(small_pages(3))
            .projection(numbers().dead_letters(DeadLetters::park())),
    );
    rig.append(odd("a", 1, "own")).await;
    for n in 2..=10 {
        rig.append(noted(if n % 2 == 0 { "a" } else { "b" }, n)).await;
    }
    let position = rig.append(noted("b", 11)).await;
    rig.reach(position).await;
    assert_eq!(view(&store, "Numbers", "a").await, None);
    assert_eq!(view(&store, "Numbers", "b").await, Some(vec![3, 5, 7, 9, 11]));
    cure("own");
    assert_eq!(retry(&rig.handle.dead_letters().unwrap()).await, Retried { replayed: 1, refused: 0 });
    assert_eq!(view(&store, "Numbers", "a").await, Some(vec![1, 2, 4, 6, 8, 10]));
}

impl Rig {
    pub(crate) async fn eventually_view(&self, projection: &str, id: &str, wanted: &[u64]) {
        ermine_testkit::eventually(SOON, || async {
            let is = view(&self.store, projection, id).await;
            if is.as_deref() == Some(wanted) { Ok(()) } else { Err(format!("it is {is:?}")) }
        })
        .await;
    }
}

//! What was refused once is not refused for ever, and what waits or was left out stays where it is.

use std::{
    num::NonZeroU64,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use ermine_core::{
    Aggregate, ApplyError, DeadLetters, DomainEvent, ErrorClass, ErrorPolicy, LetterQuery, LetterStatus,
    Recorded, Seq, ViewChanges, event_projection,
    policy::{halt, ignore, retry_later, skip, when},
    ports::{DeadLetterStore, EventAppender, Store},
    single_stream,
};
use ermine_daemon::{Daemon, Retried, ShardState};
use ermine_memory::{Call, MemoryStore};

use crate::{
    letters::{Numbers, cure, letters, noted, numbers, odd, retry, run, view},
    support::{Rig, settings},
};

/// The store takes nothing that has the number 13 in it.
fn forbid(store: &MemoryStore) {
    store.faults().refuse(|operation| {
        let view = operation.result().and_then(|view| view.body.decode::<Numbers>().ok());
        view.is_some_and(|view| view.all.contains(&13))
    });
}

#[tokio::test]
async fn a_shard_that_halts_at_what_the_store_refuses_goes_on_when_the_store_takes_it() {
    let store = MemoryStore::new();
    forbid(&store);
    let rig = run(&store, numbers().errors(ErrorPolicy::new().skip_apply_errors(false)));
    for n in 1..=20 {
        rig.append(noted("a", n)).await;
    }
    let position = rig.append(noted("a", 21)).await;
    rig.state(|state| matches!(state, ShardState::Paused { .. })).await;
    assert_eq!(rig.handle.status()[0].progress, Seq::new(12), "what is before it went through");
    store.faults().clear();
    rig.reach(position).await;
    assert_eq!(view(&store, "Numbers", "a").await, Some((1..=21).collect()));
}

#[tokio::test]
async fn what_the_store_refuses_is_tried_again_as_often_as_the_rules_say() {
    let store = MemoryStore::new();
    let asked = Arc::new(AtomicU32::new(0));
    let counted = asked.clone();
    store.faults().refuse(move |operation| {
        let view = operation.result().and_then(|view| view.body.decode::<Numbers>().ok());
        let Some(view) = view.filter(|view| view.all.contains(&13)) else { return false };
        counted.fetch_add(u32::from(view.all == [13]), Ordering::SeqCst);
        true
    });
    let patient = retry_later([Duration::from_millis(1); 2]).then(skip());
    let rig = run(&store, numbers().on_error(ErrorClass::Apply, patient));
    rig.append(noted("a", 13)).await;
    let position = rig.append(noted("a", 14)).await;
    rig.reach(position).await;
    assert_eq!(view(&store, "Numbers", "a").await, Some(vec![14]));
    assert_eq!(letters(&rig).await[0].attempts, 3);
    assert_eq!(asked.load(Ordering::SeqCst), 3, "the store is really asked");
}

#[tokio::test]
async fn a_skipped_event_that_is_retried_does_not_drag_along_what_waits_behind_a_parked_one() {
    let store = MemoryStore::new();
    let rig = run(&store, numbers());
    rig.append(noted("a", 1)).await;
    let position = rig.append(odd("a", 2, "skipped-then")).await;
    rig.reach(position).await;
    rig.stop().await.unwrap();
    let rig = run(&store, numbers().dead_letters(DeadLetters::park()));
    rig.append(noted("a", 3)).await;
    rig.append(odd("a", 4, "parked-now")).await;
    let position = rig.append(noted("a", 5)).await;
    rig.reach(position).await;
    cure("skipped-then");
    let dead = rig.handle.dead_letters().unwrap();
    let first = LetterQuery { seq: Some(Seq::new(2)), ..LetterQuery::default() };
    let retried = dead.retry(first, "ada").await.unwrap().run(crate::support::SOON).await.unwrap();
    assert_eq!(retried, Retried { replayed: 1, refused: 0 });
    assert_eq!(view(&store, "Numbers", "a").await, Some(vec![1, 2, 3]));
    cure("parked-now");
    assert_eq!(retry(&dead).await, Retried { replayed: 1, refused: 0 });
    assert_eq!(view(&store, "Numbers", "a").await, Some(vec![1, 2, 3, 4, 5]), "each once");
}

#[tokio::test]
async fn ignored_events_stay_left_out_when_a_view_is_made_again() {
    let store = MemoryStore::new();
    let hopeless = when("hopeless", |error| error.chain().contains("ignored-for-good"));
    let rig = run(&store, numbers().on_error(ErrorClass::Apply.and(hopeless), ignore()));
    rig.append(noted("a", 1)).await;
    rig.append(odd("a", 2, "ignored-for-good")).await;
    rig.append(odd("a", 3, "beside-ignored")).await;
    let position = rig.append(noted("a", 4)).await;
    rig.reach(position).await;
    cure("beside-ignored");
    assert_eq!(retry(&rig.handle.dead_letters().unwrap()).await, Retried { replayed: 1, refused: 0 });
    assert_eq!(view(&store, "Numbers", "a").await, Some(vec![1, 3, 4]));
}

#[derive(DomainEvent)]
#[event(crate = "ermine_core", prefix = "entry")]
enum Elsewhere {
    Noted { n: u64 },
}

/// Knows nothing of odd entries.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Plain {
    all: Vec<u64>,
}

impl Aggregate for Plain {
    type Event = Elsewhere;

    fn evolve(plain: Option<Self>, event: &Recorded<Elsewhere>) -> Result<Option<Self>, ApplyError> {
        let (mut plain, Elsewhere::Noted { n }) = (plain.unwrap_or_default(), event.data());
        plain.all.push(*n);
        Ok(Some(plain))
    }
}

#[tokio::test]
async fn an_event_whose_type_is_still_unknown_is_refused_again_and_not_forgotten() {
    let letters_too = DeadLetters::skip().for_unknown_events();
    let store = MemoryStore::new();
    let rig = run(&store, single_stream::<Plain>("Numbers").dead_letters(letters_too));
    rig.append(noted("a", 1)).await;
    let position = rig.append(odd("a", 2, "unheard-of")).await;
    rig.reach(position).await;
    assert_eq!(retry(&rig.handle.dead_letters().unwrap()).await, Retried { replayed: 0, refused: 1 });
    let letter = letters(&rig).await.remove(0);
    assert_eq!((letter.state.status(), letter.attempts), (LetterStatus::Waiting, 2));
    assert_eq!(letter.class, Some(ErrorClass::UnknownEvent));
    rig.stop().await.unwrap();
    cure("unheard-of");
    let rig = run(&store, numbers());
    assert_eq!(retry(&rig.handle.dead_letters().unwrap()).await, Retried { replayed: 1, refused: 0 });
    assert_eq!(view(&store, "Numbers", "a").await, Some(vec![1, 2]));
}

#[tokio::test]
async fn the_cap_counts_what_earlier_processes_have_left() {
    let store = MemoryStore::new();
    let rig = run(&store, numbers());
    for n in 1..=3 {
        rig.append(odd("a", n, "capped-later")).await;
    }
    let position = rig.append(noted("b", 4)).await;
    rig.reach(position).await;
    rig.stop().await.unwrap();
    let small = DeadLetters::skip().cap(NonZeroU64::new(2).unwrap());
    let rig = run(&store, numbers().dead_letters(small));
    rig.append(noted("b", 5)).await;
    let position = rig.append(odd("a", 6, "capped-later")).await;
    let state = rig.state(|state| matches!(state, ShardState::Paused { .. })).await.to_string();
    assert!(state.contains("has 3 dead letters and waiting events, and at most 2 are allowed"), "{state}");
    assert_eq!(view(&store, "Numbers", "b").await, Some(vec![4, 5]), "what is before it went through");
    rig.handle.dead_letters().unwrap().discard(LetterQuery::default(), "ada", "enough").await.unwrap();
    rig.handle.resume_all().await.unwrap();
    rig.reach(position).await;
}

#[tokio::test]
async fn a_box_that_is_full_cannot_be_told_to_drop_letters() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    for (action, is_fine) in [(skip(), false), (ignore(), false), (halt(), true)] {
        let letters = DeadLetters::skip().when_full(action.action().unwrap());
        let builder = Daemon::builder(store.clone()).projection(numbers().dead_letters(letters));
        let built = builder.build();
        assert_eq!(built.is_ok(), is_fine, "{action}");
        let of_daemon = Daemon::builder(store.clone()).projection(numbers()).dead_letters(letters).build();
        assert_eq!(of_daemon.is_ok(), is_fine, "{action} of the daemon");
    }
}

/// Letters that are written while a retry is prepared are not counted against it.
#[tokio::test]
async fn a_retry_is_prepared_while_letters_are_written() {
    let store = MemoryStore::new();
    let rig = Rig::run(
        &store,
        Daemon::builder(Arc::new(store.clone()))
            .settings(settings())
            .projection(numbers().dead_letters(DeadLetters::park())),
    );
    rig.append(odd("s0", 1, "early")).await;
    ermine_testkit::eventually(crate::support::SOON, || async { !letters(&rig).await.is_empty() }).await;
    let dead = rig.handle.dead_letters().unwrap();
    let read = store.faults().stall(Call::Letters, 1);
    let (prepared, ()) = tokio::join!(dead.retry(LetterQuery::default(), "ada"), async {
        read.reached().await;
        let outside = store.node();
        outside.append(odd("s1", 2, "early")).await.unwrap();
        let open = LetterQuery { statuses: vec![LetterStatus::Waiting], ..LetterQuery::default() };
        ermine_testkit::eventually(crate::support::SOON, || async {
            outside.count_letters(open.clone()).await.unwrap() == 2
        })
        .await;
        read.release();
    });
    assert_eq!(
        prepared.unwrap().to_string(),
        "Numbers:All: 2 parked events and what waits behind them, in order"
    );
}

/// A store that keeps no NUL would refuse the letter, and with it everything that comes after the event.
#[tokio::test]
async fn letters_hold_no_nul_whatever_user_code_says() {
    let store = MemoryStore::new();
    let rude = event_projection("Rude", |_: &Recorded<Elsewhere>, _: &mut ViewChanges<Plain>| {
        Err(ApplyError::msg("binary \0 rubbish"))
    });
    let rig = run(&store, rude);
    let position = rig.append(noted("a", 1)).await;
    rig.reach(position).await;
    let letter = letters(&rig).await.remove(0);
    assert!(letter.error.ends_with("binary \u{fffd} rubbish"), "{}", letter.error);
}

#[tokio::test]
async fn a_pause_does_not_wait_for_the_end_of_a_long_retry() {
    let store = MemoryStore::new();
    let rig = run(&store, numbers().dead_letters(DeadLetters::park()));
    rig.append(odd("a", 1, "interrupted")).await;
    let mut position = rig.append(noted("a", 2)).await;
    for n in 3..=1_000 {
        position = rig.append(noted("a", n)).await;
    }
    rig.reach(position).await;
    cure("interrupted");
    let second = store.faults().stall(Call::Commit, 2);
    let dead = rig.handle.dead_letters().unwrap();
    let retry = dead.retry(LetterQuery::default(), "ada").await.unwrap();
    let (retried, ()) = tokio::join!(retry.run(crate::support::SOON), async {
        second.reached().await;
        rig.handle.pause("Numbers", "ada", "enough for now", None).await.unwrap();
        second.release();
        rig.state(|state| matches!(state, ShardState::Paused { .. })).await;
        let so_far = view(&store, "Numbers", "a").await.unwrap().len();
        assert!((1..1_000).contains(&so_far), "{so_far} of 1,000 are applied");
        rig.handle.resume("Numbers").await.unwrap();
    });
    assert_eq!(retried.unwrap(), Retried { replayed: 1, refused: 0 });
    assert_eq!(view(&store, "Numbers", "a").await, Some((1..=1_000).collect()));
}

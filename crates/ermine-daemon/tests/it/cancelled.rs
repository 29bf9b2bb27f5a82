//! What operators ask for is dropped halfway, at every place where it waits: the store says what has become of it, asking again
//! is always possible, and the daemon goes on.

use ermine_core::{
    DeadLetters, LetterQuery, Seq, Start,
    ports::{DeadLetterStore, EventAppender, WishStore},
    subscription,
};
use ermine_daemon::{Daemon, Letters, Retried, ShardState, Thresholds};
use ermine_memory::MemoryStore;
use ermine_testkit::poll_times;

use crate::{
    letters::{cure, noted, numbers, odd, view},
    support::{Listener, Rig, SOON, settings},
};

/// A projection that has parked event 2 of three, and a subscription.
async fn scene(name: &str) -> Rig {
    let store = MemoryStore::new();
    let builder = Daemon::builder(std::sync::Arc::new(store.clone()))
        .settings(settings())
        .projection(numbers().dead_letters(DeadLetters::park()))
        .projection(subscription("Listener", Listener::default()));
    store.append(noted("a", 1)).await.unwrap();
    store.append(odd("a", 2, name)).await.unwrap();
    let position = store.append(noted("a", 3)).await.unwrap().position();
    let rig = Rig::run(&store, builder);
    rig.reach(position).await;
    rig
}

/// Whatever was dropped: the shard runs, takes events, and the letter can be retried.
async fn goes_on(rig: Rig, name: &str) {
    rig.handle.resume_all().await.unwrap();
    rig.state(|state| *state == ShardState::Running).await;
    let position = rig.append(noted("a", 4)).await;
    rig.reach(position).await;
    cure(name);
    match dead(&rig).retry(LetterQuery::default(), "ada").await {
        Ok(retry) => drop(retry.run(SOON).await.unwrap()),
        Err(error) => assert_eq!(error.to_string(), "no dead letter waits that matches"),
    }
    let shard = "Numbers:All".parse().unwrap();
    ermine_testkit::eventually(SOON, || async { rig.store.parked_keys(&shard).await.unwrap().is_empty() })
        .await;
    rig.stop().await.unwrap();
}

fn dead(rig: &Rig) -> Letters {
    rig.handle.dead_letters().unwrap()
}

/// Polls what `ask` makes once, twice and so on until it comes to an end, each time in a scene of its own.
async fn at_every_place<T>(name: &str, ask: impl AsyncFn(&Rig) -> T, check: impl AsyncFn(&Rig, Option<T>)) {
    for times in 0.. {
        let name = format!("{name}-{times}");
        let rig = scene(&name).await;
        let answer = poll_times(times, ask(&rig)).await;
        let is_over = answer.is_some();
        check(&rig, answer).await;
        goes_on(rig, &name).await;
        if is_over {
            break;
        }
    }
}

#[tokio::test]
async fn pausing_and_resuming() {
    at_every_place(
        "pause",
        async |rig| rig.handle.pause("Numbers", "ada", "a look", None).await.unwrap(),
        async |rig, done| {
            let stored = WishStore::wishes(&rig.store).await.unwrap();
            assert!(done.is_none() || stored.len() == 1);
            if !stored.is_empty() {
                rig.state(|state| matches!(state, ShardState::Paused { .. })).await;
            }
        },
    )
    .await;
    let resume = async |rig: &Rig| rig.handle.resume("Numbers").await.unwrap();
    at_every_place(
        "resume",
        async |rig| {
            rig.handle.pause("Numbers", "ada", "a look", None).await.unwrap();
            resume(rig).await;
        },
        async |rig, done| assert!(done.is_none() || WishStore::wishes(&rig.store).await.unwrap().is_empty()),
    )
    .await;
    at_every_place("resume-all", async |rig| rig.handle.resume_all().await.unwrap(), async |_, _| ()).await;
}

#[tokio::test]
async fn marking_rewinding_waiting_and_looking() {
    at_every_place(
        "skip",
        async |rig| rig.handle.skip_event(Seq::new(3), "of no use").await.unwrap(),
        async |_, _| (),
    )
    .await;
    let listener = "Listener:All".parse().unwrap();
    at_every_place(
        "rewind",
        async |rig| rig.handle.rewind(&listener, Start::Beginning).await.unwrap(),
        async |rig, _| {
            rig.reach(ermine_core::Position::new(Seq::new(3))).await;
        },
    )
    .await;
    at_every_place(
        "health",
        async |rig| rig.handle.health(&Thresholds::default()).await,
        async |_, health| {
            assert!(health.is_none_or(|health| health.live));
        },
    )
    .await;
    let far = ermine_core::Position::new(Seq::new(3));
    at_every_place("wait", async |rig| rig.handle.wait_for(far, SOON).await.unwrap(), async |_, _| ()).await;
}

#[tokio::test]
async fn looking_at_letters() {
    at_every_place(
        "list",
        async |rig| dead(rig).list(LetterQuery::default()).await.unwrap(),
        async |_, letters| {
            assert!(letters.is_none_or(|letters| letters.len() == 1));
        },
    )
    .await;
    at_every_place(
        "count",
        async |rig| dead(rig).count(LetterQuery::default()).await.unwrap(),
        async |_, count| {
            assert!(count.is_none_or(|count| count == 1));
        },
    )
    .await;
    at_every_place(
        "show",
        async |rig| {
            let id = dead(rig).list(LetterQuery::default()).await.unwrap().remove(0).id;
            dead(rig).show(&id).await.unwrap().id == id
        },
        async |_, is_same| assert!(is_same.unwrap_or(true)),
    )
    .await;
}

#[tokio::test]
async fn retrying_letters() {
    let run = async |rig: &Rig| {
        // The event is still odd, so that the retry changes nothing but the count of attempts.
        dead(rig).retry(LetterQuery::default(), "ada").await.unwrap().run(SOON).await.unwrap()
    };
    at_every_place("retry", run, async |rig, retried| {
        assert!(retried.is_none_or(|retried| retried == Retried { replayed: 0, refused: 1 }));
        assert_eq!(view(&rig.store, "Numbers", "a").await, Some(vec![1]));
    })
    .await;
}

#[tokio::test]
async fn discarding_letters() {
    let discard =
        async |rig: &Rig| dead(rig).discard(LetterQuery::default(), "ada", "nobody misses it").await.unwrap();
    at_every_place("discard", discard, async |rig, discarded| {
        if discarded.is_some() {
            rig.eventually_view("Numbers", "a", &[1, 3]).await;
        }
        let is = view(&rig.store, "Numbers", "a").await;
        assert!(is == Some(vec![1]) || is == Some(vec![1, 3]), "{is:?}");
    })
    .await;
}

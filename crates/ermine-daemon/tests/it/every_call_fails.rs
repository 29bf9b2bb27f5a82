//! Each call of the store goes wrong once, in each way, at each place of a run: nothing is lost, doubled or overtaken, no event
//! is blamed, and the shard runs at the end.

use std::{sync::Arc, time::Duration};

use ermine_core::{
    AppendBatch, DeadLetters, Error, LetterQuery, LetterStatus, Position,
    ports::{DeadLetterStore, EventAppender, Store, WishStore},
};
use ermine_daemon::{Daemon, Retried, Settings, ShardState};
use ermine_memory::{Call, Gate, MemoryStore};

use crate::{
    letters::{boards, cure, noted, odd, view},
    support::{Rig, SOON, impatient, small_pages},
};

/// Those that a daemon makes, and what its operators make through it.
const CALLS: [Call; 16] = [
    Call::LoadPage,
    Call::Observe,
    Call::Explain,
    Call::Wait,
    Call::LoadViews,
    Call::Commit,
    Call::TakeShards,
    Call::ReadProgress,
    Call::Check,
    Call::Letters,
    Call::CountLetters,
    Call::ParkedKeys,
    Call::Parked,
    Call::ReadEvents,
    Call::PurgeLetters,
    Call::Wishes,
];

/// Calls that are made again and again need not all fail.
const NTH_MAX: u64 = 6;

/// How a call goes wrong.
#[derive(Clone, Copy, Debug)]
enum Wrong {
    /// Nothing happens, and it says so.
    Fails,
    /// It happens, and nobody learns of it.
    LosesItsAnswer,
    /// It takes longer than anybody waits.
    Stalls,
}

/// The way in which the node of the daemon goes wrong; the tests look at the store from another one.
struct Story {
    outside: MemoryStore,
    daemon: MemoryStore,
    name: String,
}

#[tokio::test]
async fn while_following_the_log() {
    everywhere("following", async |story: &Story, strike| {
        let rig = story.start();
        strike();
        story.append_all(1..=6).await;
        story.finish(rig, 6, &[1, 2, 3, 4, 5, 6]).await;
    })
    .await;
}

#[tokio::test]
async fn while_events_are_passed_and_retried() {
    everywhere("retried", async |story: &Story, strike| {
        let rig = story.start();
        story.append(noted("a", 1)).await;
        story.append(odd("a", 2, &story.name)).await;
        story.append_all(3..=4).await;
        strike();
        story.append_all(5..=6).await;
        rig.handle.wait_for(position(6), SOON).await.unwrap();
        cure(&story.name);
        let dead = story.letters_from_outside();
        let retried = dead.retry(LetterQuery::default(), "ada").await.unwrap();
        assert_eq!(retried.run(SOON).await.unwrap(), Retried { replayed: 1, refused: 0 });
        story.append(noted("b", 7)).await;
        story.finish(rig, 7, &[1, 2, 3, 4, 5, 6, 7]).await;
    })
    .await;
}

#[tokio::test]
async fn while_it_is_paused_and_resumed() {
    everywhere("paused", async |story: &Story, strike| {
        let rig = story.start();
        story.append_all(1..=3).await;
        rig.handle.wait_for(position(3), SOON).await.unwrap();
        let operator = story.operator();
        strike();
        operator.pause("Boards", "ada", "a look", None).await.unwrap();
        rig.state(|state| matches!(state, ShardState::Paused { .. })).await;
        story.append_all(4..=6).await;
        operator.resume_all().await.unwrap();
        story.finish(rig, 6, &[1, 2, 3, 4, 5, 6]).await;
    })
    .await;
}

/// Tells the story with the first call gone wrong, then with the second, and so on until there are no more calls; the story
/// says from when on calls are counted.
async fn everywhere(name: &str, story: impl AsyncFn(&Story, &dyn Fn())) {
    for call in CALLS {
        for wrong in [Wrong::Fails, Wrong::LosesItsAnswer, Wrong::Stalls] {
            for nth in 1.. {
                println!("{name}: {call:?} number {nth}, {wrong:?}");
                let outside = MemoryStore::new();
                let told = Story {
                    daemon: outside.node(),
                    outside,
                    name: format!("{name}-{call:?}-{nth}-{wrong:?}"),
                };
                let before = std::cell::Cell::new(0);
                let gate = std::cell::Cell::new(None::<Gate>);
                let strike = || {
                    let faults = told.daemon.faults();
                    before.set(told.daemon.calls(call));
                    match wrong {
                        Wrong::Fails => faults.fail(call, nth, Error::transient("as arranged")),
                        Wrong::LosesItsAnswer => faults.lose_answer(call, nth),
                        Wrong::Stalls => gate.set(Some(faults.stall(call, nth))),
                    }
                };
                story(&told, &strike).await;
                if told.daemon.calls(call) < before.get() + nth || nth == NTH_MAX {
                    break;
                }
            }
        }
    }
}

impl Story {
    fn start(&self) -> Rig {
        let mut settings: Settings = small_pages(2);
        settings.call_deadline = Duration::from_millis(40);
        settings.stuck_after = Duration::from_millis(80);
        let store: Arc<dyn Store> = Arc::new(self.daemon.clone());
        let projection = boards().dead_letters(DeadLetters::park());
        Rig::run(
            &self.daemon,
            Daemon::builder(store).settings(settings).errors(impatient()).projection(projection),
        )
    }

    /// A process that asks for things and runs nothing.
    fn operator(&self) -> ermine_daemon::Handle {
        let store: Arc<dyn Store> = Arc::new(self.outside.clone());
        let projection = boards().dead_letters(DeadLetters::park());
        Daemon::builder(store).projection(projection).build().unwrap().handle()
    }

    fn letters_from_outside(&self) -> ermine_daemon::Letters {
        self.operator().dead_letters().unwrap()
    }

    async fn append(&self, batch: AppendBatch) {
        self.outside.append(batch).await.unwrap();
    }

    async fn append_all(&self, numbers: std::ops::RangeInclusive<u64>) {
        for n in numbers {
            self.append(noted(if n % 2 == 0 { "a" } else { "b" }, n)).await;
        }
    }

    async fn finish(&self, rig: Rig, last: u64, expected: &[u64]) {
        rig.handle.wait_for(position(last), SOON).await.unwrap();
        rig.state(|state| *state == ShardState::Running).await;
        assert_eq!(view(&self.outside, "Boards", "all").await.as_deref(), Some(expected));
        let open = LetterQuery { statuses: LetterStatus::OPEN.to_vec(), ..LetterQuery::default() };
        assert_eq!(self.outside.letters(open).await.unwrap(), []);
        assert_eq!(self.outside.parked_keys(&"Boards:All".parse().unwrap()).await.unwrap(), []);
        assert_eq!(WishStore::wishes(&self.outside).await.unwrap(), []);
        rig.stop().await.unwrap();
    }
}

fn position(n: u64) -> Position {
    Position::new(ermine_core::Seq::new(n))
}

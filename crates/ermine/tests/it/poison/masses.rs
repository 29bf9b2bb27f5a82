//! A hundred poison events among thousands: views and letters are what a plain fold says, in either mode, before and after
//! a retry while the log goes on.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    hash::{BuildHasher, Hasher, RandomState},
    num::NonZeroU64,
    time::Duration,
};

use ermine::{
    Result,
    core::{LetterQuery, LetterStatus, ParkKey, Registered},
    daemon::{Retried, Settings},
    prelude::*,
};

use super::{
    book::{Account, Book, Dice, Entry, Fate, LaterEntry, Outcome, Poison, Row, ledgers, rows},
    store::keep_rows_clean,
};
use crate::{
    stores::{Fresh, on_every_store},
    troubles::{cure, reason},
};

const EVENTS: usize = 10_000;
/// Where that takes too long for every day: on a disk, and where each poison event is looked for with commits. `ERMINE_EVENTS`
/// says another number for all.
const FEWER_EVENTS: usize = 3_000;
const POISONS: usize = 100;
const STREAMS: usize = 250;
const IN_TIME: Duration = Duration::from_secs(120);

/// One log, and what is done with it.
struct Case<'f> {
    fresh: &'f Fresh,
    poison: Poison,
    parks: bool,
    /// In the store as in the error.
    class: ErrorClass,
    why: String,
    dice: Dice,
    page_events_max: usize,
    book: Book,
}

impl<'f> Case<'f> {
    fn new(fresh: &'f Fresh, poison: Poison, parks: bool) -> Self {
        let name = format!("{poison:?} parked {parks}");
        let seed = std::env::var("ERMINE_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| RandomState::new().build_hasher().finish());
        println!("{name} on {}: ERMINE_SEED={seed}", fresh.store().kind());
        let mut dice = Dice::new(seed);
        Self {
            fresh,
            poison,
            parks,
            class: match poison {
                Poison::Refused | Poison::Panics | Poison::RefusedByStore => ErrorClass::Apply,
                Poison::Undecodable => ErrorClass::Serialization,
                Poison::Unknown => ErrorClass::UnknownEvent,
            },
            why: reason(fresh, &name),
            page_events_max: [300, 1_000, 5_000][dice.below(3)],
            dice,
            book: Book::new(STREAMS),
        }
    }

    fn letters(&self) -> DeadLetters {
        let letters = if self.parks { DeadLetters::park() } else { DeadLetters::skip() };
        letters.for_unknown_events().cap(NonZeroU64::new(100_000).unwrap())
    }

    fn projections(&self, is_later: bool) -> Vec<Registered> {
        match self.poison {
            Poison::RefusedByStore => vec![rows().dead_letters(self.letters()).into()],
            _ if is_later => ledgers::<LaterEntry>(self.letters()),
            _ => ledgers::<Entry>(self.letters()),
        }
    }

    fn events(&self) -> usize {
        let wanted = std::env::var("ERMINE_EVENTS").ok().and_then(|events| events.parse().ok());
        let is_slow = self.fresh.memory().is_none() || self.poison == Poison::RefusedByStore;
        wanted.unwrap_or(if is_slow { FEWER_EVENTS } else { EVENTS })
    }

    async fn host(&self, is_later: bool) -> Result<Ermine> {
        let mut settings = Settings::default();
        settings.page_events_max = self.page_events_max.try_into().expect("not 0");
        let builder = Ermine::with_store(self.fresh.store())
            .daemon(DaemonMode::Solo)
            .settings(settings)
            .wait_timeout(IN_TIME);
        self.projections(is_later).into_iter().fold(builder, ermine::ErmineBuilder::project).start().await
    }

    /// What becomes of a poison event of the projection `name` while it is one.
    fn fate(&self, name: &str) -> Fate {
        match self.poison {
            // Nothing is known of what it is about, so nothing waits for it.
            Poison::Unknown => Fate::Skipped,
            _ if !self.parks => Fate::Skipped,
            // Names are in the body.
            Poison::Undecodable if name == "ByName" => Fate::StreamWaits,
            _ => Fate::ViewsWait,
        }
    }

    fn names(&self) -> &'static [&'static str] {
        match self.poison {
            Poison::RefusedByStore => &["rows"],
            _ => &["ByStream", "ByName"],
        }
    }

    /// What is to be in the views of the projection `name`.
    fn outcome(&self, name: &str, fate: Fate) -> Outcome {
        if name == "ByName" { self.book.by_name(fate) } else { self.book.by_stream(fate) }
    }

    async fn check(&self, ermine: &Ermine, is_late: bool) -> Result<()> {
        for name in self.names() {
            let outcome = self.outcome(name, if is_late { Fate::Applied } else { self.fate(name) });
            if *name == "rows" {
                let found = all_of::<Row>(ermine, name).await?;
                assert_same(name, &found, &outcome.rows);
                continue;
            }
            let found = all_of::<Account>(ermine, name).await?;
            // What was applied late has overtaken nothing in a view of a stream, nor in one that has waited.
            let is_in_order = !is_late || *name == "ByStream" || self.fate(name) == Fate::ViewsWait;
            let ordered = |accounts: BTreeMap<String, Account>| -> BTreeMap<String, Account> {
                let unordered = |account: Account| if is_in_order { account } else { account.unordered() };
                accounts.into_iter().map(|(id, account)| (id, unordered(account))).collect()
            };
            assert_same(name, &ordered(found), &ordered(outcome.accounts));
        }
        Ok(())
    }

    async fn check_letters(&self, ermine: &Ermine) -> Result<()> {
        for name in self.names() {
            let outcome = self.outcome(name, self.fate(name));
            let shard: ShardName = format!("{name}:All").parse()?;
            let query = LetterQuery { shard: Some(shard.clone()), ..LetterQuery::default() };
            let letters = ermine.dead_letters()?.list(query).await?;
            for letter in &letters {
                let line = &self.book.lines[usize::try_from(letter.id.seq.get()).unwrap() - 1];
                assert_eq!(letter.body.as_bytes(), line.body.as_bytes(), "{}", letter.id);
                assert_eq!((letter.class, letter.attempts), (Some(self.class), 1), "{}", letter.id);
                assert_eq!(letter.state.status(), LetterStatus::Waiting, "{}", letter.id);
            }
            let found: BTreeSet<_> = letters.into_iter().map(|l| (l.id.seq.get(), l.id.key)).collect();
            assert_eq!(found, outcome.letters, "the letters of {name}");
            assert_eq!(parked(ermine, &shard).await?, outcome.parked, "what waits in {name}");
        }
        Ok(())
    }

    /// Appends until `is_done`, and a little at least.
    async fn live(&mut self, ermine: &Ermine, is_done: &Cell<bool>) -> Result<()> {
        for round in 0.. {
            if round >= 5 && is_done.get() {
                break;
            }
            self.append(ermine, 3, 0).await?;
        }
        Ok(())
    }

    async fn append(&mut self, ermine: &Ermine, events: usize, poisons: usize) -> Result<()> {
        let before = self.book.lines.len();
        self.book.write(&mut self.dice, events, poisons, self.poison, &self.why);
        for batch in self.book.batches(before) {
            ermine.append_batch(batch).await?;
        }
        Ok(())
    }
}

async fn all_of<V: ermine::serde::de::DeserializeOwned + 'static>(
    ermine: &Ermine,
    name: &str,
) -> Result<BTreeMap<String, V>> {
    let all = ermine.query_of::<V>(name)?.all().await?;
    Ok(all.into_iter().map(|(id, view)| (id.to_string(), view)).collect())
}

async fn parked(ermine: &Ermine, shard: &ShardName) -> Result<BTreeMap<ParkKey, u64>> {
    let letters = ermine.store().dead_letters().expect("each of the stores keeps them");
    Ok(letters.parked_keys(shard).await?.into_iter().collect())
}

fn assert_same<V: PartialEq + std::fmt::Debug>(
    name: &str,
    found: &BTreeMap<String, V>,
    expected: &BTreeMap<String, V>,
) {
    for (id, view) in expected {
        assert_eq!(found.get(id), Some(view), "the view {id} of {name}");
    }
    assert!(found.keys().eq(expected.keys()), "{name} has views that nothing makes");
}

async fn a_log_with_poison(fresh: Fresh, poison: Poison, parks: bool) -> Result<()> {
    let mut case = Case::new(&fresh, poison, parks);
    let mut ermine = case.host(false).await?;
    if poison == Poison::RefusedByStore {
        keep_rows_clean(&fresh, true).await;
    }
    case.append(&ermine, case.events(), POISONS).await?;
    ermine.wait_for_non_stale(IN_TIME).await?;
    case.check(&ermine, false).await?;
    case.check_letters(&ermine).await?;

    cure(&case.why);
    match poison {
        Poison::RefusedByStore => keep_rows_clean(&fresh, false).await,
        Poison::Unknown => {
            ermine.stop().await?;
            ermine = case.host(true).await?;
        }
        _ => {}
    }
    let dead = ermine.dead_letters()?;
    let letters = dead.count(LetterQuery::default()).await?;
    let is_done = Cell::new(false);
    let retry = async {
        let retried = dead.retry(LetterQuery::default(), "ada").await?.run(IN_TIME).await;
        is_done.set(true);
        retried
    };
    let (retried, live) = tokio::join!(retry, case.live(&ermine, &is_done));
    live?;
    assert_eq!(retried?, Retried { replayed: letters, refused: 0 });
    ermine.wait_for_non_stale(IN_TIME).await?;
    case.check(&ermine, true).await?;
    for name in case.names() {
        assert_eq!(parked(&ermine, &format!("{name}:All").parse()?).await?, BTreeMap::new(), "{name}");
    }
    let replayed = LetterQuery { statuses: vec![LetterStatus::Replayed], ..LetterQuery::default() };
    assert_eq!(dead.count(replayed).await?, letters);
    assert_eq!(dead.count(LetterQuery::default()).await?, letters);
    ermine.stop().await
}

async fn refused_events_are_skipped_and_come_back(fresh: Fresh) -> Result<()> {
    a_log_with_poison(fresh, Poison::Refused, false).await
}

async fn behind_refused_events_their_views_wait(fresh: Fresh) -> Result<()> {
    a_log_with_poison(fresh, Poison::Refused, true).await
}

async fn events_that_panic_are_skipped_and_come_back(fresh: Fresh) -> Result<()> {
    a_log_with_poison(fresh, Poison::Panics, false).await
}

async fn behind_events_that_panic_their_views_wait(fresh: Fresh) -> Result<()> {
    a_log_with_poison(fresh, Poison::Panics, true).await
}

async fn odd_bodies_are_skipped_and_come_back(fresh: Fresh) -> Result<()> {
    a_log_with_poison(fresh, Poison::Undecodable, false).await
}

async fn behind_odd_bodies_their_streams_wait(fresh: Fresh) -> Result<()> {
    a_log_with_poison(fresh, Poison::Undecodable, true).await
}

async fn unknown_types_are_skipped_and_come_back(fresh: Fresh) -> Result<()> {
    a_log_with_poison(fresh, Poison::Unknown, false).await
}

async fn behind_unknown_types_nothing_waits(fresh: Fresh) -> Result<()> {
    a_log_with_poison(fresh, Poison::Unknown, true).await
}

async fn what_the_store_refuses_is_skipped_and_comes_back(fresh: Fresh) -> Result<()> {
    a_log_with_poison(fresh, Poison::RefusedByStore, false).await
}

async fn behind_what_the_store_refuses_its_row_waits(fresh: Fresh) -> Result<()> {
    a_log_with_poison(fresh, Poison::RefusedByStore, true).await
}

on_every_store!(
    refused_events_are_skipped_and_come_back,
    behind_refused_events_their_views_wait,
    events_that_panic_are_skipped_and_come_back,
    behind_events_that_panic_their_views_wait,
    odd_bodies_are_skipped_and_come_back,
    behind_odd_bodies_their_streams_wait,
    unknown_types_are_skipped_and_come_back,
    behind_unknown_types_nothing_waits,
    what_the_store_refuses_is_skipped_and_comes_back,
    behind_what_the_store_refuses_its_row_waits,
);

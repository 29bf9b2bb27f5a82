//! Which letters are given, in which order, and how many they are.

use ermine_core::{
    DeadLetter, ErrorClass, LetterQuery, LetterState, LetterStatus, Seq, ShardName,
    ports::{DeadLetterStore, Store},
};

use super::{
    data::{commit, ensure_same, keys, letter, states, written},
    model,
};
use crate::{
    Outcome, Stop,
    bench::{Bench, Worker, dead_letters, stream, tenant},
    outcome::ensure_eq,
    random::Random,
};

/// Text puts them into another order than their numbers do.
pub(super) const SHARDS: [&str; 7] = [
    "Balance:V2:All",
    "Balance:V10:All",
    "Balance:All",
    "Balance:2of3",
    "balance:All",
    "\u{e4}:All",
    "Ride:All:a:b",
];

/// Letters of all [`SHARDS`], and no two alike, in their order.
async fn fill(store: &dyn Store) -> Result<Vec<DeadLetter>, Stop> {
    let mut random = Random::new(11);
    let mut all = Vec::new();
    for name in SHARDS {
        let shard: ShardName = name.parse()?;
        let mut letters = Vec::new();
        for seq in [2, 10, 9] {
            let keys = keys().into_iter().map(Some).chain([None]);
            for key in keys {
                letters.push(any_letter(&mut random, letter(&shard, seq, key)));
            }
        }
        let mut worker = Worker::take(store, shard).await?;
        commit(store, &mut worker, 10, written(&letters)).await?;
        all.extend(letters);
    }
    sort(&mut all);
    Ok(all)
}

/// The letter with its event, its failure and its state drawn.
pub(super) fn any_letter(random: &mut Random, letter: DeadLetter) -> DeadLetter {
    let tenant = if random.below(2) == 0 { letter.tenant } else { tenant("acme") };
    DeadLetter {
        tenant,
        stream: stream(random.pick::<&str>(&["s", "S", "it's"])),
        class: *random.pick(&[None, Some(ErrorClass::Apply), Some(ErrorClass::Serialization)]),
        state: random.pick::<LetterState>(&states()).clone(),
        ..letter
    }
}

pub(super) fn sort(letters: &mut [DeadLetter]) {
    letters.sort_by(|one, other| one.id.order().cmp(&other.id.order()));
}

/// A question about letters like these.
pub(super) fn any_query(random: &mut Random, letters: &[DeadLetter]) -> Result<LetterQuery, Stop> {
    let Some(like) = letters.get(random.below(letters.len())) else { return Ok(LetterQuery::default()) };
    let mut query = LetterQuery::default();
    if random.below(3) == 0 {
        query.projection = Some(like.id.shard.projection().clone());
    }
    if random.below(4) == 0 {
        query.shard = Some(random.pick(&SHARDS).parse()?);
    }
    if random.below(4) == 0 {
        query.tenant = Some(like.tenant.clone());
    }
    if random.below(4) == 0 {
        query.stream = Some(like.stream.clone());
    }
    if random.below(5) == 0 {
        query.seq = Some(like.id.seq);
    }
    if random.below(4) == 0 {
        query.class = like.class;
    }
    for _ in 0..random.below(4) {
        query.statuses.push(*random.pick(&LetterStatus::ALL));
    }
    if random.below(3) == 0 {
        query.after = Some(random.pick(letters).id.clone());
    }
    if random.below(2) == 0 {
        query.limit = Some(random.below(20));
    }
    Ok(query)
}

/// What a query must give.
pub(super) fn select(query: &LetterQuery, letters: &[DeadLetter]) -> Vec<DeadLetter> {
    let matching = letters.iter().filter(|letter| query.matches(letter));
    matching.take(query.limit.unwrap_or(usize::MAX)).cloned().collect()
}

pub(super) async fn ensure_answers(
    store: &dyn DeadLetterStore,
    query: &LetterQuery,
    letters: &[DeadLetter],
) -> Outcome {
    let (found, wanted) = (store.letters(query.clone()).await?, select(query, letters));
    ensure_same(&found, &wanted, &format!("letters for {query:?}"))
}

pub(crate) async fn letters_are_given_as_the_query_says_in_the_order_of_ids(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    let theirs = dead_letters(&*store)?;
    ensure_answers(theirs, &LetterQuery::default(), &[]).await?;
    let letters = fill(&*store).await?;
    for query in each_field(&letters[20]) {
        ensure_answers(theirs, &query, &letters).await?;
    }
    for limit in [7, 100] {
        let mut paged = Vec::new();
        let mut query = LetterQuery { limit: Some(limit), ..LetterQuery::default() };
        loop {
            let page = theirs.letters(query.clone()).await?;
            let Some(last) = page.last() else { break };
            if query.after.as_ref() == Some(&last.id) {
                return Err(Stop::Broken(format!("the letters after {} end with itself", last.id)));
            }
            query.after = Some(last.id.clone());
            paged.extend(page);
        }
        ensure_same(&paged, &letters, &format!("letters in pages of {limit}"))?;
    }
    let mut random = Random::new(12);
    for _ in 0..150 {
        ensure_answers(theirs, &any_query(&mut random, &letters)?, &letters).await?;
    }
    model::at_random(&*store, letters).await
}

/// One question about each thing that this letter could be found by.
fn each_field(like: &DeadLetter) -> Vec<LetterQuery> {
    let all = LetterQuery::default;
    vec![
        all(),
        LetterQuery { projection: Some(like.id.shard.projection().clone()), ..all() },
        LetterQuery { shard: Some(like.id.shard.clone()), ..all() },
        LetterQuery { tenant: Some(like.tenant.clone()), ..all() },
        LetterQuery { stream: Some(like.stream.clone()), ..all() },
        LetterQuery { seq: Some(like.id.seq), ..all() },
        LetterQuery { seq: Some(Seq::MAX), ..all() },
        LetterQuery { class: Some(ErrorClass::Apply), ..all() },
        LetterQuery { statuses: vec![LetterStatus::Waiting, LetterStatus::Discarded], ..all() },
        LetterQuery { after: Some(like.id.clone()), ..all() },
        LetterQuery { limit: Some(3), ..all() },
        LetterQuery { limit: Some(0), ..all() },
        LetterQuery::open(like.id.shard.clone()),
    ]
}

pub(crate) async fn counting_letters_gives_how_many_match(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    let theirs = dead_letters(&*store)?;
    ensure_eq!(theirs.count_letters(LetterQuery::default()).await?, 0, "letters in an empty store");
    let letters = fill(&*store).await?;
    let mut random = Random::new(13);
    let mut queries = each_field(&letters[40]);
    for _ in 0..60 {
        queries.push(any_query(&mut random, &letters)?);
    }
    for query in queries {
        let matching = letters.iter().filter(|letter| query.matches(letter)).count() as u64;
        for limit in [query.limit, Some(1), None] {
            let query = LetterQuery { limit, ..query.clone() };
            let found = theirs.count_letters(query.clone()).await?;
            ensure_eq!(found, matching, "how many letters match {query:?}");
        }
    }
    Ok(())
}

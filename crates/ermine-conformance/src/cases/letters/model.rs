//! Everything that can happen to letters and waiting events, at random, against a model that is plain data.

use std::collections::{BTreeMap, BTreeSet};

use ermine_core::{
    DeadLetter, LetterChanges, LetterRequest, LetterState, LetterStatus, ParkKey, Seq, ShardName,
    ports::{DeadLetterStore, Store},
};

use super::{
    data::{ensure_same, keys, letter, moment, parked},
    queries::{SHARDS, any_letter, any_query, ensure_answers, sort},
};
use crate::{
    Outcome, Stop,
    bench::{Worker, dead_letters},
    outcome::ensure_eq,
    random::Random,
};

const ROUNDS: usize = 120;

/// What there should be.
struct Model {
    letters: Vec<DeadLetter>,
    parked: BTreeMap<ShardName, BTreeMap<ParkKey, BTreeSet<u64>>>,
}

/// Goes on from `letters`, which are there, and no waiting events.
pub(super) async fn at_random(store: &dyn Store, letters: Vec<DeadLetter>) -> Outcome {
    let theirs = dead_letters(store)?;
    let mut random = Random::new(14);
    let mut model = Model { letters, parked: BTreeMap::new() };
    let mut workers = Vec::new();
    for name in SHARDS {
        workers.push(Worker::take(store, name.parse()?).await?);
    }
    for round in 0..ROUNDS {
        match random.below(8) {
            0 => model.ask(theirs, &mut random).await?,
            1 => model.purge(theirs, &mut random).await?,
            _ => {
                let at = random.below(workers.len());
                let worker = &mut workers[at];
                let changes = changes(&mut random, &worker.batch.shard);
                model.change(&worker.batch.shard, &changes);
                worker.batch.letters = changes;
                // Some batches move, some do not.
                let to = worker.batch.from.get() + random.below(2) as u64;
                worker.commit(store, to, Vec::new()).await?;
            }
        }
        ensure_answers(theirs, &any_query(&mut random, &model.letters)?, &model.letters).await?;
        if round % 10 == 9 {
            model.ensure_same(theirs).await?;
        }
    }
    model.ensure_same(theirs).await
}

fn changes(random: &mut Random, shard: &ShardName) -> LetterChanges {
    let keys = keys();
    let mut changes = LetterChanges::default();
    for _ in 0..random.below(5) {
        let key = (random.below(4) > 0).then(|| random.pick(&keys).clone());
        let seq = 1 + random.below(12) as u64;
        let attempts = random.below(9);
        let drawn = any_letter(random, letter(shard, seq, key));
        changes.letters.push(DeadLetter { error: format!("attempt {attempts}"), ..drawn });
    }
    for _ in 0..random.below(8) {
        let key = random.pick(&keys[5..9]).clone();
        changes.parked.push((key, Seq::new(1 + random.below(6) as u64)));
    }
    for _ in 0..random.below(6) {
        let key = random.pick(&keys[5..9]).clone();
        changes.released.push((key, Seq::new(1 + random.below(6) as u64)));
    }
    changes
}

impl Model {
    fn change(&mut self, shard: &ShardName, changes: &LetterChanges) {
        for letter in &changes.letters {
            self.letters.retain(|there| there.id != letter.id);
            self.letters.push(letter.clone());
        }
        sort(&mut self.letters);
        let keys = self.parked.entry(shard.clone()).or_default();
        for (key, seq) in &changes.parked {
            keys.entry(key.clone()).or_default().insert(seq.get());
        }
        for (key, seq) in &changes.released {
            keys.entry(key.clone()).or_default().remove(&seq.get());
        }
        keys.retain(|_, seqs| !seqs.is_empty());
    }

    async fn ask(&mut self, theirs: &dyn DeadLetterStore, random: &mut Random) -> Outcome {
        let query = any_query(random, &self.letters)?;
        let request = if random.below(2) == 0 {
            LetterRequest::Retry { by: "ada".into() }
        } else {
            LetterRequest::Discard { by: "grace".into(), reason: format!("reason {}", random.below(9)) }
        };
        let mut wanted = 0;
        for letter in &mut self.letters {
            if query.matches(letter) && LetterStatus::OPEN.contains(&letter.state.status()) {
                letter.state = LetterState::Requested(request.clone());
                wanted += 1;
            }
        }
        let said = format!("letters marked by {query:?}");
        ensure_eq!(theirs.request(query, request).await?, wanted, "{said}");
        Ok(())
    }

    async fn purge(&mut self, theirs: &dyn DeadLetterStore, random: &mut Random) -> Outcome {
        let before = moment(7 + random.below(3) as u64);
        let there = self.letters.len();
        self.letters.retain(|letter| !letter.state.is_replayed_before(before));
        let wanted = (there - self.letters.len()) as u64;
        ensure_eq!(theirs.purge_letters(before).await?, wanted, "letters that were replayed before {before}");
        Ok(())
    }

    async fn ensure_same(&self, theirs: &dyn DeadLetterStore) -> Outcome {
        ensure_same(&super::all(theirs).await?, &self.letters, "all letters")?;
        for name in SHARDS {
            let shard: ShardName = name.parse()?;
            let wanted: Vec<(ParkKey, Vec<u64>)> = self
                .parked
                .get(&shard)
                .into_iter()
                .flatten()
                .map(|(key, seqs)| (key.clone(), seqs.iter().copied().collect()))
                .collect();
            let found: Result<_, Stop> = parked(theirs, &shard).await;
            ensure_eq!(found?, wanted, "what waits in shard {shard}");
        }
        Ok(())
    }
}

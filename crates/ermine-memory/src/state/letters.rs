use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    ops::Bound,
};

use ermine_core::{
    DeadLetter, Event, LetterId, LetterQuery, LetterRequest, LetterState, LetterStatus, ParkKey, Result, Seq,
    ShardBatch, ShardName, SmolStr, Timestamp,
};

use super::{Data, Row, State, Turn, TxId, Undo, staged::Staged};

/// The events that shards have refused, and those that wait behind them.
#[derive(Debug, Default)]
pub(super) struct Letters {
    letters: BTreeMap<Place, DeadLetter>,
    parked: BTreeMap<ShardName, BTreeMap<ParkKey, BTreeSet<Seq>>>,
}

/// Where a letter stands among all: [`LetterId::order`] with texts of its own.
type Place = (String, Seq, &'static str, SmolStr, SmolStr);

/// One thing about refused events, and what it is afterwards.
#[derive(Clone, Debug)]
pub(super) enum LetterChange {
    /// `None` when the letter is gone.
    Letter(LetterId, Option<Box<DeadLetter>>),
    /// Whether the event waits.
    Parked(ShardName, ParkKey, Seq, bool),
}

impl Letters {
    /// Makes a change; answers with the one that takes it back.
    pub(super) fn apply(&mut self, change: LetterChange) -> LetterChange {
        match change {
            LetterChange::Letter(id, letter) => {
                let before = match letter {
                    Some(letter) => self.letters.insert(place(&id), *letter),
                    None => self.letters.remove(&place(&id)),
                };
                LetterChange::Letter(id, before.map(Box::new))
            }
            LetterChange::Parked(shard, key, seq, waits) => {
                let waited = self.park(shard.clone(), key.clone(), seq, waits);
                LetterChange::Parked(shard, key, seq, waited)
            }
        }
    }

    /// Says whether the event waits from now on; answers whether it has.
    fn park(&mut self, shard: ShardName, key: ParkKey, seq: Seq, waits: bool) -> bool {
        let keys = self.parked.entry(shard).or_default();
        if waits {
            return !keys.entry(key).or_default().insert(seq);
        }
        let Entry::Occupied(mut behind) = keys.entry(key) else { return false };
        let waited = behind.get_mut().remove(&seq);
        if behind.get().is_empty() {
            behind.remove();
        }
        waited
    }

    /// The letters that match, in order and without regard to the limit.
    fn matching<'s>(&'s self, query: &'s LetterQuery) -> impl Iterator<Item = &'s DeadLetter> {
        self.letters.values().filter(|letter| query.matches(letter))
    }

    /// Those that match and are not settled.
    fn open<'s>(&'s self, query: &'s LetterQuery) -> impl Iterator<Item = &'s DeadLetter> {
        self.matching(query).filter(|letter| LetterStatus::OPEN.contains(&letter.state.status()))
    }

    fn replayed_before(&self, moment: Timestamp) -> impl Iterator<Item = &DeadLetter> {
        self.letters.values().filter(move |letter| letter.state.is_replayed_before(moment))
    }
}

impl Data {
    /// Notes what a batch changes about events that its shard has refused.
    pub(super) fn stage_letters(staged: &mut Staged, batch: &ShardBatch) {
        let letters = batch.letters.letters.iter().cloned();
        staged
            .letters
            .extend(letters.map(|letter| LetterChange::Letter(letter.id.clone(), Some(Box::new(letter)))));
        let parked = |(key, seq): &(ParkKey, Seq), waits| {
            LetterChange::Parked(batch.shard.clone(), key.clone(), *seq, waits)
        };
        staged.letters.extend(batch.letters.parked.iter().map(|event| parked(event, true)));
        staged.letters.extend(batch.letters.released.iter().map(|event| parked(event, false)));
    }
}

impl State {
    pub(crate) fn letters(&self, query: &LetterQuery) -> Vec<DeadLetter> {
        self.data.letters.matching(query).take(query.limit.unwrap_or(usize::MAX)).cloned().collect()
    }

    pub(crate) fn count_letters(&self, query: &LetterQuery) -> u64 {
        self.data.letters.matching(query).count() as u64
    }

    /// Marks the letters that match and are not settled; waits for commits that are about to write one of them.
    pub(crate) fn request_letters(
        &mut self,
        tx: TxId,
        query: &LetterQuery,
        request: &LetterRequest,
    ) -> Turn<Result<u64>> {
        if self.is_blocked(tx, rows_of_letters(self.data.letters.open(query))) {
            return Turn::Blocked;
        }
        if let Err(lost) = self.transaction(tx) {
            return Turn::Done(Err(lost));
        }
        let mark = |letter: &DeadLetter| {
            let state = LetterState::Requested(request.clone());
            let marked = DeadLetter { state, ..letter.clone() };
            LetterChange::Letter(letter.id.clone(), Some(Box::new(marked)))
        };
        let marked: Vec<LetterChange> = self.data.letters.open(query).map(mark).collect();
        let count = self.change_letters(marked);
        if count > 0 {
            self.ring_all();
        }
        Turn::Done(Ok(count))
    }

    pub(crate) fn purge_letters(&mut self, tx: TxId, moment: Timestamp) -> Turn<Result<u64>> {
        if self.is_blocked(tx, rows_of_letters(self.data.letters.replayed_before(moment))) {
            return Turn::Blocked;
        }
        if let Err(lost) = self.transaction(tx) {
            return Turn::Done(Err(lost));
        }
        let settled = self.data.letters.replayed_before(moment);
        let gone = settled.map(|letter| LetterChange::Letter(letter.id.clone(), None)).collect();
        Turn::Done(Ok(self.change_letters(gone)))
    }

    /// Makes changes in a commit of their own; answers how many.
    fn change_letters(&mut self, changes: Vec<LetterChange>) -> u64 {
        let undo: Vec<_> = changes.into_iter().map(|change| self.data.letters.apply(change)).collect();
        let count = undo.len() as u64;
        if count > 0 {
            self.history.push(Undo::Letters(undo), self.data.last);
        }
        count
    }

    pub(crate) fn parked_keys(&self, shard: &ShardName) -> Vec<(ParkKey, u64)> {
        let keys = self.data.letters.parked.get(shard).into_iter().flatten();
        keys.map(|(key, behind)| (key.clone(), behind.len() as u64)).collect()
    }

    pub(crate) fn parked(&self, shard: &ShardName, key: &ParkKey, after: Seq, limit: usize) -> Vec<Seq> {
        let behind = self.data.letters.parked.get(shard).and_then(|keys| keys.get(key));
        let waiting =
            behind.into_iter().flat_map(|seqs| seqs.range((Bound::Excluded(after), Bound::Unbounded)));
        waiting.take(limit).copied().collect()
    }

    /// Marks of skipping are for pages; who asks for an event by its number gets it.
    pub(crate) fn read_events(&self, seqs: &[Seq]) -> Vec<Event> {
        let seqs: BTreeSet<&Seq> = seqs.iter().collect();
        seqs.into_iter().filter_map(|seq| self.data.events.get(seq)).cloned().collect()
    }
}

/// What a batch must hold against those who would change its letters.
pub(super) fn rows_of_changed_letters(batch: &ShardBatch) -> impl Iterator<Item = Row> + '_ {
    rows_of_letters(batch.letters.letters.iter())
}

fn rows_of_letters<'l>(letters: impl Iterator<Item = &'l DeadLetter>) -> impl Iterator<Item = Row> {
    letters.map(|letter| Row::Letter(letter.id.clone()))
}

fn place(id: &LetterId) -> Place {
    let (shard, seq, kind, tenant, key) = id.order();
    (shard, seq, kind, SmolStr::new(tenant), SmolStr::new(key))
}

//! What the store holds: plain data and plain functions. Everything happens under one lock, so each function is atomic.

mod append;
mod columns;
mod history;
mod letters;
mod operations;
mod outbox;
mod read;
mod schema;
mod shards;
mod staged;
mod streams;
mod views;
mod wishes;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Weak},
};

use ermine_core::{
    Clock, EffectId, Event, EventId, Incarnation, Layout, LetterId, Progress, Result, Seq, ShardName,
    SmolStr, StoredView, StreamId, TenantId, Timestamp, Uuid, ViewId, ViewKey, ViewTable,
};
use history::{History, Undo};
use letters::Letters;
use outbox::Messages;
use staged::Staged;
use streams::Stream;
use wishes::Wishes;

use crate::{bell::Doorbell, faults::outcome_unknown};

/// A transaction, for as long as the store lives; never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TxId(u64);

/// What a call came to.
#[derive(Debug)]
pub(crate) enum Turn<T> {
    Done(T),
    /// Another transaction holds a row that this one needs.
    Blocked,
}

#[derive(Debug)]
pub(crate) struct State {
    clock: Arc<dyn Clock>,
    bells: Vec<Weak<Doorbell>>,
    open: BTreeMap<TxId, Transaction>,
    next_tx: u64,
    locks: HashMap<Row, TxId>,
    data: Data,
    history: History,
}

/// What a reset empties.
#[derive(Debug)]
struct Data {
    incarnation: Incarnation,
    migrated: bool,
    tables: BTreeMap<ViewTable, Layout>,
    /// The last number drawn; rollbacks do not take it back, crashes do.
    last: Seq,
    events: BTreeMap<Seq, Event>,
    streams: HashMap<(TenantId, StreamId), Stream>,
    ids: HashMap<EventId, Seq>,
    /// Why events are marked as skipped.
    skipped: BTreeMap<Seq, SmolStr>,
    views: HashMap<ViewTable, HashMap<TenantId, BTreeMap<ViewId, StoredView>>>,
    messages: Messages,
    letters: Letters,
    wishes: Wishes,
    progress: BTreeMap<ShardName, Progress>,
}

/// What a transaction can hold against others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Row {
    Stream(TenantId, StreamId),
    Event(EventId),
    Shard(ShardName),
    View(ViewTable, ViewKey),
    Message(EffectId),
    Letter(LetterId),
}

#[derive(Debug)]
struct Transaction {
    since: Timestamp,
    application: Option<String>,
    /// The last number anybody had drawn before this transaction drew its first.
    floor: Option<Seq>,
    staged: Staged,
    /// What it holds in `locks`.
    rows: Vec<Row>,
    /// Whom to wake at the commit: those whose bell was armed right after the floor was taken.
    rings: Vec<Arc<Doorbell>>,
}

impl Data {
    fn new() -> Self {
        Self {
            incarnation: Incarnation(Uuid::new_v4()),
            migrated: false,
            tables: BTreeMap::new(),
            last: Seq::ZERO,
            events: BTreeMap::new(),
            streams: HashMap::new(),
            ids: HashMap::new(),
            skipped: BTreeMap::new(),
            views: HashMap::new(),
            messages: Messages::default(),
            letters: Letters::default(),
            wishes: Wishes::default(),
            progress: BTreeMap::new(),
        }
    }
}

impl State {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            bells: Vec::new(),
            open: BTreeMap::new(),
            next_tx: 1,
            locks: HashMap::new(),
            data: Data::new(),
            history: History::default(),
        }
    }

    pub(crate) fn set_clock(&mut self, clock: Arc<dyn Clock>) {
        self.clock = clock;
    }

    pub(crate) fn add_bell(&mut self, bell: &Arc<Doorbell>) {
        self.bells.retain(|bell| bell.strong_count() > 0);
        self.bells.push(Arc::downgrade(bell));
    }

    /// Rings for everybody, armed or not: for news that is not in the log.
    fn ring_all(&self) {
        self.bells.iter().filter_map(Weak::upgrade).for_each(|bell| bell.ring());
    }

    pub(crate) fn last(&self) -> Seq {
        self.data.last
    }

    pub(crate) fn begin(&mut self) -> TxId {
        let tx = TxId(self.next_tx);
        self.next_tx += 1;
        let begun = Transaction {
            since: self.clock.now(),
            application: None,
            floor: None,
            staged: Staged::default(),
            rows: Vec::new(),
            rings: Vec::new(),
        };
        self.open.insert(tx, begun);
        tx
    }

    pub(crate) fn name(&mut self, tx: TxId, application: String) {
        if let Some(transaction) = self.open.get_mut(&tx) {
            transaction.application = Some(application);
        }
    }

    /// Takes the floor, if this is the first time, without drawing a number.
    pub(crate) fn announce(&mut self, tx: TxId) -> Result<()> {
        if self.transaction(tx)?.floor.is_some() {
            return Ok(());
        }
        let last = self.data.last;
        // The bells are looked at after the floor is there to be seen: an observer either sees the floor or is rung for.
        let rings = self.bells.iter().filter_map(Weak::upgrade).filter(|bell| bell.is_armed()).collect();
        let transaction = self.transaction_mut(tx)?;
        transaction.floor = Some(last);
        transaction.rings = rings;
        Ok(())
    }

    /// Makes what a transaction has staged visible, all at once, and rings for it.
    pub(crate) fn commit(&mut self, tx: TxId) -> Result<()> {
        let transaction = self.end(tx)?;
        if transaction.staged.is_empty() {
            return Ok(());
        }
        let rings = if transaction.staged.events.is_empty() { Vec::new() } else { transaction.rings };
        let undo = self.data.publish(transaction.staged);
        self.history.push(Undo::Commit(undo), self.data.last);
        rings.iter().for_each(|bell| bell.ring());
        Ok(())
    }

    /// Ends a transaction without a trace but the numbers it has drawn.
    pub(crate) fn rollback(&mut self, tx: TxId) {
        let _ = self.end(tx);
    }

    /// Ends a transaction and lets go of what it held; an error when a crash has ended it already.
    fn end(&mut self, tx: TxId) -> Result<Transaction> {
        let transaction = self.open.remove(&tx).ok_or_else(outcome_unknown)?;
        for row in &transaction.rows {
            self.locks.remove(row);
        }
        Ok(transaction)
    }

    /// Ends all transactions without a trace.
    pub(crate) fn end_sessions(&mut self) {
        self.open.clear();
        self.locks.clear();
    }

    /// Loses the last `lost` commits, everything that was open, and the knowledge of which numbers were drawn since.
    pub(crate) fn crash(&mut self, lost: usize) {
        self.end_sessions();
        self.data.incarnation = Incarnation(Uuid::new_v4());
        for _ in 0..lost {
            match self.history.pop() {
                Some(undo) => self.data.undo(undo),
                None => break,
            }
        }
        self.data.last = self.history.last();
    }

    /// The transaction, unless a crash has ended it.
    fn transaction(&self, tx: TxId) -> Result<&Transaction> {
        self.open.get(&tx).ok_or_else(outcome_unknown)
    }

    fn transaction_mut(&mut self, tx: TxId) -> Result<&mut Transaction> {
        self.open.get_mut(&tx).ok_or_else(outcome_unknown)
    }

    /// Changes what a transaction has staged, with the rest of the store at hand; an error leaves it as it was.
    fn change<T>(
        &mut self,
        tx: TxId,
        change: impl FnOnce(&mut Data, &mut Staged, Timestamp) -> Result<T>,
    ) -> Result<T> {
        let transaction = self.open.get_mut(&tx).ok_or_else(outcome_unknown)?;
        let before = transaction.staged.len();
        let changed = change(&mut self.data, &mut transaction.staged, transaction.since);
        if changed.is_err() {
            transaction.staged.truncate(before);
        }
        changed
    }

    /// Holds rows that nobody else holds, until the transaction ends.
    fn hold(&mut self, tx: TxId, rows: impl Iterator<Item = Row>) -> Result<()> {
        let transaction = self.open.get_mut(&tx).ok_or_else(outcome_unknown)?;
        for row in rows {
            if self.locks.insert(row.clone(), tx).is_none() {
                transaction.rows.push(row);
            }
        }
        Ok(())
    }

    /// Whether somebody else holds one of `rows`.
    fn is_blocked(&self, tx: TxId, mut rows: impl Iterator<Item = Row>) -> bool {
        !self.locks.is_empty() && rows.any(|row| self.locks.get(&row).is_some_and(|holder| *holder != tx))
    }
}

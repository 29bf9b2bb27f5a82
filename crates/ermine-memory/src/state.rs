//! What the store holds: plain data and plain functions. Everything happens under one lock, so each function is atomic.

mod append;
mod history;
mod read;
mod views;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    mem,
    sync::{Arc, Weak},
};

use ermine_core::{
    Clock, Event, EventId, Incarnation, Progress, Result, Seq, ShardName, StoredView, StreamId, TenantId,
    Timestamp, Uuid, ViewId, ViewTable,
};
use history::{History, Undo};

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
    incarnation: Incarnation,
    migrated: bool,
    tables: BTreeSet<ViewTable>,
    /// The last number drawn; rollbacks do not take it back, crashes do.
    last: Seq,
    events: BTreeMap<Seq, Event>,
    streams: HashMap<(TenantId, StreamId), Vec<Seq>>,
    ids: HashMap<EventId, Seq>,
    views: HashMap<ViewTable, HashMap<TenantId, BTreeMap<ViewId, StoredView>>>,
    progress: BTreeMap<ShardName, Progress>,
    open: BTreeMap<TxId, Transaction>,
    next_tx: u64,
    locks: HashMap<Row, TxId>,
    history: History,
    bells: Vec<Weak<Doorbell>>,
}

/// What a transaction can hold against others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Row {
    Stream(TenantId, StreamId),
    Event(EventId),
    Shard(ShardName),
}

#[derive(Debug)]
struct Transaction {
    since: Timestamp,
    application: Option<String>,
    /// The last number anybody had drawn before this transaction drew its first.
    floor: Option<Seq>,
    staged: Vec<Event>,
    /// What it holds in `locks`.
    rows: Vec<Row>,
    /// Whom to wake at the commit: those whose bell was armed right after the floor was taken.
    rings: Vec<Arc<Doorbell>>,
}

impl State {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            incarnation: Incarnation(Uuid::new_v4()),
            migrated: false,
            tables: BTreeSet::new(),
            last: Seq::ZERO,
            events: BTreeMap::new(),
            streams: HashMap::new(),
            ids: HashMap::new(),
            views: HashMap::new(),
            progress: BTreeMap::new(),
            open: BTreeMap::new(),
            next_tx: 1,
            locks: HashMap::new(),
            history: History::default(),
            bells: Vec::new(),
        }
    }

    pub(crate) fn set_clock(&mut self, clock: Arc<dyn Clock>) {
        self.clock = clock;
    }

    pub(crate) fn add_bell(&mut self, bell: &Arc<Doorbell>) {
        self.bells.retain(|bell| bell.strong_count() > 0);
        self.bells.push(Arc::downgrade(bell));
    }

    pub(crate) fn last(&self) -> Seq {
        self.last
    }

    pub(crate) fn begin(&mut self) -> TxId {
        let tx = TxId(self.next_tx);
        self.next_tx += 1;
        let since = self.clock.now();
        let begun = Transaction {
            since,
            application: None,
            floor: None,
            staged: Vec::new(),
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
        self.incarnation = Incarnation(Uuid::new_v4());
        for _ in 0..lost {
            match self.history.pop() {
                Some(undo) => self.undo(undo),
                None => break,
            }
        }
        self.last = self.history.last();
    }

    pub(crate) fn is_migrated(&self) -> bool {
        self.migrated
    }

    pub(crate) fn missing_table<'t>(&self, tables: &'t [ViewTable]) -> Option<&'t ViewTable> {
        tables.iter().find(|table| !self.tables.contains(table))
    }

    pub(crate) fn migrate(&mut self, tables: &[ViewTable]) {
        if self.migrated && self.missing_table(tables).is_none() {
            return;
        }
        let before = self.tables.clone();
        self.tables.extend(tables.iter().cloned());
        let migrated = mem::replace(&mut self.migrated, true);
        self.history.push(Undo::Migration { migrated, tables: before }, self.last);
    }

    /// The transaction, unless a crash has ended it.
    fn transaction(&self, tx: TxId) -> Result<&Transaction> {
        self.open.get(&tx).ok_or_else(outcome_unknown)
    }

    fn transaction_mut(&mut self, tx: TxId) -> Result<&mut Transaction> {
        self.open.get_mut(&tx).ok_or_else(outcome_unknown)
    }

    /// Holds rows that nobody else holds, until the transaction ends.
    fn hold(&mut self, tx: TxId, rows: Vec<Row>) -> Result<()> {
        let transaction = self.open.get_mut(&tx).ok_or_else(outcome_unknown)?;
        for row in rows {
            if self.locks.insert(row.clone(), tx).is_none() {
                transaction.rows.push(row);
            }
        }
        Ok(())
    }

    /// Whether somebody else holds one of `rows`.
    fn is_blocked<'r>(&self, tx: TxId, mut rows: impl Iterator<Item = &'r Row>) -> bool {
        rows.any(|row| self.locks.get(row).is_some_and(|holder| *holder != tx))
    }

    fn undo(&mut self, undo: Undo) {
        match undo {
            Undo::Append(seqs) => seqs.into_iter().rev().for_each(|seq| self.unpublish(seq)),
            Undo::Shards { progress, views } => {
                for (shard, before) in progress.into_iter().rev() {
                    match before {
                        Some(before) => self.progress.insert(shard, before),
                        None => self.progress.remove(&shard),
                    };
                }
                for (table, key, before) in views.into_iter().rev() {
                    self.put_view(&table, &key, before);
                }
            }
            Undo::Migration { migrated, tables } => {
                self.migrated = migrated;
                self.tables = tables;
            }
        }
    }
}

//! A database as far as the mark can see it: transactions that draw numbers, and what survives a crash.
//!
//! Each method is one step that nothing can come between. The answers of [`Database::evidence`] know no more than a real
//! store can know: floors or holders of transactions, or what is visible, and never which numbers are in flight.

use std::collections::{BTreeMap, BTreeSet};

use ermine_core::{Evidence, HolderId, Incarnation, Seq, Timestamp, Uuid};

/// How many numbers a sequence logs ahead.
const LOGGED_AHEAD: u64 = 32;

/// How the database tells who is in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Floors,
    Holders,
    Visible,
}

#[derive(Clone, Debug)]
pub(crate) struct Database {
    kind: Kind,
    life: u128,
    last: u64,
    logged: u64,
    visible: BTreeSet<u64>,
    progress: u64,
    transactions: BTreeMap<u8, Transaction>,
    transactions_begun: u64,
    wal: Vec<Record>,
    flushed: usize,
    bell: bool,
    pub(crate) rung: bool,
    pub(crate) now_ms: i64,
    drawn_at_ms: BTreeMap<u64, i64>,
}

#[derive(Clone, Debug)]
enum Record {
    Sequence(u64),
    Commit(Vec<u64>),
    Progress(u64),
}

#[derive(Clone, Debug)]
struct Transaction {
    id: u64,
    holds_sequence: bool,
    statement: Option<Statement>,
    /// The transaction itself, and a level for each open savepoint.
    levels: Vec<Level>,
    has_committed: bool,
}

#[derive(Clone, Debug, Default)]
struct Level {
    floor: Option<u64>,
    rings: bool,
    numbers: Vec<u64>,
}

/// Where an insert of `draws` rows has got to.
#[derive(Clone, Copy, Debug)]
enum Statement {
    Begun { draws: u64 },
    SawLast { last: u64, draws: u64 },
    Locked { draws: u64 },
    Drawing { draws: u64 },
}

impl Database {
    pub(crate) fn new(kind: Kind) -> Self {
        Self {
            kind,
            life: 1,
            last: 0,
            logged: 0,
            visible: BTreeSet::new(),
            progress: 0,
            transactions: BTreeMap::new(),
            transactions_begun: 0,
            wal: Vec::new(),
            flushed: 0,
            bell: false,
            rung: false,
            now_ms: 0,
            drawn_at_ms: BTreeMap::new(),
        }
    }

    // What a store answers.

    pub(crate) fn incarnation(&self) -> Incarnation {
        Incarnation(Uuid::from_u128(self.life))
    }

    pub(crate) fn last(&self) -> Seq {
        Seq::new(self.last)
    }

    pub(crate) fn highest_visible(&self) -> Seq {
        Seq::new(self.visible.last().copied().unwrap_or(0))
    }

    pub(crate) fn progress(&self) -> Seq {
        Seq::new(self.progress)
    }

    pub(crate) fn at(&self) -> Timestamp {
        Timestamp::from_millisecond(self.now_ms).expect("tests run for less than an age")
    }

    pub(crate) fn evidence(&self, mark: Seq) -> Evidence {
        match self.kind {
            Kind::Floors => {
                let levels = self.transactions.values().flat_map(|t| &t.levels);
                Evidence::Floors(levels.filter_map(|l| l.floor).map(Seq::new).collect())
            }
            Kind::Holders => {
                let holders = self.transactions.values().filter(|t| t.holds_sequence);
                Evidence::Holders(holders.map(|t| HolderId(t.id.to_string().into())).collect())
            }
            Kind::Visible => {
                let mark = mark.get();
                let run = (mark + 1..).take_while(|n| self.visible.contains(n)).last().unwrap_or(mark);
                let next = self.visible.range(run + 1..).next().copied();
                Evidence::Visible { contiguous: Seq::new(run), next: next.map(Seq::new) }
            }
        }
    }

    /// The events in `(floor, ceiling]`, as a statement of now sees them.
    pub(crate) fn read(&self, floor: Seq, ceiling: Seq) -> Vec<u64> {
        self.visible.iter().copied().filter(|n| floor.get() < *n && *n <= ceiling.get()).collect()
    }

    pub(crate) fn store_progress(&mut self, progress: Seq, sync: bool) {
        self.progress = progress.get();
        self.wal.push(Record::Progress(self.progress));
        self.flush_if(sync);
    }

    pub(crate) fn set_bell(&mut self, armed: bool) {
        self.bell = armed;
    }

    // What nobody but the test can know.

    pub(crate) fn visible(&self) -> &BTreeSet<u64> {
        &self.visible
    }

    /// Numbers that have been drawn and are neither visible nor dead.
    pub(crate) fn unsettled(&self) -> impl Iterator<Item = u64> {
        let in_flight = self.transactions.values().filter(|t| !t.has_committed);
        in_flight.flat_map(|t| &t.levels).flat_map(|l| &l.numbers).copied()
    }

    /// Events whose transactions are over, so that no ring of theirs is still to come.
    pub(crate) fn ended_events(&self) -> impl Iterator<Item = u64> {
        let ending = self.transactions.values().flat_map(|t| &t.levels).flat_map(|l| &l.numbers);
        let ending: BTreeSet<u64> = ending.copied().collect();
        self.visible.iter().copied().filter(move |n| !ending.contains(n))
    }

    pub(crate) fn age_ms(&self, number: u64) -> i64 {
        self.now_ms - self.drawn_at_ms.get(&number).copied().unwrap_or(self.now_ms)
    }

    // What transactions do.

    /// Begins an insert, and a transaction where none is open.
    pub(crate) fn append(&mut self, slot: u8, draws: u64) {
        let begun = &mut self.transactions_begun;
        let transaction = self.transactions.entry(slot).or_insert_with(|| {
            *begun += 1;
            Transaction {
                id: *begun,
                holds_sequence: false,
                statement: None,
                levels: vec![Level::default()],
                has_committed: false,
            }
        });
        if transaction.is_idle() {
            transaction.statement = Some(Statement::Begun { draws });
        }
    }

    /// The next step of the insert under way; whether there was one.
    pub(crate) fn step(&mut self, slot: u8) -> bool {
        let Some(transaction) = self.transactions.get_mut(&slot) else { return false };
        let Some(statement) = transaction.statement else { return false };
        let level = transaction.levels.len() - 1;
        let next = match statement {
            Statement::Begun { draws } if transaction.levels.iter().any(|l| l.floor.is_some()) => {
                Some(Statement::Drawing { draws })
            }
            Statement::Begun { draws } => Some(Statement::SawLast { last: self.last, draws }),
            Statement::SawLast { last, draws } => {
                transaction.levels[level].floor = Some(last);
                Some(Statement::Locked { draws })
            }
            Statement::Locked { draws } => {
                transaction.levels[level].rings |= self.bell && self.kind == Kind::Floors;
                Some(Statement::Drawing { draws })
            }
            Statement::Drawing { draws: 0 } => {
                // Where the lock is the sequence's own, only now the bell may be read.
                transaction.levels[level].rings |= self.bell && self.kind != Kind::Floors;
                None
            }
            Statement::Drawing { draws } if !transaction.holds_sequence => {
                transaction.holds_sequence = true;
                Some(Statement::Drawing { draws })
            }
            Statement::Drawing { draws } => {
                self.last += 1;
                transaction.levels[level].numbers.push(self.last);
                self.drawn_at_ms.insert(self.last, self.now_ms);
                if self.last > self.logged {
                    self.logged = self.last + LOGGED_AHEAD;
                    self.wal.push(Record::Sequence(self.logged));
                }
                Some(Statement::Drawing { draws: draws - 1 })
            }
        };
        transaction.statement = next;
        true
    }

    pub(crate) fn savepoint(&mut self, slot: u8) {
        if let Some(transaction) = self.idle(slot) {
            transaction.levels.push(Level::default());
        }
    }

    /// Numbers, floor and ring of the level are undone; the lock on the sequence is not.
    pub(crate) fn roll_back_to_savepoint(&mut self, slot: u8) {
        if let Some(transaction) = self.idle(slot).filter(|t| t.levels.len() > 1) {
            transaction.levels.pop();
        }
    }

    pub(crate) fn release_savepoint(&mut self, slot: u8) {
        if let Some(transaction) = self.idle(slot).filter(|t| t.levels.len() > 1) {
            let released = transaction.levels.pop().expect("there are two");
            let parent = transaction.levels.last_mut().expect("there were two");
            parent.floor = parent.floor.or(released.floor);
            parent.rings |= released.rings;
            parent.numbers.extend(released.numbers);
        }
    }

    /// Makes its events visible; its locks stay until [`Self::end`].
    pub(crate) fn commit(&mut self, slot: u8, sync: bool) {
        let Some(transaction) = self.idle(slot) else { return };
        transaction.has_committed = true;
        let numbers: Vec<u64> = transaction.levels.iter().flat_map(|l| l.numbers.clone()).collect();
        self.visible.extend(&numbers);
        self.wal.push(Record::Commit(numbers));
        self.flush_if(sync);
    }

    /// Gives back the locks of a committed transaction, and rings.
    pub(crate) fn end(&mut self, slot: u8) {
        if self.transactions.get(&slot).is_some_and(|t| t.has_committed) {
            let ended = self.transactions.remove(&slot).expect("it is there");
            self.rung |= ended.levels.iter().any(|l| l.rings);
        }
    }

    pub(crate) fn roll_back(&mut self, slot: u8) {
        if self.transactions.get(&slot).is_some_and(|t| !t.has_committed) {
            self.transactions.remove(&slot);
        }
    }

    /// Everybody gives up or ends.
    pub(crate) fn stop_writers(&mut self) {
        for slot in self.transactions.keys().copied().collect::<Vec<_>>() {
            self.end(slot);
            self.roll_back(slot);
        }
    }

    /// Loses what was not flushed, save for the first `kept_percent` of it.
    pub(crate) fn crash(&mut self, kept_percent: usize) {
        let kept = self.flushed + (self.wal.len() - self.flushed) * kept_percent / 100;
        self.wal.truncate(kept);
        self.flushed = kept;
        (self.last, self.progress) = (0, 0);
        self.visible.clear();
        for record in &self.wal {
            match record {
                Record::Sequence(last) => self.last = *last,
                Record::Commit(numbers) => self.visible.extend(numbers),
                Record::Progress(progress) => self.progress = *progress,
            }
        }
        self.logged = self.last;
        self.transactions.clear();
        self.life += 1;
        self.bell = false;
        self.rung = true; // whoever listened has lost the connection
    }

    fn idle(&mut self, slot: u8) -> Option<&mut Transaction> {
        self.transactions.get_mut(&slot).filter(|t| t.is_idle())
    }

    fn flush_if(&mut self, sync: bool) {
        if sync {
            self.flushed = self.wal.len();
        }
    }
}

impl Transaction {
    fn is_idle(&self) -> bool {
        self.statement.is_none() && !self.has_committed
    }
}

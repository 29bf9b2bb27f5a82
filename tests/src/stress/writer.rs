//! One writer: transactions of all shapes, one after the other.

use std::{collections::BTreeMap, fmt, io::Cursor, sync::Arc, time::Duration};

use ermine::{
    Ermine,
    core::{AppendBatch, Error, ErrorKind, NewEvent, StreamAppend, StreamId},
    postgres::Store,
};
use ermine_testkit::pg::OwnedClient;
use futures_util::SinkExt;
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use tokio::time::Instant;
use tokio_postgres::{IsolationLevel, Transaction, error::SqlState};
use uuid::Uuid;

use super::Plan;
use crate::trail::{FOREIGN, NOTE, NoteEvent};

/// How many streams a writer has to itself.
const OWN_STREAMS: u64 = 4;
/// How many streams all writers share, and collide on.
const SHARED_STREAMS: u64 = 4;
const EVENTS_MAX: u64 = 10;
/// The longest time between two transactions of a writer in a calm spell.
const PAUSE_MAX: Duration = Duration::from_millis(60);

/// How events get into the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    /// `Ermine::append`.
    Facade,
    /// `Store::append_in`, within a transaction of the writer's.
    WithinTransaction,
    /// The SQL function.
    Function,
    /// `insert into events .. select`, by somebody who keeps `streams` as well.
    Insert,
    /// The same by COPY.
    Copy,
    /// The SQL function in a transaction that is prepared first.
    TwoPhase,
}

impl Way {
    const ALL: [Self; 6] =
        [Self::Facade, Self::WithinTransaction, Self::Function, Self::Insert, Self::Copy, Self::TwoPhase];
}

/// What writers have done.
#[derive(Debug, Default)]
pub(super) struct Deeds {
    committed: BTreeMap<Way, u64>,
    rolled_back: u64,
    savepoints: u64,
    held: u64,
    refused: u64,
    pub(super) violations: Vec<String>,
}

impl Deeds {
    pub(super) fn and(mut self, other: Self) -> Self {
        for (way, count) in other.committed {
            *self.committed.entry(way).or_default() += count;
        }
        self.rolled_back += other.rolled_back;
        self.savepoints += other.savepoints;
        self.held += other.held;
        self.refused += other.refused;
        self.violations.extend(other.violations);
        self
    }
}

impl fmt::Display for Deeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { committed, rolled_back, savepoints, held, refused, .. } = self;
        let all: u64 = committed.values().sum();
        writeln!(
            f,
            "{all} transactions committed, {rolled_back} rolled back, {savepoints} savepoints rolled back, {held} held \
             open, {refused} refused by the server (serialization, deadlock)"
        )?;
        for (way, count) in committed {
            writeln!(f, "  {way:?}: {count}")?;
        }
        Ok(())
    }
}

/// Why a transaction came to nothing.
enum Refusal {
    /// It stood in another one's way.
    Collision,
    /// It should have worked.
    Violation(String),
}

impl From<tokio_postgres::Error> for Refusal {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.code() {
            Some(code) if *code == SqlState::T_R_SERIALIZATION_FAILURE => Self::Collision,
            Some(code) if *code == SqlState::T_R_DEADLOCK_DETECTED => Self::Collision,
            _ => Self::Violation(format!("a writer was refused: {error:?}")),
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error.kind() {
            ErrorKind::Transient => Self::Collision,
            _ => Self::Violation(format!("a writer was refused: {error:?}")),
        }
    }
}

pub(super) struct Writer {
    nth: u64,
    rng: StdRng,
    held_max: Duration,
    spell: Duration,
    began: Instant,
    client: OwnedClient,
    ermine: Arc<Ermine>,
    store: Store,
    deeds: Deeds,
    transactions: u64,
}

impl Writer {
    pub(super) fn new(nth: u64, plan: &Plan, client: OwnedClient, ermine: Arc<Ermine>, store: Store) -> Self {
        let rng = StdRng::seed_from_u64(plan.seed.wrapping_mul(1_000).wrapping_add(nth));
        Self {
            nth,
            rng,
            held_max: plan.held_max,
            spell: plan.spell,
            began: Instant::now(),
            client,
            ermine,
            store,
            deeds: Deeds::default(),
            transactions: 0,
        }
    }

    pub(super) async fn run(mut self, until: Instant) -> Deeds {
        const VIOLATIONS_MAX: usize = 3;
        while Instant::now() < until && self.deeds.violations.len() < VIOLATIONS_MAX {
            self.transactions += 1;
            if self.is_calm() {
                tokio::time::sleep(self.rng.random_range(Duration::ZERO..=PAUSE_MAX)).await;
            }
            let way = *Way::ALL.choose(&mut self.rng).expect("there are ways");
            let done = match way {
                Way::Facade => self.append().await,
                way => self.transact(way).await,
            };
            match done {
                Ok(true) => *self.deeds.committed.entry(way).or_default() += 1,
                Ok(false) => self.deeds.rolled_back += 1,
                Err(Refusal::Collision) => self.deeds.refused += 1,
                Err(Refusal::Violation(what)) => self.deeds.violations.push(format!("{way:?}: {what}")),
            }
        }
        self.deeds
    }

    /// One to three streams at once; the order of their rows is the store's business.
    async fn append(&mut self) -> Result<bool, Refusal> {
        let mut streams: Vec<String> = (0..self.rng.random_range(1..=3)).map(|_| self.stream()).collect();
        streams.sort_unstable();
        streams.dedup();
        let mut batch = AppendBatch::new();
        for stream in &streams {
            let count = self.rng.random_range(1..=EVENTS_MAX);
            batch = batch.stream(self.stream_append(stream, count)?);
        }
        self.ermine.append_batch(batch).await?;
        Ok(true)
    }

    /// A transaction of the writer's own. True when it was committed.
    async fn transact(&mut self, way: Way) -> Result<bool, Refusal> {
        let isolation = *[
            IsolationLevel::ReadCommitted,
            IsolationLevel::ReadCommitted,
            IsolationLevel::RepeatableRead,
            IsolationLevel::Serializable,
        ]
        .choose(&mut self.rng)
        .expect("there are levels");
        // Decided before the transaction begins, because it borrows the client.
        let prepared_name = format!("two-phase-{}-{}", self.nth, self.transactions);
        let appends: Vec<Append> = (0..self.rng.random_range(1..=2)).map(|_| self.draw()).collect();
        let given_up = self.rng.random_bool(0.2).then(|| self.draw());
        let commits = !self.rng.random_bool(0.2);
        let held = !self.is_calm() && self.rng.random_bool(0.3);
        let held = held.then(|| self.rng.random_range(Duration::ZERO..=self.held_max));
        let (store, deeds) = (&self.store, &mut self.deeds);

        let transaction = self.client.build_transaction().isolation_level(isolation).start().await?;
        if way == Way::TwoPhase {
            // NOTIFY and PREPARE exclude each other, so the safety poll has to find these.
            transaction.batch_execute("set local ermine.no_bell = 'on'").await?;
        }
        if let Some(given_up) = given_up {
            transaction.batch_execute("savepoint doubt").await?;
            given_up.put(way, store, &transaction).await?;
            transaction.batch_execute("rollback to savepoint doubt").await?;
            deeds.savepoints += 1;
        }
        for append in &appends {
            append.put(way, store, &transaction).await?;
        }
        if let Some(held) = held {
            deeds.held += 1;
            tokio::time::sleep(held).await;
        }
        if way == Way::TwoPhase {
            transaction.batch_execute(&format!("prepare transaction '{prepared_name}'")).await?;
            drop(transaction); // nothing is left of it in this session
            let verb = if commits { "commit" } else { "rollback" };
            self.client.batch_execute(&format!("{verb} prepared '{prepared_name}'")).await?;
        } else if commits {
            transaction.commit().await?;
        } else {
            transaction.rollback().await?;
        }
        Ok(commits)
    }

    fn is_calm(&self) -> bool {
        let spells = self.began.elapsed().as_millis() / self.spell.as_millis().max(1);
        spells % 2 == 1
    }

    fn draw(&mut self) -> Append {
        let stream = self.stream();
        let count = self.rng.random_range(1..=EVENTS_MAX);
        let buckets = (0..count).map(|_| self.rng.random_range(0..8)).collect();
        Append { stream, buckets, foreign: self.rng.random_bool(0.02) }
    }

    /// Mostly one of its own, because a held transaction keeps all others from its streams.
    fn stream(&mut self) -> String {
        if self.rng.random_bool(0.1) {
            format!("shared-{}", self.rng.random_range(0..SHARED_STREAMS))
        } else {
            format!("own-{}-{}", self.nth, self.rng.random_range(0..OWN_STREAMS))
        }
    }

    fn stream_append(&mut self, stream: &str, count: u64) -> Result<StreamAppend, Refusal> {
        let events = (0..count).map(|_| NewEvent::of(&NoteEvent::new(self.rng.random_range(0..8))));
        let events = events.collect::<ermine::Result<Vec<_>>>()?;
        Ok(StreamAppend::new(StreamId::new(stream)?, events))
    }
}

/// Some events for one stream.
struct Append {
    stream: String,
    buckets: Vec<u64>,
    /// Whether one more comes of a type that nobody knows.
    foreign: bool,
}

impl Append {
    async fn put(&self, way: Way, store: &Store, transaction: &Transaction<'_>) -> Result<(), Refusal> {
        match way {
            Way::Facade | Way::WithinTransaction => self.append_in(store, transaction).await,
            Way::Function | Way::TwoPhase => self.call(transaction).await,
            Way::Insert => self.insert(transaction).await,
            Way::Copy => self.copy(transaction).await,
        }
    }

    async fn append_in(&self, store: &Store, transaction: &Transaction<'_>) -> Result<(), Refusal> {
        let events = self.buckets.iter().map(|bucket| NewEvent::of(&NoteEvent::new(*bucket)));
        let events = events.collect::<ermine::Result<Vec<_>>>()?;
        let batch =
            AppendBatch::new().stream(StreamAppend::new(StreamId::new(self.stream.as_str())?, events));
        store.append_in(transaction, batch).await?;
        Ok(())
    }

    async fn call(&self, transaction: &Transaction<'_>) -> Result<(), Refusal> {
        let mut types: Vec<&str> = self.buckets.iter().map(|_| NOTE).collect();
        let mut bodies = self.bodies();
        if self.foreign {
            types.push(FOREIGN);
            bodies.push("{}".into());
        }
        transaction
            .execute(
                "select ermine.append($1, null, $2, $3::text[]::json[])",
                &[&self.stream, &types, &bodies],
            )
            .await?;
        Ok(())
    }

    async fn insert(&self, transaction: &Transaction<'_>) -> Result<(), Refusal> {
        let before = self.bump(transaction).await?;
        transaction
            .execute(
                "insert into ermine.events (version, id, stream_id, type, data) \
                 select $1 + u.nth, gen_random_uuid(), $2, $3, u.body::json \
                 from unnest($4::text[]) with ordinality as u(body, nth) order by u.nth",
                &[&before, &self.stream, &NOTE, &self.bodies()],
            )
            .await?;
        Ok(())
    }

    async fn copy(&self, transaction: &Transaction<'_>) -> Result<(), Refusal> {
        let before = self.bump(transaction).await?;
        let rows: String = (1_i64..)
            .zip(self.bodies())
            .map(|(nth, body)| {
                format!("{}\t{}\t{}\t{NOTE}\t{body}\n", before + nth, Uuid::new_v4(), self.stream)
            })
            .collect();
        let sink =
            transaction.copy_in("copy ermine.events (version, id, stream_id, type, data) from stdin").await?;
        let mut sink = std::pin::pin!(sink);
        sink.send(Cursor::new(rows.into_bytes())).await?;
        sink.finish().await?;
        Ok(())
    }

    /// Makes room in the stream, as everybody has to who inserts directly; its version before.
    async fn bump(&self, transaction: &Transaction<'_>) -> Result<i64, Refusal> {
        let count = i64::try_from(self.buckets.len()).expect("a handful of events");
        let row = transaction
            .query_one(
                "insert into ermine.streams as s (stream_id, version) values ($1, $2) \
                 on conflict (tenant, stream_id) do update set version = s.version + $2 returning s.version - $2",
                &[&self.stream, &count],
            )
            .await?;
        Ok(row.get(0))
    }

    fn bodies(&self) -> Vec<String> {
        self.buckets.iter().map(|bucket| NoteEvent::json(*bucket)).collect()
    }
}

//! Bookings of which some cannot be applied, and what has to come of them, by a plain fold.

use std::{
    collections::{BTreeMap, BTreeSet},
    marker::PhantomData,
};

use ermine::{
    core::{Body, ParkKey, Projected, Registered, TypeName, ViewKey},
    prelude::*,
    serde::de::{Deserializer, Error as _},
};

use crate::troubles::is_cured;

/// How many events are appended at once; those of a stream stand together.
const IN_A_BATCH: usize = 100;

/// How an event fails, until its reason is cured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Poison {
    Refused,
    Panics,
    Undecodable,
    Unknown,
    RefusedByStore,
}

/// What is booked; no event holds more.
#[derive(Clone, Debug, Deserialize)]
#[serde(crate = "ermine::serde")]
pub(super) struct Booking {
    #[serde(deserialize_with = "number")]
    pub(super) n: i64,
    pub(super) to: Vec<String>,
    pub(super) bad: i64,
    #[serde(default)]
    pub(super) why: Option<String>,
}

/// A number, or one with the reason why it is none yet.
#[derive(Deserialize)]
#[serde(crate = "ermine::serde", untagged)]
enum Number {
    Plain(i64),
    Odd(String),
}

fn number<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
    match Number::deserialize(from)? {
        Number::Plain(n) => Ok(n),
        Number::Odd(odd) => match odd.split_once(' ') {
            Some((n, why)) if is_cured(why) => n.parse().map_err(D::Error::custom),
            _ => Err(D::Error::custom(format!("\"{odd}\" is no number"))),
        },
    }
}

impl Serialize for Booking {
    fn serialize<S: ermine::serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        serde_json::json!({ "n": self.n, "to": self.to, "bad": self.bad }).serialize(to)
    }
}

/// Events with a booking.
pub(super) trait Books: DomainEvent {
    fn booking(&self) -> &Booking;
}

#[derive(DomainEvent)]
#[event(prefix = "entry")]
pub(super) enum Entry {
    Booked(Booking),
}

/// What a later release knows.
#[derive(DomainEvent)]
#[event(prefix = "entry")]
pub(super) enum LaterEntry {
    #[event(alias = "entry.gifted")]
    Booked(Booking),
}

impl Books for Entry {
    fn booking(&self) -> &Booking {
        let Self::Booked(booking) = self;
        booking
    }
}

impl Books for LaterEntry {
    fn booking(&self) -> &Booking {
        let Self::Booked(booking) = self;
        booking
    }
}

/// What is lost, doubled or overtaken shows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(crate = "ermine::serde")]
pub(super) struct Account {
    sum: i64,
    lines: Vec<String>,
}

impl Account {
    fn book(&mut self, n: i64, stream: &str, version: u64) {
        self.sum += n;
        self.lines.push(format!("{stream}@{version}"));
    }

    /// The same, whatever the order was.
    pub(super) fn unordered(mut self) -> Self {
        self.lines.sort();
        self
    }
}

#[derive(Serialize, Deserialize)]
#[serde(crate = "ermine::serde", bound = "")]
struct Ledger<E> {
    #[serde(flatten)]
    account: Account,
    #[serde(skip)]
    of: PhantomData<fn() -> E>,
}

impl<E: Books> Aggregate for Ledger<E> {
    type Event = E;

    fn evolve(ledger: Option<Self>, event: &Recorded<E>) -> Result<Option<Self>, ApplyError> {
        let booking = event.data().booking();
        match &booking.why {
            Some(why) if is_cured(why) => {}
            // As a panic does, without a trace of the stack for each.
            Some(why) if booking.n < 0 => std::panic::resume_unwind(Box::new(why.clone())),
            Some(why) => return Err(ApplyError::msg(why.clone())),
            None => {}
        }
        let mut ledger = ledger.unwrap_or_else(|| Self { account: Account::default(), of: PhantomData });
        ledger.account.book(booking.n, event.stream(), event.version().get());
        Ok(Some(ledger))
    }
}

/// The views by stream, and those by name, of which an event changes several.
pub(super) fn ledgers<E: Books>(letters: DeadLetters) -> Vec<Registered> {
    let by_name = multi_stream::<Ledger<E>, _, _>("ByName", |event| event.data().booking().to.clone());
    vec![
        single_stream::<Ledger<E>>("ByStream").dead_letters(letters).into(),
        by_name.dead_letters(letters).into(),
    ]
}

/// A row for each stream, in a table that the store can be told to keep clean.
pub(super) fn rows() -> Projected<FlatTable<Entry>> {
    flat_table::<Entry>("rows", "rows_for_sql")
        .column_or("sum", ColumnKind::Integer, 0)
        .column_or("bad", ColumnKind::Integer, 0)
        .on("entry.booked", |row| row.increment_from("sum", "n").increment_from("bad", "bad"))
}

/// A row as it is read.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(crate = "ermine::serde")]
pub(super) struct Row {
    sum: i64,
    pub(super) bad: i64,
}

/// The same numbers for the same seed.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `end`.
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let mixed = mixed ^ (mixed >> 31);
        usize::try_from(mixed % u64::try_from(end).unwrap()).unwrap()
    }
}

/// An event of the log.
#[derive(Clone, Debug)]
pub(super) struct Line {
    stream: String,
    version: u64,
    n: i64,
    to: Vec<String>,
    is_poison: bool,
    is_bad: bool,
    type_name: &'static str,
    pub(super) body: String,
}

impl Line {
    fn event(&self) -> NewEvent {
        NewEvent::new(TypeName::new(self.type_name).unwrap(), Body::from_json(self.body.clone()).unwrap())
    }

    fn by_stream(&self) -> Vec<String> {
        vec![self.stream.clone()]
    }

    fn by_name(&self) -> Vec<String> {
        self.to.clone()
    }
}

/// Everything that has been appended, in order: line number `n` is event `n + 1`.
#[derive(Debug)]
pub(super) struct Book {
    places: usize,
    versions: BTreeMap<String, u64>,
    pub(super) lines: Vec<Line>,
}

/// What becomes of a poison event, and of what comes after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Applied,
    Skipped,
    /// Later events of its views wait.
    ViewsWait,
    /// Later events of its stream wait.
    StreamWaits,
}

/// What is there when all of the book has gone by.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) accounts: BTreeMap<String, Account>,
    pub(super) rows: BTreeMap<String, Row>,
    /// Event and what waits behind it.
    pub(super) letters: BTreeSet<(u64, Option<ParkKey>)>,
    /// How many events wait, those with a letter among them.
    pub(super) parked: BTreeMap<ParkKey, u64>,
}

impl Book {
    /// An empty one, about so many streams, and as many names.
    pub(super) const fn new(places: usize) -> Self {
        Self { places, versions: BTreeMap::new(), lines: Vec::new() }
    }

    /// Adds events, of which `poisons` fail, somewhere among them.
    pub(super) fn write(
        &mut self,
        dice: &mut Dice,
        events: usize,
        poisons: usize,
        poison: Poison,
        why: &str,
    ) {
        let (mut left, before) = (poisons, self.lines.len());
        for nth in 0..events {
            let fails = dice.below(events - nth) < left;
            left -= usize::from(fails);
            self.add(dice, fails.then_some((poison, why)));
        }
        self.lines[before..]
            .chunks_mut(IN_A_BATCH)
            .for_each(|batch| batch.sort_by(|a, b| a.stream.cmp(&b.stream)));
    }

    /// What has been written since there were `before` lines, as it is to be appended.
    pub(super) fn batches(&self, before: usize) -> impl Iterator<Item = AppendBatch> {
        self.lines[before..].chunks(IN_A_BATCH).map(|lines| {
            let streams = lines.chunk_by(|a, b| a.stream == b.stream).map(|of| {
                StreamAppend::new(of[0].stream.parse().unwrap(), of.iter().map(Line::event).collect())
            });
            streams.fold(AppendBatch::new(), AppendBatch::stream)
        })
    }

    fn add(&mut self, dice: &mut Dice, poison: Option<(Poison, &str)>) {
        let stream = format!("s{}", dice.below(self.places));
        let mut to: Vec<String> =
            (0..=dice.below(2)).map(|_| format!("n{}", dice.below(self.places))).collect();
        to.sort();
        to.dedup();
        let mut n = i64::try_from(dice.below(1_000)).unwrap() + 1;
        let names = serde_json::to_string(&to).unwrap();
        let mut type_name = "entry.booked";
        let body = match poison {
            None => format!(r#"{{"n":{n},"to":{names},"bad":0}}"#),
            Some((Poison::Refused, why)) => {
                format!(r#"{{ "why": "{why}", "n":{n},  "to":{names}, "bad":0 }}"#)
            }
            Some((Poison::Panics, why)) => {
                n = -n;
                format!(r#"{{ "why": "{why}", "n":{n}, "to":{names},  "bad":0 }}"#)
            }
            Some((Poison::Undecodable, why)) => format!(r#"{{ "n" : "{n} {why}", "to":{names}, "bad":0}}"#),
            Some((Poison::Unknown, _)) => {
                type_name = "entry.gifted";
                format!(r#"{{"to":{names},"bad":0, "n": {n}}}"#)
            }
            Some((Poison::RefusedByStore, _)) => format!(r#"{{"n":{n},   "to":{names},"bad":1}}"#),
        };
        let version = self.versions.entry(stream.clone()).or_default();
        *version += 1;
        self.lines.push(Line {
            stream,
            version: *version,
            n,
            to,
            is_poison: poison.is_some(),
            is_bad: matches!(poison, Some((Poison::RefusedByStore, _))),
            type_name,
            body,
        });
    }

    pub(super) fn by_stream(&self, fate: Fate) -> Outcome {
        self.fold(fate, Line::by_stream)
    }

    pub(super) fn by_name(&self, fate: Fate) -> Outcome {
        self.fold(fate, Line::by_name)
    }

    fn fold(&self, fate: Fate, views: impl Fn(&Line) -> Vec<String>) -> Outcome {
        let mut outcome = Outcome::default();
        for (line, seq) in self.lines.iter().zip(1..) {
            match fate {
                Fate::Skipped if line.is_poison => drop(outcome.letters.insert((seq, None))),
                Fate::StreamWaits => {
                    let key =
                        ParkKey::Stream { tenant: TenantId::default(), stream: line.stream.parse().unwrap() };
                    if outcome.admits(line, seq, key) {
                        views(line).into_iter().for_each(|view| outcome.apply(line, view));
                    }
                }
                Fate::ViewsWait => {
                    for view in views(line) {
                        let key = ViewKey { tenant: TenantId::default(), id: view.parse().unwrap() };
                        if outcome.admits(line, seq, ParkKey::View(key)) {
                            outcome.apply(line, view);
                        }
                    }
                }
                Fate::Applied | Fate::Skipped => {
                    views(line).into_iter().for_each(|view| outcome.apply(line, view));
                }
            }
        }
        outcome
    }
}

impl Outcome {
    /// Whether the event goes on, and does not wait behind `key`.
    fn admits(&mut self, line: &Line, seq: u64, key: ParkKey) -> bool {
        if let Some(waiting) = self.parked.get_mut(&key) {
            *waiting += 1;
            return false;
        }
        if line.is_poison {
            self.letters.insert((seq, Some(key.clone())));
            self.parked.insert(key, 1);
        }
        !line.is_poison
    }

    fn apply(&mut self, line: &Line, view: String) {
        self.accounts.entry(view.clone()).or_default().book(line.n, &line.stream, line.version);
        let row = self.rows.entry(view).or_default();
        row.sum += line.n;
        row.bad += i64::from(line.is_bad);
    }
}

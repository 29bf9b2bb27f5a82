//! Many writers of all kinds at once, and what the projections make of it.

mod known_bad;
mod writer;

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use ermine::{
    Ermine,
    core::{DaemonMode, Position, Seq},
    postgres,
};
use ermine_testkit::pg::{OwnServer, Settings};
use known_bad::Reader;
pub use known_bad::Recipe;
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;
use writer::{Deeds, Writer};

use crate::trail::{self, Log};

/// What a run is like.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Decides everything that is left to chance, except how the writers interleave.
    pub seed: u64,
    /// How many write at the same time.
    pub writers: u64,
    /// For how long.
    pub lasts: Duration,
    /// The longest time that a transaction stays open after its last event.
    pub held_max: Duration,
    /// Every second spell of this length is calm: nobody holds transactions, and writers pause between them. Some
    /// readers only go wrong when at some moment nobody is appending.
    pub spell: Duration,
    /// Readers that are known to lose events; they run beside ours.
    pub known_bad: Vec<Recipe>,
    /// By how much the moment is widened in which they go wrong.
    pub window: Duration,
    /// How long the projections may take to catch up after the last commit.
    pub patience: Duration,
}

/// What a run came to.
#[derive(Debug)]
pub struct Report {
    plan: Plan,
    deeds: Deeds,
    /// Events in the log at the end.
    pub events: u64,
    /// Numbers that were drawn and never became an event.
    pub dead: u64,
    catch_up: Duration,
    /// How many events each known-bad reader missed.
    pub lost: BTreeMap<Recipe, u64>,
    /// What must not happen and did.
    pub violations: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan { seed, writers, lasts, held_max, .. } = &self.plan;
        writeln!(f, "seed {seed}, {writers} writers for {lasts:?}, transactions held up to {held_max:?}")?;
        write!(f, "{}", self.deeds)?;
        writeln!(f, "committed {} events, {} numbers died", self.events, self.dead)?;
        writeln!(f, "projections had caught up {:?} after the last writer, at the latest", self.catch_up)?;
        for (recipe, lost) in &self.lost {
            writeln!(f, "known bad, {recipe}: lost {lost} events")?;
        }
        for violation in &self.violations {
            writeln!(f, "VIOLATION: {violation}")?;
        }
        Ok(())
    }
}

/// Lets writers loose on a server of its own while two projections follow, and compares.
///
/// # Panics
///
/// When the server cannot be started or does not let the run set itself up.
pub async fn run(plan: &Plan) -> Report {
    let server = OwnServer::start(Settings::default()).await;
    let url = server.url("postgres");
    let store = postgres::Store::connect(url.as_str()).await.expect("the store opens");
    let ermine = trail::project(Ermine::with_store(Arc::new(store.clone())), "")
        .daemon(DaemonMode::Solo)
        .start()
        .await
        .unwrap_or_else(|err| panic!("the host starts: {err:?}"));
    let ermine = Arc::new(ermine);

    // A write transaction that has nothing to do with events holds back whoever goes by the oldest transaction.
    let unrelated = server.connect("postgres").await;
    unrelated
        .batch_execute("create table unrelated (n int); begin; insert into unrelated values (1)")
        .await
        .expect("an unrelated transaction");

    let stop = CancellationToken::new();
    let mut readers = JoinSet::new();
    for recipe in &plan.known_bad {
        let reader = Reader::new(*recipe, server.connect("postgres").await, plan.window).await;
        readers.spawn(reader.run(stop.clone()));
    }
    let until = Instant::now() + plan.lasts;
    let mut writers = JoinSet::new();
    for nth in 0..plan.writers {
        let client = server.connect("postgres").await;
        let writer = Writer::new(nth, plan, client, ermine.clone(), store.clone());
        writers.spawn(writer.run(until));
    }
    let deeds = writers.join_all().await.into_iter().fold(Deeds::default(), Deeds::and);

    let ended = Instant::now();
    let mut violations = deeds.violations.clone();
    let log = Log::read(&unrelated).await; // read committed, so it sees what is committed
    let last = Position::new(Seq::new(log.highest));
    if let Err(late) = ermine.wait_for_within(last, plan.patience).await {
        violations.push(late.chain());
    }
    let catch_up = ended.elapsed();
    violations.extend(log.compare(&ermine).await);
    violations.extend(check_counters(&ermine, &log).await);
    unrelated.batch_execute("commit").await.expect("the unrelated transaction ends");

    stop.cancel();
    let lost = readers
        .join_all()
        .await
        .into_iter()
        .map(|(recipe, seen)| (recipe, log.seqs.iter().filter(|seq| !seen.contains(seq)).count() as u64));
    let lost = lost.collect();
    let drawn = store_last_number(&unrelated).await;
    let ermine = Arc::into_inner(ermine).expect("all writers have ended");
    if let Err(err) = ermine.stop().await {
        violations.push(err.chain());
    }
    let events = log.seqs.len() as u64 + log.foreign;
    Report { plan: plan.clone(), deeds, events, dead: drawn - events, catch_up, lost, violations }
}

/// Events of unknown types are counted in the same transaction as the progress that passes them: exactly once too.
async fn check_counters(ermine: &Ermine, log: &Log) -> Vec<String> {
    let progress = ermine.progress().await.unwrap_or_else(|err| panic!("progress: {err:?}"));
    let wrong = progress.iter().filter(|p| p.unknown_events != log.foreign);
    wrong
        .map(|p| {
            format!("{} counted {} events of unknown types of {}", p.shard, p.unknown_events, log.foreign)
        })
        .collect()
}

async fn store_last_number(client: &tokio_postgres::Client) -> u64 {
    let row = client.query_one("select last_value from ermine.events_seq_seq", &[]).await;
    u64::try_from(row.expect("the sequence can be read").get::<_, i64>(0)).expect("numbers are positive")
}

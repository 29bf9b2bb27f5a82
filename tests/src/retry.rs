//! A process that is killed in the middle of applying dead letters again.

use std::{
    env, fmt,
    num::NonZeroUsize,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use ermine::{
    Ermine, ErmineBuilder,
    core::ports::DeadLetterStore,
    core::{
        Aggregate, ApplyError, DaemonMode, DeadLetters, DomainEvent, ErrorKind, LetterQuery, LetterStatus,
        Position, Recorded, Seq, ShardName, StreamId, TenantId, Version, single_stream,
    },
};
use ermine_testkit::eventually;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde::{Deserialize, Serialize};

use crate::{
    crash::{Application, Child},
    trail::Trail,
};

const URL: &str = "ERMINE_TESTS_RETRY_URL";
const UP_TO: &str = "ERMINE_TESTS_RETRY_UP_TO";
const DEADLINE: Duration = Duration::from_secs(90);
/// How many events wait behind the letter of a round.
const WAITING: u64 = 500;
/// How long an event takes to be applied in the process that is killed: all that wait take about a second.
const SLOW: Duration = Duration::from_millis(2);

/// Whether this process accepts what was refused before.
static IS_MENDED: AtomicBool = AtomicBool::new(false);

/// What a run is like.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Decides when the process is killed.
    pub seed: u64,
    /// How many letters are retried, each in the end with success.
    pub rounds: u64,
    /// The store: a file, or a database that nobody else uses.
    pub url: String,
    /// How to start the process that is killed.
    pub application: Application,
}

/// What a run came to.
#[derive(Debug, Default)]
pub struct Report {
    seed: u64,
    /// How often a process was killed, and how many events were waiting then.
    pub kills: Vec<u64>,
    /// What must not happen and did.
    pub violations: Vec<String>,
}

impl Report {
    /// How many kills found some of the events applied, and some not.
    #[must_use]
    pub fn in_the_middle(&self) -> usize {
        self.kills.iter().filter(|left| (1..=WAITING).contains(*left)).count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}", self.seed)?;
        writeln!(f, "killed with so many events waiting: {:?}", self.kills)?;
        for violation in &self.violations {
            writeln!(f, "VIOLATION: {violation}")?;
        }
        Ok(())
    }
}

/// Something that was refused once, or not.
#[derive(Debug, DomainEvent)]
#[event(prefix = "retry")]
enum Step {
    Taken,
    Refused,
}

/// What was applied of a stream.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
struct Walk(Trail);

impl Aggregate for Walk {
    type Event = Step;

    fn evolve(walk: Option<Self>, event: &Recorded<Step>) -> Result<Option<Self>, ApplyError> {
        let is_mended = IS_MENDED.load(Ordering::Relaxed);
        if matches!(event.data(), Step::Refused) && !is_mended {
            return Err(ApplyError::msg("not yet"));
        }
        if is_mended {
            thread::sleep(SLOW); // user code that takes its time
        }
        Ok(Some(Self(Trail::with(walk.map(|it| it.0), event))))
    }
}

fn project(url: &str) -> ErmineBuilder {
    Ermine::open(url).project(single_stream::<Walk>("Walk").dead_letters(DeadLetters::park()))
}

fn shard() -> ShardName {
    "Walk:All".parse().expect("the name of a shard")
}

/// Has letters retried by a process that is killed again and again, and compares what comes of it with the log.
///
/// # Panics
///
/// When store or process cannot be started, or a process that is not killed does not get done.
pub async fn run(plan: &Plan) -> Report {
    let mut run = Run {
        plan,
        rng: StdRng::seed_from_u64(plan.seed),
        reader: start(project(&plan.url)).await,
        report: Report { seed: plan.seed, ..Report::default() },
    };
    for nth in 0..plan.rounds {
        run.round(StreamId::new(format!("walk-{nth}")).expect("a stream's name")).await;
    }
    run.report
}

/// Does the duty of the process that is killed when this process was started for it; false when it was not.
///
/// # Panics
///
/// When something fails.
pub async fn enter() -> bool {
    let Ok(url) = env::var(URL) else { return false };
    let up_to = env::var(UP_TO).expect("whoever starts it says how far").parse().expect("a number");
    IS_MENDED.store(true, Ordering::Relaxed);
    let host = start(project(&url).daemon(DaemonMode::Solo)).await;
    let letters = host.dead_letters().unwrap_or_else(|err| panic!("letters: {err:?}"));
    match letters.retry(LetterQuery::default(), "a test").await {
        Ok(retry) => drop(retry.run(DEADLINE).await.unwrap_or_else(|err| panic!("the retry: {err:?}"))),
        // The one that was killed before has asked already.
        Err(err) if *err.kind() == ErrorKind::NotFound => {}
        Err(err) => panic!("the retry: {err:?}"),
    }
    eventually(DEADLINE, || async { left(&host).await == 0 }).await;
    let position = Position::new(Seq::new(up_to));
    host.wait_for_within(position, DEADLINE).await.unwrap_or_else(|err| panic!("{err:?}"));
    host.stop().await.unwrap_or_else(|err| panic!("stopping: {err:?}"));
    true
}

async fn start(builder: ErmineBuilder) -> Ermine {
    builder.start().await.unwrap_or_else(|err| panic!("a host starts: {err:?}"))
}

fn letters(host: &Ermine) -> &dyn DeadLetterStore {
    host.store().dead_letters().expect("the store keeps letters")
}

/// How many events wait, the refused ones included.
async fn left(host: &Ermine) -> u64 {
    let keys = letters(host).parked_keys(&shard()).await.unwrap_or_else(|err| panic!("{err:?}"));
    keys.into_iter().map(|(_, events)| events).sum()
}

struct Run<'p> {
    plan: &'p Plan,
    rng: StdRng,
    /// Looks and appends, and runs nothing.
    reader: Ermine,
    report: Report,
}

impl Run<'_> {
    async fn round(&mut self, stream: StreamId) {
        self.refuse(&stream).await;
        for _ in 0..self.rng.random_range(1..4) {
            let mut child = self.start_process().await;
            self.some_moment().await;
            self.append(&stream, 3).await; // these wait as well, or not any more
            child.kill();
            self.report.kills.push(left(&self.reader).await);
        }
        self.append(&stream, 3).await;
        self.start_process().await.wait(DEADLINE).await;
        self.compare(&stream).await;
    }

    /// Leaves a letter with events behind it.
    async fn refuse(&self, stream: &StreamId) {
        let host = start(project(&self.plan.url).daemon(DaemonMode::Solo)).await;
        self.append(stream, 5).await;
        self.append_steps(stream, vec![Step::Refused]).await;
        let last = self.append(stream, WAITING).await;
        host.wait_for_within(last, DEADLINE).await.unwrap_or_else(|err| panic!("{err:?}"));
        host.stop().await.unwrap_or_else(|err| panic!("stopping: {err:?}"));
        assert_eq!(left(&self.reader).await, WAITING + 1, "what was refused, and what waits behind it");
    }

    async fn append(&self, stream: &StreamId, events: u64) -> Position {
        self.append_steps(stream, (0..events).map(|_| Step::Taken).collect()).await
    }

    async fn append_steps(&self, stream: &StreamId, steps: Vec<Step>) -> Position {
        let appended = self.reader.append(stream.clone(), steps).await;
        appended.unwrap_or_else(|err| panic!("an append: {err:?}")).position()
    }

    /// A process that retries; it is at it when this returns.
    async fn start_process(&self) -> Child {
        let last = self.reader.statistics().await.unwrap_or_else(|err| panic!("{err:?}")).highest;
        let variables = [(URL, self.plan.url.clone()), (UP_TO, last.get().to_string())];
        let child = self.plan.application.start_with(&variables);
        let asked = LetterQuery { statuses: LetterStatus::REQUESTED.to_vec(), ..LetterQuery::default() };
        eventually(DEADLINE, || async {
            let asked = letters(&self.reader).count_letters(asked.clone()).await;
            asked.is_ok_and(|asked| asked > 0) || left(&self.reader).await == 0
        })
        .await;
        child
    }

    /// Somewhere in the middle of it, or after a part of it has been committed.
    async fn some_moment(&mut self) {
        if self.rng.random_bool(0.5) {
            let before = left(&self.reader).await;
            eventually(DEADLINE, || async { before == 0 || left(&self.reader).await < before }).await;
        }
        tokio::time::sleep(self.rng.random_range(Duration::ZERO..Duration::from_millis(400))).await;
    }

    async fn compare(&mut self, stream: &StreamId) {
        let all = NonZeroUsize::new(10_000).expect("not 0");
        let events = self.reader.store().read_stream(&TenantId::default(), stream, Version::ZERO, all).await;
        let events = events.unwrap_or_else(|err| panic!("reading a stream: {err:?}"));
        let wanted = events
            .iter()
            .fold(Trail::default(), |trail, event| trail.then(event.seq.get(), event.version.get()));
        let view = self.reader.load::<Walk>(stream.as_str()).await.unwrap_or_else(|err| panic!("{err:?}"));
        if view.as_ref().map(|walk| &walk.0) != Some(&wanted) {
            self.report.violations.push(format!("{stream}: {wanted:?} in the log, and in the view {view:?}"));
        }
        let query = LetterQuery { stream: Some(stream.clone()), ..LetterQuery::default() };
        let found = letters(&self.reader).letters(query).await.unwrap_or_else(|err| panic!("{err:?}"));
        let states: Vec<LetterStatus> = found.iter().map(|letter| letter.state.status()).collect();
        if states != [LetterStatus::Replayed] {
            self.report.violations.push(format!("{stream}: the states of its letters are {states:?}"));
        }
    }
}

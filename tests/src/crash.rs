//! Crashes of the server and of the application at random moments, and what is left afterwards.

mod application;
mod writers;

use std::{collections::BTreeSet, fmt, sync::Arc, time::Duration};

pub(crate) use application::Child;
use application::Duty;
pub use application::{Application, enter};
use ermine::{
    Ermine,
    core::{DaemonMode, Seq, ShardName},
    daemon::ShardState,
};
use ermine_testkit::{
    eventually,
    pg::{OwnServer, OwnedClient, Settings, Stop},
};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use tokio::time::Instant;
use uuid::Uuid;
use writers::Writers;

use crate::trail::{self, Log};

/// Recovery on a machine that is busy compiling.
const DEADLINE: Duration = Duration::from_secs(90);

/// What a run is like.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Decides what is struck, and when.
    pub seed: u64,
    /// How many crashes.
    pub rounds: u64,
    /// How to start the application that is killed.
    pub application: Application,
}

/// What is struck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blow {
    /// kill -9 of one backend, after which the server ends all the others and recovers.
    Backend,
    /// `pg_ctl stop -m immediate`, and a start.
    Server,
    /// kill -9 of the application.
    Application,
}

impl Blow {
    const ALL: [Self; 3] = [Self::Backend, Self::Server, Self::Application];
}

/// One crash, and what came of it.
#[derive(Debug)]
pub struct Round {
    blow: Blow,
    synchronous_commit: bool,
    acknowledged: usize,
    vanished: usize,
    events: usize,
    highest: u64,
    recovered: Duration,
    settled: Duration,
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { blow, synchronous_commit, acknowledged, vanished, events, highest, recovered, settled } =
            self;
        let synchronous_commit = if *synchronous_commit { "on" } else { "off" };
        write!(
            f,
            "{blow:?}, synchronous_commit {synchronous_commit}: {acknowledged} events acknowledged, {vanished} of them \
             vanished, {events} events up to number {highest}, a new event was applied {recovered:?} after the server was \
             back, all were after {settled:?}"
        )
    }
}

/// What a run came to.
#[derive(Debug)]
pub struct Report {
    seed: u64,
    /// Every crash.
    pub rounds: Vec<Round>,
    /// What must not happen and did.
    pub violations: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}", self.seed)?;
        for (nth, round) in self.rounds.iter().enumerate() {
            writeln!(f, "round {}: {round}", nth + 1)?;
        }
        for violation in &self.violations {
            writeln!(f, "VIOLATION: {violation}")?;
        }
        Ok(())
    }
}

/// Crashes a server, and an application on it, again and again. One host lives through all of it and has to go on by
/// itself; the other one is the application, which starts again after each round. Both run projections of their own.
///
/// # Panics
///
/// When the server or the application cannot be started.
pub async fn run(plan: &Plan) -> Report {
    let server = OwnServer::start(Settings { fsync: true, ..Settings::default() }).await;
    let survivor = trail::project(Ermine::open(server.url("postgres")), "Survivor").daemon(DaemonMode::Solo);
    let survivor = survivor.start().await.unwrap_or_else(|err| panic!("the survivor starts: {err:?}"));
    let application = application::project(Ermine::open(server.url("postgres"))).start().await;
    let mut run = Run {
        rng: StdRng::seed_from_u64(plan.seed),
        command: plan.application.clone(),
        survivor: Arc::new(survivor),
        reader: application.unwrap_or_else(|err| panic!("the reader starts: {err:?}")),
        server,
        violations: Vec::new(),
    };
    let mut rounds = Vec::new();
    let first = run.rng.random_range(0..3);
    for nth in 0..plan.rounds {
        let blow = Blow::ALL[usize::try_from((nth + first) % 3).expect("below 3")];
        rounds.push(run.round(blow, nth % 2 == 0).await);
        if !run.violations.is_empty() {
            break; // what comes after is only more of it
        }
    }
    Report { seed: plan.seed, rounds, violations: run.violations }
}

struct Run {
    rng: StdRng,
    command: Application,
    server: OwnServer,
    /// Lives through everything.
    survivor: Arc<Ermine>,
    /// Looks at the application's views, and runs nothing.
    reader: Ermine,
    violations: Vec<String>,
}

impl Run {
    async fn round(&mut self, blow: Blow, synchronous_commit: bool) -> Round {
        self.set_synchronous_commit(synchronous_commit).await;
        let writers = Writers::start(&self.survivor);
        let mut child = self.start_application(Duty::Write);
        let before = self.stored().await.unwrap_or_default();
        self.reaches(before + 100, "before the crash").await;
        self.random_moment().await;

        self.strike(blow, &mut child).await;
        let back = Instant::now();
        if blow == Blow::Application {
            child = self.start_application(Duty::Write);
        }
        // Numbers may have gone back, so only what is appended from now on counts.
        let fresh = self.append_one().await;
        self.reaches(fresh, "after the crash").await;
        let recovered = back.elapsed();
        self.reaches(fresh + 100, "after the crash").await;
        self.random_moment().await;

        child.kill();
        let acknowledged = writers.stop().await;
        self.wait_until_application_is_gone().await;
        let client = self.server.connect("postgres").await;
        let quiet = Instant::now();
        let log = Log::read(&client).await;
        self.reaches(log.highest, "when all writers had ended").await;
        let settled = quiet.elapsed();
        self.start_application(Duty::CatchUp { to: log.highest }).wait(DEADLINE).await;
        let vanished = self.compare(&log, &acknowledged, synchronous_commit).await;
        Round {
            blow,
            synchronous_commit,
            acknowledged: acknowledged.len(),
            vanished,
            events: log.seqs.len(),
            highest: log.highest,
            recovered,
            settled,
        }
    }

    fn start_application(&self, duty: Duty) -> Child {
        self.command.start(&self.server.url("postgres"), duty)
    }

    async fn set_synchronous_commit(&self, on: bool) {
        let on = if on { "on" } else { "off" };
        let client = self.server.connect("postgres").await;
        let set = client.batch_execute(&format!("alter system set synchronous_commit = {on}")).await;
        set.expect("a superuser may set it");
        client.batch_execute("select pg_reload_conf()").await.expect("a superuser may reload");
    }

    async fn strike(&mut self, blow: Blow, child: &mut Child) {
        match blow {
            Blow::Application => child.kill(),
            Blow::Server => {
                self.server.stop(Stop::Immediate).await;
                self.server.start_again().await;
            }
            Blow::Backend => {
                let client = self.server.connect("postgres").await;
                let victims = backends(&client).await;
                let victim = *victims.choose(&mut self.rng).expect("somebody is connected");
                self.server.kill_backend_9(victim);
                // The crash has been noticed when it has reached this session.
                eventually(DEADLINE, || async { client.is_closed() }).await;
                self.server.wait_until_ready().await;
            }
        }
    }

    /// Somewhere in the middle of whatever writers and projections are doing.
    async fn random_moment(&mut self) {
        tokio::time::sleep(self.rng.random_range(Duration::ZERO..Duration::from_millis(500))).await;
    }

    /// How far the survivor has come, by what is stored: what it remembers may have vanished with the crash.
    async fn stored(&self) -> ermine::Result<u64> {
        let mine: Vec<ShardName> = self.survivor.status().into_iter().map(|s| s.shard).collect();
        let progress = self.survivor.progress().await?;
        let least = progress.iter().filter(|p| mine.contains(&p.shard)).map(|p| p.seq.get()).min();
        Ok(least.unwrap_or_default())
    }

    async fn reaches(&self, seq: u64, when: &str) {
        eventually(DEADLINE, || async {
            let stored = self.stored().await.map_err(|err| err.chain())?;
            if stored >= seq {
                return Ok(());
            }
            let status = self.survivor.status();
            Err(format!("{when}: at {stored} and not at {seq} yet: {}, {}", status[0], status[1]))
        })
        .await;
    }

    /// An event that is appended after the crash for certain.
    async fn append_one(&self) -> u64 {
        let sql = "select ermine.append('after-the-crash', null, array['note.noted'], array['{\"bucket\":0}'::json])";
        let client = self.server.connect("postgres").await;
        let row = client.query_one(sql, &[]).await.expect("the server is back");
        Seq::from_i64(row.get(0)).get()
    }

    /// The last statement of a session whose client was killed may still be running.
    async fn wait_until_application_is_gone(&self) {
        let client = self.server.connect("postgres").await;
        eventually(DEADLINE, || async {
            let sql = "select count(*) from pg_stat_activity where application_name = $1";
            client.query_one(sql, &[&application::NAME]).await.is_ok_and(|row| row.get::<_, i64>(0) == 0)
        })
        .await;
    }

    async fn compare(&mut self, log: &Log, acknowledged: &[Uuid], durable: bool) -> usize {
        let hosts: [(&str, &Ermine); 2] = [
            ("the host that lived through it", &self.survivor),
            ("the application that was killed", &self.reader),
        ];
        for (name, host) in hosts {
            let wrong = log.compare(host).await;
            self.violations.extend(wrong.into_iter().map(|it| format!("{name}: {it}")));
        }
        for status in self.survivor.status() {
            if status.state != ShardState::Running {
                self.violations.push(format!("the host that lived through it does not go on: {status}"));
            }
        }
        let known: BTreeSet<&Uuid> = log.ids.iter().collect();
        let vanished = acknowledged.iter().filter(|id| !known.contains(id)).count();
        if durable && vanished > 0 {
            self.violations
                .push(format!("{vanished} acknowledged events vanished although commits were synchronous"));
        }
        vanished
    }
}

async fn backends(client: &OwnedClient) -> Vec<i32> {
    let sql =
        "select pid from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()";
    client.query(sql, &[]).await.expect("a superuser sees them").iter().map(|row| row.get(0)).collect()
}

//! Everything that can go wrong between a daemon and its server, in any order, while appends go on.

mod blow;
mod disk;
mod projections;
mod writers;

use std::{fmt, sync::Arc, time::Duration};

pub use blow::Blow;
use blow::{Victim, connect};
pub use disk::{Full, fill_disk};
use ermine::{
    Ermine,
    core::DaemonMode,
    daemon::{Settings as DaemonSettings, ShardState},
    postgres,
};
use ermine_testkit::{
    Fault, Proxy, Way, becomes,
    pg::{OwnServer, Settings},
};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};
use tokio::time::{Instant, sleep, timeout};
use writers::Writers;

/// How soon after the last fault every shard runs and has applied what there was.
pub const PROMISE: Duration = Duration::from_secs(10);
/// What takes no longer unless something is stuck.
const DEADLINE: Duration = Duration::from_secs(60);
const SWEEP: Duration = Duration::from_secs(35);
const APPLICATION: &str = "ermine-chaos";
const POOL: u32 = 6;
/// The calm between two faults.
const CALM: std::ops::Range<Duration> = Duration::from_millis(100)..Duration::from_millis(1_500);

/// What a run is like.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Decides what goes wrong, when, and for how long.
    pub seed: u64,
    /// How long new faults begin.
    pub lasts: Duration,
    /// How long one fault lasts at most.
    pub fault_max: Duration,
    /// How long all connections are taken by somebody else.
    pub hogged: Duration,
    /// After how many faults at most it is looked whether all is well.
    pub bout_max: usize,
}

/// What a run came to.
#[derive(Debug)]
pub struct Report {
    seed: u64,
    /// What went wrong, when, and how soon all was well again after the last of a bout.
    pub story: Vec<String>,
    /// How many faults there were.
    pub faults: usize,
    /// How many events the log holds.
    pub events: usize,
    /// How many of them were poison.
    pub poison: u64,
    /// What must not happen and did.
    pub violations: Vec<String>,
}

impl Report {
    const fn new(seed: u64) -> Self {
        Self { seed, story: Vec::new(), faults: 0, events: 0, poison: 0, violations: Vec::new() }
    }

    /// Said at once as well: a run that hangs has to be understood too.
    fn tell(&mut self, line: String) {
        eprintln!("{line}");
        self.story.push(line);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}", self.seed)?;
        for line in &self.story {
            writeln!(f, "{line}")?;
        }
        writeln!(f, "{} faults, {} events, {} of them poison", self.faults, self.events, self.poison)?;
        for violation in &self.violations {
            writeln!(f, "VIOLATION: {violation}")?;
        }
        Ok(())
    }
}

/// Runs a daemon with projections of every kind against a server behind a proxy, and lets things go wrong.
///
/// # Panics
///
/// When server or host cannot be started, or the server does not come back.
pub async fn run(plan: &Plan) -> Report {
    eprintln!("chaos with seed {}", plan.seed);
    let mut report = Report::new(plan.seed);
    let mut server = start_server().await;
    let proxy = Proxy::start(server.address()).await;
    let tasks_before = tasks();
    let host = Arc::new(start_host(&proxy).await);
    let writers = Writers::start(&server.url("postgres"), &host);

    storm(plan, &mut server, &proxy, &host, &mut report).await;

    let acknowledged = writers.stop().await;
    settle(&server, &host, &acknowledged, &mut report).await;
    if let Err(leak) = becomes(PROMISE, || sessions(&server, i64::from(POOL) + 1)).await {
        report.violations.push(leak);
    }
    end(&server, host, tasks_before, &mut report).await;
    report
}

/// Stops a daemon while nothing gets through to its server.
///
/// # Panics
///
/// When server or host cannot be started.
pub async fn stop_in_a_black_hole() -> Report {
    let mut report = Report::new(0);
    let server = start_server().await;
    let proxy = Proxy::start(server.address()).await;
    let tasks_before = tasks();
    let host = Arc::new(start_host(&proxy).await);
    let writers = Writers::start(&server.url("postgres"), &host);
    if let Err(missing) = is_well(&server, &host, DEADLINE).await {
        report.violations.push(missing);
    }
    proxy.strike(Fault::BlackHole(Way::Both));
    sleep(Duration::from_millis(200)).await;
    writers.stop().await;
    stop(host, &mut report).await;
    proxy.pass();
    nothing_is_left(&server, tasks_before, &mut report).await;
    report
}

async fn start_server() -> OwnServer {
    let extra = [
        ("max_connections", "40"),
        ("synchronous_commit", "on"),
        ("deadlock_timeout", "50ms"),
        ("max_prepared_transactions", "0"),
    ];
    let server = OwnServer::start(Settings { extra: &extra, ..Settings::default() }).await;
    projections::prepare(&server.connect("postgres").await).await;
    server
}

async fn start_host(proxy: &Proxy) -> Ermine {
    let store = postgres::Store::builder(proxy.url("postgres"))
        .application_name(APPLICATION)
        .pool_size(POOL)
        .statement_timeout(Duration::from_secs(2))
        .connect_timeout(Duration::from_secs(2));
    let store = store.connect().await.unwrap_or_else(|err| panic!("the store opens: {err:?}"));
    let mut settings = DaemonSettings::default();
    settings.call_deadline = Duration::from_secs(2);
    settings.drain_deadline = Duration::from_secs(3);
    settings.retry_max = Duration::from_millis(500);
    settings.fenced_retry = Duration::from_secs(1);
    settings.stuck_after = Duration::from_secs(10);
    settings.check_every = Duration::from_secs(5);
    // A shard that is paused as if an event were to blame must not come back by itself in time.
    settings.pause_first = Duration::from_secs(300);
    let builder = projections::project(Ermine::with_store(Arc::new(store))).daemon(DaemonMode::Solo);
    builder.settings(settings).start().await.unwrap_or_else(|err| panic!("the host starts: {err:?}"))
}

/// Lets things go wrong, and looks now and then whether the daemon has gone on.
async fn storm(plan: &Plan, server: &mut OwnServer, proxy: &Proxy, host: &Ermine, report: &mut Report) {
    let mut rng = StdRng::seed_from_u64(plan.seed);
    let began = Instant::now();
    let mut deck: Vec<Blow> = Vec::new();
    if let Err(missing) = is_well(server, host, DEADLINE).await {
        report.violations.push(format!("before anything went wrong: {missing}"));
    }
    while began.elapsed() < plan.lasts && report.violations.is_empty() {
        for _ in 0..rng.random_range(1..=plan.bout_max) {
            if deck.is_empty() {
                deck = Blow::deck(&mut rng);
                deck.shuffle(&mut rng);
            }
            let Some(blow) = deck.pop().filter(|_| began.elapsed() < plan.lasts) else { break };
            sleep(rng.random_range(CALM)).await;
            let lasts = match blow {
                Blow::TooManyConnections => plan.hogged,
                _ => rng.random_range(plan.fault_max / 8..plan.fault_max),
            };
            report.tell(format!("{:>7.1} s: {blow}, {lasts:.1?}", began.elapsed().as_secs_f64()));
            let mut victim = Victim { server: &mut *server, proxy, application: APPLICATION };
            blow.fall(&mut victim, lasts, &mut rng).await;
            report.faults += 1;
        }
        let over = Instant::now();
        match is_well(server, host, PROMISE).await {
            Ok(()) => report.tell(format!("           all is well after {:.1?}", over.elapsed())),
            Err(missing) => report.violations.push(format!(
                "{PROMISE:?} after the last fault, {:.1} s: {missing}",
                began.elapsed().as_secs_f64()
            )),
        }
    }
}

/// Every shard runs, and has applied all that is in the log now.
async fn is_well(server: &OwnServer, host: &Ermine, within: Duration) -> Result<(), String> {
    let client = connect(server).await;
    let last = client.query_one("select coalesce(max(seq), 0) from ermine.events", &[]).await;
    let last = ermine::core::Seq::from_i64(last.map_err(|err| err.to_string())?.get(0));
    let handle = host.daemon().expect("it runs a daemon");
    becomes(within, || async {
        let behind: Vec<String> = handle
            .status()
            .into_iter()
            .filter(|status| status.state != ShardState::Running || status.progress < last)
            .map(|status| status.to_string())
            .collect();
        if behind.is_empty() {
            return Ok(());
        }
        let mark = handle.mark().map(|mark| mark.seq);
        Err(format!("not at {last} yet: {}; the mark is {mark:?}, {:?}", behind.join("; "), handle.trouble()))
    })
    .await
}

/// Compares everything with the log when nobody appends any more.
async fn settle(server: &OwnServer, host: &Ermine, acknowledged: &[u64], report: &mut Report) {
    if let Err(missing) = is_well(server, host, DEADLINE).await {
        report.violations.push(format!("all is quiet, and still: {missing}"));
    }
    let (log, wrong) = projections::compare(&connect(server).await, host).await;
    (report.events, report.poison) = (log.seqs.len(), log.foreign);
    report.violations.extend(wrong);
    let vanished = acknowledged.iter().filter(|seq| !log.numbers.contains(seq)).count();
    if vanished > 0 {
        report.violations.push(format!("{vanished} acknowledged events are not in the log"));
    }
}

async fn end(server: &OwnServer, host: Arc<Ermine>, tasks_before: usize, report: &mut Report) {
    stop(host, report).await;
    nothing_is_left(server, tasks_before, report).await;
}

async fn stop(host: Arc<Ermine>, report: &mut Report) {
    let Some(host) = Arc::into_inner(host) else {
        return report.violations.push("somebody still holds the host".to_owned());
    };
    match timeout(PROMISE, host.stop()).await {
        Ok(Ok(())) => {}
        Ok(Err(err)) => report.violations.push(format!("stopping failed: {}", err.chain())),
        Err(_) => report.violations.push(format!("the daemon has not stopped within {PROMISE:?}")),
    }
}

async fn nothing_is_left(server: &OwnServer, tasks_before: usize, report: &mut Report) {
    if let Err(leak) = becomes(PROMISE, || sessions(server, 0)).await {
        report.violations.push(format!("after the end: {leak}"));
    }
    // The sweeper of a pool finds out only at its next turn that the pool has ended.
    let left = becomes(SWEEP, || async {
        let left = tasks();
        if left <= tasks_before { Ok(()) } else { Err(format!("{left} tasks, and {tasks_before} before")) }
    });
    if let Err(leak) = left.await {
        report.violations.push(format!("after the end: {leak}"));
    }
}

fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

async fn sessions(server: &OwnServer, allowed: i64) -> Result<(), String> {
    let sql = "select count(*), coalesce(string_agg(format('%s: %s', state, query), '; '), '')
         from pg_stat_activity where application_name = $1";
    let row = connect(server).await.query_one(sql, &[&APPLICATION]).await.map_err(|err| err.to_string())?;
    let (open, what): (i64, String) = (row.get(0), row.get(1));
    if open <= allowed { Ok(()) } else { Err(format!("{open} sessions and not {allowed}: {what}")) }
}

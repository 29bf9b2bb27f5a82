//! Catching up in a process of its own, so that its memory and its processor time are its own.

use std::{
    env,
    num::NonZeroUsize,
    process::Stdio,
    str::FromStr,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, ensure};
use clap::Args;
use ermine::{ErmineBuilder, daemon::Settings, prelude::*};
use ermine_testkit::pg::OwnedClient;
use tokio::process::Command;

use crate::{
    trips::{self, Sum, Trip, TripEvent},
    usage,
};

/// Settings of the engine to try; the defaults where they are left out.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Tuning {
    /// The engine's `page_events_max`
    #[arg(long, value_name = "EVENTS")]
    page_events: Option<NonZeroUsize>,
    /// The engine's `in_flight_events_max`
    #[arg(long, value_name = "EVENTS")]
    in_flight_events: Option<usize>,
    /// The engine's `fold_threads`
    #[arg(long, value_name = "N")]
    fold_threads: Option<NonZeroUsize>,
    /// The engine's `cache_bytes_max`
    #[arg(long, value_name = "BYTES")]
    cache_bytes: Option<usize>,
}

impl Tuning {
    pub(crate) fn settings(&self) -> Settings {
        let mut settings = Settings::default();
        settings.page_events_max = self.page_events.unwrap_or(settings.page_events_max);
        settings.in_flight_events_max = self.in_flight_events.unwrap_or(settings.in_flight_events_max);
        settings.fold_threads = self.fold_threads.unwrap_or(settings.fold_threads);
        settings.cache_bytes_max = self.cache_bytes.unwrap_or(settings.cache_bytes_max);
        settings
    }

    fn to_args(&self) -> Vec<String> {
        let page = self.page_events.map(|n| format!("--page-events={n}"));
        let in_flight = self.in_flight_events.map(|n| format!("--in-flight-events={n}"));
        let threads = self.fold_threads.map(|n| format!("--fold-threads={n}"));
        let cache = self.cache_bytes.map(|n| format!("--cache-bytes={n}"));
        [page, in_flight, threads, cache].into_iter().flatten().collect()
    }
}

/// Which projections catch up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Set {
    /// One view per trip.
    One,
    /// That and as many as make this number, which take one type of event each and have a tenth of the views.
    Partial(u32),
    /// This many copies of the one.
    Copies(u32),
}

impl Set {
    fn register(self, builder: ErmineBuilder) -> ErmineBuilder {
        let one = || single_stream::<Trip>(trips::PROJECTION);
        let builder = builder.project(one());
        match self {
            Self::One => builder,
            Self::Copies(n) => {
                (2..=n).fold(builder, |builder, version| builder.project(one().version(version)))
            }
            Self::Partial(n) => (1..n).fold(builder, |builder, nth| {
                let wanted = TripEvent::TYPES[nth as usize % TripEvent::TYPES.len()];
                builder.project(multi_stream::<Sum, _, _>(format!("Part{nth}"), Sum::view_of).only([wanted]))
            }),
        }
    }
}

impl std::fmt::Display for Set {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::One => f.write_str("1 projection"),
            Self::Partial(n) => write!(f, "{n} projections, {} of them partial", n - 1),
            Self::Copies(n) => write!(f, "{n} full copies"),
        }
    }
}

/// As the benchmark hands it to its child: `one`, `partial-10`, `copies-10`.
impl FromStr for Set {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once('-') {
            None if text == "one" => Ok(Self::One),
            Some(("partial", n)) => Ok(Self::Partial(n.parse()?)),
            Some(("copies", n)) => Ok(Self::Copies(n.parse()?)),
            _ => Err(anyhow!("\"{text}\" is no set of projections")),
        }
    }
}

impl Set {
    fn to_arg(self) -> String {
        match self {
            Self::One => "one".to_owned(),
            Self::Partial(n) => format!("partial-{n}"),
            Self::Copies(n) => format!("copies-{n}"),
        }
    }
}

/// What catching up took.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CaughtUp {
    pub(crate) seconds: f64,
    pub(crate) pages_read: u64,
    pub(crate) peak_kib: Option<u64>,
    /// Processor time of this process.
    pub(crate) client_cpu: Option<f64>,
    /// Processor time of its sessions on the server: the busiest two read pages and write views.
    pub(crate) sessions_cpu: Vec<f64>,
}

/// Catches up with the store at `url` in a process of its own.
pub(crate) async fn start(url: &str, set: Set, tuning: &Tuning) -> Result<CaughtUp> {
    let program = env::current_exe().context("this program has no path")?;
    let mut command = Command::new(program);
    command.arg("--catch-up").arg(url).arg("--set").arg(set.to_arg()).args(tuning.to_args());
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).kill_on_drop(true).output().await?;
    ensure!(output.status.success(), "catching up failed: {}", output.status);
    serde_json::from_slice(&output.stdout).context("reading what catching up took")
}

/// The child: from `start` until every view is committed.
pub(crate) async fn run(url: &str, set: Set, tuning: &Tuning) -> Result<()> {
    let spectator = match url.starts_with("postgres") {
        true => Some(OwnedClient::connect(url).await?),
        false => None,
    };
    let began = Instant::now();
    let ermine = set
        .register(Ermine::open(url))
        .settings(tuning.settings())
        .daemon(DaemonMode::Solo)
        .wait_timeout(Duration::from_secs(600))
        .start()
        .await?;
    ermine.wait_for_non_stale(Duration::from_secs(600)).await?;
    let seconds = began.elapsed().as_secs_f64();

    let client_cpu = usage::cpu("self").map(|time| time.as_secs_f64());
    let caught_up = CaughtUp {
        seconds,
        pages_read: ermine.daemon().map_or(0, ermine::daemon::Handle::pages_read),
        peak_kib: usage::peak_kib(),
        client_cpu,
        sessions_cpu: match &spectator {
            Some(spectator) => sessions_cpu(spectator).await?,
            None => Vec::new(),
        },
    };
    ermine.stop().await?;
    println!("{}", serde_json::to_string(&caught_up)?);
    Ok(())
}

async fn sessions_cpu(spectator: &OwnedClient) -> Result<Vec<f64>> {
    let sessions = "select pid from pg_stat_activity where application_name = 'ermine'";
    let rows = spectator.query(sessions, &[]).await?;
    let pids = rows.iter().map(|row| row.try_get::<_, i32>(0)).collect::<Result<Vec<_>, _>>()?;
    let times = pids.iter().filter_map(|pid| usage::cpu(&pid.to_string()));
    let mut times: Vec<f64> = times.map(|time| time.as_secs_f64()).collect();
    times.sort_unstable_by(|a, b| b.total_cmp(a));
    Ok(times)
}

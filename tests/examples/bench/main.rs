//! Measures Ermine on PostgreSQL against the limit of the database and against what peers do.
//!
//! ```text
//! cargo xtask bench [--quick] [--rounds N] [--only PART].. [--json FILE]
//! ```
//!
//! What is compared is measured in turn within each round, because the same code may take 1.7 times as long a minute
//! later on a machine that does other work as well: believe the ratios, not the absolute figures.

mod append;
mod catch_up;
mod child;
mod inline;
mod live;
mod machine;
mod projections;
mod report;
mod server;
mod sqlite;
mod trips;
mod usage;

use std::{num::NonZeroUsize, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use child::{Set, Tuning};
use clap::{Parser, ValueEnum};
use report::Report;
use server::Server;

/// Measures throughput and latency against the limit of the database.
#[derive(Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench")]
struct Args {
    /// Few events and short times: shows that it works, measures nothing
    #[arg(long)]
    quick: bool,
    /// How often each comparison is made; the median counts
    #[arg(long, default_value = "5", value_name = "N")]
    rounds: NonZeroUsize,
    /// Runs this part alone; may be given several times
    #[arg(long, value_enum, value_name = "PART")]
    only: Vec<Part>,
    /// Leaves out the log that is ten times longer
    #[arg(long)]
    no_long_log: bool,
    /// Writes everything that was measured to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(flatten)]
    tuning: Tuning,
    /// Catches up with the store at this URL and reports on it; the benchmark starts itself again with this
    #[arg(long, hide = true, value_name = "URL")]
    catch_up: Option<String>,
    /// What catches up
    #[arg(long, hide = true, value_name = "SET", default_value = "one")]
    set: Set,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Catching up, in stream order and interleaved
    CatchUp,
    /// Memory on a log that is ten times longer
    Memory,
    /// 1, 5 and 10 projections over one log
    Projections,
    /// Latency, idle cost, and what a rolled back append costs
    Live,
    /// Throughput of the append function
    Append,
    /// Throughput of appends with an inline projection
    Inline,
    /// Catching up with a log in one SQLite file
    Sqlite,
}

/// How much of everything.
pub(crate) struct Plan {
    pub(crate) quick: bool,
    pub(crate) rounds: usize,
    pub(crate) tuning: Tuning,
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_env_filter("warn").with_writer(std::io::stderr).init();
    let args = Args::parse();
    let done = match &args.catch_up {
        Some(url) => child::run(url, args.set, &args.tuning).await,
        None => bench(args).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn bench(args: Args) -> Result<()> {
    let wanted = |part| args.only.is_empty() || args.only.contains(&part);
    let rounds = if args.quick { 1 } else { args.rounds.get() };
    let plan = Plan { quick: args.quick, rounds, tuning: args.tuning };
    let server = Server::start().await?;
    let mut report = Report::new(machine::describe(&server, &plan).await?);
    report.print_machine();
    if wanted(Part::CatchUp) {
        catch_up::measure(&server, &plan, &mut report).await?;
    }
    if wanted(Part::Memory) && !args.quick && !args.no_long_log {
        catch_up::measure_long_log(&server, &plan, &mut report).await?;
    }
    if wanted(Part::Live) {
        live::measure(&server, &plan, &mut report).await?;
    }
    if wanted(Part::Append) {
        append::measure(&server, &plan, &mut report).await?;
    }
    if wanted(Part::Projections) {
        projections::measure(&server, &plan, &mut report).await?;
    }
    if wanted(Part::Inline) {
        inline::measure(&server, &plan, &mut report).await?;
    }
    if wanted(Part::Sqlite) {
        sqlite::measure(&plan, &mut report).await?;
    }
    report.print_aims();
    if let Some(file) = args.json {
        std::fs::write(&file, report.to_json()?).with_context(|| format!("writing {}", file.display()))?;
    }
    Ok(())
}

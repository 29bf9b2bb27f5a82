//! The long form of the chaos test: `cargo xtask chaos -- --minutes 30`.

use std::{process::ExitCode, time::Duration};

use clap::Parser;
use ermine_tests::chaos::{Full, Plan, Report, fill_disk, run};

#[derive(Parser)]
#[command(about = "Faults of every kind between a daemon and its server, while appends go on")]
struct Arguments {
    /// For how long things go wrong.
    #[arg(long, default_value_t = 30)]
    minutes: u64,
    /// Decides what goes wrong, when, and for how long.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How long one fault lasts at most.
    #[arg(long, default_value_t = 8)]
    fault_seconds: u64,
    /// How long all connections of the server are taken.
    #[arg(long, default_value_t = 30)]
    hogged_seconds: u64,
    /// Fills the disk of the server instead, three times; root alone may.
    #[arg(long)]
    disk_full: bool,
    /// Prints what the daemon says.
    #[arg(long)]
    log: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { minutes, seed, fault_seconds, hogged_seconds, disk_full, log } = Arguments::parse();
    if log {
        tracing_subscriber::fmt().with_env_filter("info,ermine=debug").with_writer(std::io::stderr).init();
    }
    if disk_full {
        for full in [Full::Data, Full::Log] {
            let Some(report) = fill_disk(full, 3).await else {
                println!("skipped: a small disk cannot be mounted here, which takes root");
                return ExitCode::SUCCESS;
            };
            if !told(&report) {
                return ExitCode::FAILURE;
            }
        }
        return ExitCode::SUCCESS;
    }
    let plan = Plan {
        seed,
        lasts: Duration::from_secs(60 * minutes),
        fault_max: Duration::from_secs(fault_seconds),
        hogged: Duration::from_secs(hogged_seconds),
        bout_max: 3,
    };
    if told(&run(&plan).await) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether nothing has happened that must not.
fn told(report: &Report) -> bool {
    print!("{report}");
    let is_well = report.violations.is_empty();
    if is_well {
        println!("verified: {} events through {} faults", report.events, report.faults);
    }
    is_well
}

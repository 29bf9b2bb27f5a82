//! The long form of the chaos test: `cargo xtask chaos -- --minutes 30`.

use std::{process::ExitCode, time::Duration};

use clap::Parser;
use ermine_tests::chaos::{Plan, run};

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
    /// Prints what the daemon says.
    #[arg(long)]
    log: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { minutes, seed, fault_seconds, hogged_seconds, log } = Arguments::parse();
    if log {
        tracing_subscriber::fmt().with_env_filter("info,ermine=debug").with_writer(std::io::stderr).init();
    }
    let report = run(&Plan {
        seed,
        lasts: Duration::from_secs(60 * minutes),
        fault_max: Duration::from_secs(fault_seconds),
        hogged: Duration::from_secs(hogged_seconds),
        bout_max: 3,
    })
    .await;
    print!("{report}");
    if report.violations.is_empty() {
        println!("verified: {} events through {} faults", report.events, report.faults);
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

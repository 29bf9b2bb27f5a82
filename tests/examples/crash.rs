//! The long form of the crash test, and of the outage test: `cargo xtask crash -- --rounds 20`.

use std::{process::ExitCode, time::Duration};

use clap::Parser;
use ermine_testkit::pg::Stop;
use ermine_tests::{
    crash::{Application, Plan, enter, run},
    outage::{Cut, Host},
};

#[derive(Parser)]
#[command(about = "Crashes of server and application at random moments, then an outage and cut connections")]
struct Arguments {
    /// How many crashes.
    #[arg(long, default_value_t = 20)]
    rounds: u64,
    /// Decides what is struck and when.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How long the server is away in the outage.
    #[arg(long, default_value_t = 20)]
    outage_seconds: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    if enter().await {
        return ExitCode::SUCCESS; // this process was the application
    }
    let Arguments { rounds, seed, outage_seconds } = Arguments::parse();
    let crashes = run(&Plan { seed, rounds, application: Application::this(&[]) }).await;
    print!("{crashes}");

    let mut host = Host::start().await;
    host.survive_outage(Duration::from_secs(outage_seconds), Stop::Fast).await;
    host.survive_outage(Duration::ZERO, Stop::Immediate).await;
    for cut in Cut::EACH {
        host.survive_cut(cut).await;
    }
    let outages = host.finish().await;
    print!("{outages}");

    if crashes.violations.is_empty() && outages.violations.is_empty() {
        println!("verified: {} crashes, {} outages", crashes.rounds.len(), outages.recovered.len());
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

//! The long form of the stress test: `cargo xtask stress -- --seconds 120`.

use std::{process::ExitCode, time::Duration};

use clap::Parser;
use ermine_tests::stress::{Plan, Recipe, run};

#[derive(Parser)]
#[command(
    about = "Writers of all kinds against two projections and three readers that are known to lose events"
)]
struct Arguments {
    /// How long the writers write.
    #[arg(long, default_value_t = 120)]
    seconds: u64,
    /// Decides what each writer does.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many write at the same time.
    #[arg(long, default_value_t = 16)]
    writers: u64,
    /// The longest time that a transaction stays open.
    #[arg(long, default_value_t = 2_000)]
    held_ms: u64,
    /// By how much the moment is widened in which the known-bad readers go wrong.
    #[arg(long, default_value_t = 20)]
    window_ms: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let plan = Plan {
        seed: arguments.seed,
        writers: arguments.writers,
        lasts: Duration::from_secs(arguments.seconds),
        held_max: Duration::from_millis(arguments.held_ms),
        spell: Duration::from_millis(3 * arguments.held_ms),
        known_bad: Recipe::ALL.to_vec(),
        window: Duration::from_millis(arguments.window_ms),
        patience: Duration::from_secs(120),
    };
    let report = run(&plan).await;
    print!("{report}");
    let tame: Vec<String> =
        report.lost.iter().filter(|(_, lost)| **lost == 0).map(|(recipe, _)| recipe.to_string()).collect();
    if !report.violations.is_empty() {
        return ExitCode::FAILURE;
    }
    if !tame.is_empty() {
        println!("this run shows nothing: known-bad readers lost no event ({})", tame.join("; "));
        return ExitCode::FAILURE;
    }
    println!("verified: {} events, none lost, none doubled, all in order", report.events);
    ExitCode::SUCCESS
}

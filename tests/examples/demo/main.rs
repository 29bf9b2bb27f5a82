//! Appends trips from 8 concurrent writers, some of which roll back, while the daemon projects them; then checks every
//! view against what was appended.
//!
//! ```text
//! cargo xtask demo [--store sqlite:FILE|postgres|postgres://user@host/database|memory] [--trips N]
//! ```

mod backend;
mod model;
mod progress;
mod verify;
mod writer;

use std::{
    num::NonZeroU32,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use backend::Backend;
use clap::Parser;
use ermine::prelude::*;
use model::{DriverTotals, Trip};
use progress::Counters;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use writer::{Ledger, Writer};

const WRITERS: u32 = 8;

/// Appends trips from 8 writers while the daemon projects them, and verifies the views.
#[derive(Parser)]
#[command(name = "cargo xtask demo", bin_name = "cargo xtask demo")]
struct Args {
    /// sqlite:<file>, postgres://user@host/database, `postgres` for a throwaway one, or `memory`; without it a throwaway
    /// SQLite file
    #[arg(long, value_name = "STORE")]
    store: Option<String>,
    /// How many trips the writers share
    #[arg(long, default_value = "1000", value_name = "N")]
    trips: NonZeroU32,
}

#[tokio::main]
async fn main() -> ExitCode {
    match demo(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn demo(args: Args) -> Result<()> {
    tracing_subscriber::fmt().with_env_filter("warn").with_writer(std::io::stderr).init();
    // What is thrown away goes last, when nobody has it open any more.
    let (_throwaway, backend) = Backend::open(args.store.as_deref()).await?;
    println!(
        "{WRITERS} writers append {} trips to {}; some appends are {}{}.",
        args.trips,
        backend.describe(),
        backend.taken_back(),
        backend.why_not_rolled_back()
    );

    let ermine = Ermine::with_store(backend.store())
        .project(single_stream::<Trip>("DemoTrip"))
        .project(multi_stream::<DriverTotals, _, _>("DemoDriver", DriverTotals::view_of))
        .daemon(DaemonMode::Solo)
        .start()
        .await?;

    let counters = Arc::new(Counters::new(backend.taken_back()));
    let began = Instant::now();
    let finished = CancellationToken::new();
    let drop_guard = finished.clone().drop_guard();
    let (ledger, ()) = tokio::join!(
        async {
            let ledger = append(&ermine, &backend, &counters, args.trips.get()).await;
            drop(drop_guard);
            ledger
        },
        progress::show(&ermine, &counters, finished),
    );
    let (ledger, caught_up) = ledger?;
    let took = began.elapsed();

    verify::print_tables(&ermine, &ledger).await?;
    println!(
        "{} events of {} trips in {:.1} s, {} more events {}; the last view was {:.1} ms behind its append",
        ledger.events(),
        ledger.trips.len(),
        took.as_secs_f64(),
        ledger.taken_back_events,
        backend.taken_back(),
        caught_up.as_secs_f64() * 1e3,
    );
    let verified = verify::compare(&ermine, &ledger).await?;
    ermine.stop().await?;
    if !verified.faults.is_empty() {
        for fault in verified.faults.iter().take(20) {
            eprintln!("wrong: {fault}");
        }
        bail!("{} views are not what was appended", verified.faults.len());
    }
    println!("verified: {} events, {} views", verified.events, verified.views);
    Ok(())
}

/// Runs the writers to their end; what they appended, and how long the views took to follow the last append.
async fn append(
    ermine: &Ermine,
    backend: &Backend,
    counters: &Arc<Counters>,
    trips: u32,
) -> Result<(Ledger, Duration)> {
    let run = backend.run_name();
    let mut writers = JoinSet::new();
    for number in 0..WRITERS {
        let writer = Writer {
            store: backend.store(),
            appender: backend.appender().await?,
            counters: counters.clone(),
            run: run.clone(),
        };
        writers.spawn(writer.run((number..trips).step_by(WRITERS as usize)));
    }
    let mut ledger = Ledger::default();
    while let Some(done) = writers.join_next().await {
        ledger.add(done.context("a writer panicked")??);
    }
    let appended = Instant::now();
    if let Some(position) = ledger.last {
        ermine.wait_for(position).await?;
    }
    Ok((ledger, appended.elapsed()))
}

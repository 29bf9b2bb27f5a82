//! Turns the history of a git repository into events, and projects them into totals per file, per author and per day.
//!
//! ```text
//! cargo run --release --example git_history -- --repo PATH [--by author|day] [--json] [--store URL]
//! ```

mod git;
mod model;

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use ermine::{
    core::Appended,
    prelude::*,
    sqlite::{SqliteOptions, Synchronous},
};
use model::{AuthorTotals, Counts, Day, FileHistory};
use tokio::task::{JoinError, JoinSet};

const WRITERS: usize = 8;

/// Projects the history of a git repository.
#[derive(Parser)]
struct Args {
    /// The repository; a bare one will do
    #[arg(long)]
    repo: PathBuf,
    /// Where to keep events and views: sqlite:<file> or postgres://user@host/database; without it in a throwaway file
    #[arg(long)]
    store: Option<String>,
    /// What to print a line for
    #[arg(long, value_enum, default_value = "author")]
    by: By,
    /// Print JSON objects, sorted by the bytes of the author or by day
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum By {
    Author,
    Day,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    tracing_subscriber::fmt().with_env_filter("warn").with_writer(std::io::stderr).init();
    let throwaway = tempfile::tempdir()?;
    let builder = match &args.store {
        Some(url) => Ermine::open(url),
        None => {
            // Nobody needs it after a power loss.
            let options = SqliteOptions::new(throwaway.path().join("history.db"));
            Ermine::with_store(Arc::new(options.synchronous(Synchronous::Off).open().await?))
        }
    };
    let ermine = builder
        .project(single_stream::<FileHistory>("FileHistory"))
        .project(multi_stream::<AuthorTotals, _, _>("AuthorTotals", AuthorTotals::view_of))
        .project(model::activity())
        .daemon(DaemonMode::Solo)
        .start()
        .await?;

    let written = append_history(&ermine, &args.repo).await?;
    if let Some(position) = written.position {
        wait_while_it_moves(&ermine, position).await?;
    }

    let files = ermine.query::<FileHistory>()?.count().await?;
    let mut authors = ermine.query::<AuthorTotals>()?.all().await?;
    authors.sort_by(|(_, a), (_, b)| a.author.as_bytes().cmp(b.author.as_bytes()));
    let days = ermine.query_of::<Day>("Activity")?.all().await?;
    match args.by {
        By::Author => authors.iter().try_for_each(|(_, it)| print(&it.author, &it.counts, it, args.json))?,
        By::Day => days.iter().try_for_each(|(_, it)| print(&it.day, &it.counts, it, args.json))?,
    }
    let views = files + (authors.len() + days.len()) as u64;
    let Written { events, new_events, .. } = written;
    eprintln!("{events} events in the history, {new_events} of them stored now; {views} views written");
    Ok(ermine.stop().await?)
}

#[derive(Default)]
struct Written {
    events: usize,
    new_events: usize,
    position: Option<Position>,
}

/// Appends commit by commit, a few at the same time. Events have ids that follow from the commit, so that those of an earlier
/// run are not appended again.
async fn append_history(ermine: &Ermine, repo: &std::path::Path) -> Result<Written> {
    let mut log = git::Log::open(repo).await?;
    let (mut written, mut appends) = (Written::default(), JoinSet::new());
    while let Some(batch) = log.next_append().await? {
        if appends.len() == WRITERS
            && let Some(done) = appends.join_next().await
        {
            written.add(done)?;
        }
        let store = ermine.store().clone();
        appends.spawn(async move { (batch.len(), store.append(batch).await) });
    }
    while let Some(done) = appends.join_next().await {
        written.add(done)?;
    }
    Ok(written)
}

impl Written {
    fn add(&mut self, done: Result<(usize, ermine::Result<Appended>), JoinError>) -> Result<()> {
        let (events, appended) = done.context("an append panicked")?;
        let appended = appended?;
        self.events += events;
        self.new_events += if appended.repeated { 0 } else { events };
        self.position = self.position.max(Some(appended.position()));
        Ok(())
    }
}

/// Waits as long as it takes, but not on a daemon that stands still.
async fn wait_while_it_moves(ermine: &Ermine, position: Position) -> Result<()> {
    let progress = || ermine.status().iter().map(|s| s.progress).min();
    loop {
        let before = progress();
        match ermine.wait_for_within(position, Duration::from_secs(20)).await {
            Ok(()) => return Ok(()),
            Err(error) if progress() == before => return Err(error.into()),
            Err(_) => ermine.status().iter().for_each(|status| eprintln!("{status}")),
        }
    }
}

fn print(name: &str, counts: &Counts, view: &impl Serialize, json: bool) -> Result<()> {
    let Counts { commits, files, added, deleted } = counts;
    if json {
        println!("{}", serde_json::to_string(view)?);
    } else {
        println!("{commits:>7} commits {files:>8} files {added:>10} added {deleted:>10} deleted  {name}");
    }
    Ok(())
}

//! Turns the history of a git repository into events, and projects them into totals per file and per author.
//!
//! ```text
//! cargo run --release --example git_history -- --repo PATH [--store URL] [--json]
//! ```

mod git;
mod model;

use std::{num::NonZeroUsize, path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use clap::Parser;
use ermine::{core::ViewId, prelude::*};
use model::{AuthorTotals, FileHistory};
use tokio::{
    sync::{Mutex, mpsc},
    task::JoinSet,
};

const WRITERS: usize = 8;

/// Projects the history of a git repository.
#[derive(Parser)]
struct Args {
    /// The repository; a bare one will do.
    #[arg(long)]
    repo: PathBuf,
    /// Where to keep events and views: postgres://user@host/database or memory:. Without it a throwaway PostgreSQL.
    #[arg(long)]
    store: Option<String>,
    /// Print one JSON object per author, sorted by the bytes of the author.
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    tracing_subscriber::fmt().with_env_filter("warn").with_writer(std::io::stderr).init();
    let throwaway = match &args.store {
        Some(_) => None,
        None => Some(ermine_testkit::pg::TestDatabase::create().await),
    };
    let url = args
        .store
        .clone()
        .or_else(|| throwaway.as_ref().map(ermine_testkit::pg::TestDatabase::url))
        .context("no store")?;
    let ermine = Ermine::open(url)
        .project(single_stream::<FileHistory>("FileHistory"))
        .project(multi_stream::<AuthorTotals, _, _>("AuthorTotals", AuthorTotals::view_of))
        .daemon(DaemonMode::Solo)
        .start()
        .await?;

    let written = append_history(&ermine, &args.repo).await?;
    if let Some(position) = written.position {
        wait_while_it_moves(&ermine, position).await?;
    }

    let mut authors: Vec<AuthorTotals> = all(&ermine).await?;
    let files: Vec<FileHistory> = all(&ermine).await?;
    authors.sort_by(|a, b| a.author.as_bytes().cmp(b.author.as_bytes()));
    for totals in &authors {
        print_totals(totals, args.json)?;
    }
    eprintln!(
        "{} events in the history, {} of them stored now; {} views written",
        written.events,
        written.new_events,
        authors.len() + files.len()
    );
    ermine.stop().await?;
    Ok(())
}

#[derive(Default)]
struct Written {
    events: usize,
    new_events: usize,
    position: Option<Position>,
}

/// Appends commit by commit with concurrent writers.
async fn append_history(ermine: &Ermine, repo: &std::path::Path) -> Result<Written> {
    let mut log = git::Log::open(repo).await?;
    let (send, receive) = mpsc::channel::<AppendBatch>(WRITERS * 4);
    let receive = std::sync::Arc::new(Mutex::new(receive));
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let (store, receive) = (ermine.store().clone(), receive.clone());
        writers.spawn(async move {
            let mut written = Written::default();
            loop {
                let Some(batch) = receive.lock().await.recv().await else { return Ok(written) };
                let events = batch.len();
                let appended = store.append(batch).await?;
                written.events += events;
                written.new_events += if appended.repeated { 0 } else { events };
                written.position = written.position.max(Some(appended.position()));
            }
        });
    }
    drop(receive);
    while let Some(batch) = log.next_append().await? {
        if send.send(batch).await.is_err() {
            break; // every writer has failed; the first error comes below
        }
    }
    drop(send);
    let mut all = Written::default();
    while let Some(written) = writers.join_next().await {
        let written: Written =
            written.context("a writer panicked")?.map_err(|e: ermine::Error| anyhow::anyhow!(e.chain()))?;
        all.events += written.events;
        all.new_events += written.new_events;
        all.position = all.position.max(written.position);
    }
    Ok(all)
}

/// Waits as long as it takes, but not on a daemon that stands still.
async fn wait_while_it_moves(ermine: &Ermine, position: Position) -> Result<()> {
    let progress = || ermine.status().iter().map(|s| s.progress).min();
    loop {
        let before = progress();
        match ermine.wait_for_within(position, Duration::from_secs(20)).await {
            Ok(()) => return Ok(()),
            Err(error) if progress() == before => return Err(error.into()),
            Err(_) => eprintln!(
                "{}",
                ermine.status().iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
            ),
        }
    }
}

/// All views of one type, read back from the store page by page.
async fn all<A: Aggregate>(ermine: &Ermine) -> Result<Vec<A>> {
    let page = NonZeroUsize::new(1_000).context("not 0")?;
    let (mut views, mut after) = (Vec::new(), None::<ViewId>);
    loop {
        let read = ermine.list::<A>(after.take(), page).await?;
        let full = read.len() == page.get();
        after = read.last().map(|(id, _)| id.clone());
        views.extend(read.into_iter().map(|(_, view)| view));
        if !full {
            return Ok(views);
        }
    }
}

fn print_totals(totals: &AuthorTotals, json: bool) -> Result<()> {
    let AuthorTotals { author, commits, files, added, deleted } = totals;
    if json {
        println!("{}", serde_json::to_string(totals)?);
    } else {
        println!("{commits:>7} commits {files:>8} files {added:>10} added {deleted:>10} deleted  {author}");
    }
    Ok(())
}

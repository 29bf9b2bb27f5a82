//! What is seen while the writers and the daemon are at work.

use std::{
    io::{IsTerminal, stderr},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use ermine::prelude::*;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio_util::sync::CancellationToken;

/// What the writers have done so far.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    appended: AtomicU64,
    taken_back: AtomicU64,
    last: AtomicU64,
    /// How the store takes back: "rolled back".
    how: &'static str,
}

impl Counters {
    pub(crate) fn new(how: &'static str) -> Self {
        Self { how, ..Self::default() }
    }

    pub(crate) fn appended(&self, events: usize, position: Position) {
        self.appended.fetch_add(events as u64, Ordering::Relaxed);
        self.last.fetch_max(position.seq().get(), Ordering::Relaxed);
    }

    pub(crate) fn taken_back(&self, events: usize) {
        self.taken_back.fetch_add(events as u64, Ordering::Relaxed);
    }
}

/// Shows how far everybody is until `finished`: bars on a terminal, else a line now and then.
pub(crate) async fn show(ermine: &Ermine, counters: &Counters, finished: CancellationToken) {
    let mut display = if stderr().is_terminal() { Display::bars(ermine) } else { Display::lines() };
    while finished.run_until_cancelled(tokio::time::sleep(display.every())).await.is_some() {
        display.update(ermine, counters);
    }
    display.update(ermine, counters);
    display.end();
}

enum Display {
    Bars { all: MultiProgress, writers: ProgressBar, shards: Vec<ProgressBar> },
    Lines { began: Instant },
}

impl Display {
    fn bars(ermine: &Ermine) -> Self {
        let style = |template: &str| {
            let style = ProgressStyle::with_template(template);
            style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ")
        };
        let all = MultiProgress::new();
        let writers = all.add(ProgressBar::no_length());
        writers.set_style(style("{prefix:>16} {msg}"));
        writers.set_prefix("writers");
        let shards = ermine.status().into_iter().map(|status| {
            let bar = all.add(ProgressBar::new(1));
            bar.set_style(style("{prefix:>16} [{bar:40}] {msg}"));
            bar.set_prefix(status.shard.projection().to_string());
            bar
        });
        let shards = shards.collect();
        Self::Bars { all, writers, shards }
    }

    fn lines() -> Self {
        Self::Lines { began: Instant::now() }
    }

    fn every(&self) -> Duration {
        match self {
            Self::Bars { .. } => Duration::from_millis(50),
            Self::Lines { .. } => Duration::from_millis(500),
        }
    }

    fn update(&mut self, ermine: &Ermine, counters: &Counters) {
        // The shards first: then none of them seems to be ahead of the writers.
        let status = ermine.status();
        let last = counters.last.load(Ordering::Relaxed);
        let appended = counters.appended.load(Ordering::Relaxed);
        let (taken_back, how) = (counters.taken_back.load(Ordering::Relaxed), counters.how);
        let wrote = format!("{appended:>6} events appended, {taken_back:>4} {how}");
        let behind = |progress: u64| last.saturating_sub(progress);
        match self {
            Self::Bars { writers, shards, .. } => {
                writers.set_message(wrote);
                for (bar, shard) in shards.iter().zip(status) {
                    let progress = shard.progress.get().min(last);
                    bar.set_length(last.max(1));
                    bar.set_position(progress);
                    bar.set_message(format!("{} behind, {}", behind(progress), shard.state));
                }
            }
            Self::Lines { began } => {
                let shards: Vec<String> = status
                    .iter()
                    .map(|s| format!("{} {} behind", s.shard.projection(), behind(s.progress.get())))
                    .collect();
                eprintln!("{:>5.1} s  {wrote}; {}", began.elapsed().as_secs_f64(), shards.join(", "));
            }
        }
    }

    fn end(self) {
        if let Self::Bars { writers, shards, all } = self {
            writers.abandon();
            shards.iter().for_each(ProgressBar::abandon);
            drop(all);
        }
    }
}

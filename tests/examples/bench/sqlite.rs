//! Catching up with a log in one SQLite file.

use anyhow::{Context, Result};
use ermine::{
    core::ports::{EventAppender, SchemaAdmin},
    prelude::*,
    sqlite::Store,
};
use tempfile::TempDir;

use crate::{
    Plan,
    child::{self, Set},
    report::{Aim, Report},
    trips::TripEvent,
};

const STREAMS: u32 = 20_000;
const STREAMS_QUICK: u32 = 1_000;
const EVENTS_PER_STREAM: u32 = 10;
const STREAMS_PER_APPEND: u32 = 500;

pub(crate) async fn measure(plan: &Plan, report: &mut Report) -> Result<()> {
    let streams = if plan.quick { STREAMS_QUICK } else { STREAMS };
    let events = streams * EVENTS_PER_STREAM;
    report.headline(&format!("SQLite: catching up with {events} events of {streams} trips"));
    let mut rates = Vec::new();
    for _ in 0..plan.rounds {
        let directory = TempDir::new().context("a directory for the file")?;
        let url = format!("sqlite:{}", directory.path().join("trips.db").display());
        seed(&url, streams).await?;
        let caught_up = child::start(&url, Set::One, &plan.tuning).await?;
        rates.push(f64::from(events) / caught_up.seconds);
    }
    let rate = report.figure("sqlite, ermine", "events/s", rates);
    report.aim(Aim::at_least("sqlite catch-up, events/s", rate.median(), 200_000.0));
    Ok(())
}

/// Writes trips as writers leave them that have many open at once: one event of each in turn.
async fn seed(url: &str, streams: u32) -> Result<()> {
    let store = Store::open(url).await?;
    store.migrate(&ermine::core::ports::Registration::default()).await?;
    for first in (0..streams).step_by(STREAMS_PER_APPEND as usize) {
        for nth in 0..EVENTS_PER_STREAM {
            let mut batch = AppendBatch::new();
            for stream in first..(first + STREAMS_PER_APPEND).min(streams) {
                let event = NewEvent::of(&event(stream, nth))?;
                batch =
                    batch.stream(StreamAppend::new(StreamId::new(format!("trip-{stream:07}"))?, vec![event]));
            }
            store.append(batch).await?;
        }
    }
    Ok(())
}

fn event(stream: u32, nth: u32) -> TripEvent {
    match nth {
        0 => TripEvent::Started { driver: format!("driver-{:04}", stream % 977) },
        3 | 6 => TripEvent::Stopped,
        9 => TripEvent::Ended,
        _ => TripEvent::Travelled { km: f64::from((stream * 7 + nth) % 39) * 0.25 },
    }
}

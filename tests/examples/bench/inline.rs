//! What an inline projection costs the append.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use ermine::prelude::*;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{
    Plan,
    report::{Aim, Report},
    server::Server,
    trips::{Trip, TripEvent},
};

const WRITERS: usize = 8;

pub(crate) async fn measure(server: &Server, plan: &Plan, report: &mut Report) -> Result<()> {
    report.headline(&format!("appends by {WRITERS} writers, with and without an inline projection"));
    let database = server.database("inline").await?;
    let without = Arc::new(Ermine::open(database.url.as_str()).start().await?);
    let with = Ermine::open(database.url.as_str()).project(single_stream::<Trip>("InlineTrip").inline());
    let with = Arc::new(with.start().await?);
    let run_for = Duration::from_millis(if plan.quick { 300 } else { 2_000 });
    for (events, aim) in [(10, 0.5), (1, 0.5)] {
        let mut rates = [Vec::new(), Vec::new()];
        for round in 0..plan.rounds {
            for turn in 0..2 {
                let which = (turn + round) % 2;
                database.client.batch_execute("checkpoint").await?;
                let host = [&without, &with][which];
                rates[which].push(appends_per_second(host, events, run_for).await?);
            }
        }
        let [without, with] = rates;
        let without = report.figure(&format!("append alone, {events} events each"), "appends/s", without);
        let with = report.figure(&format!("with an inline view, {events} events each"), "appends/s", with);
        let name = format!("inline appends of {events} events over appends alone");
        report.aim(Aim::at_least(name, with.over(&without), aim));
    }
    drop((with, without, database));
    server.drop_database("inline").await
}

async fn appends_per_second(host: &Arc<Ermine>, events: usize, run_for: Duration) -> Result<f64> {
    let mut writers = JoinSet::new();
    let began = Instant::now();
    for _ in 0..WRITERS {
        let host = host.clone();
        writers.spawn(async move { append_until(&host, events, began + run_for).await });
    }
    let mut appends = 0;
    while let Some(done) = writers.join_next().await {
        appends += done.context("a writer panicked")??;
    }
    Ok(f64::from(appends) / began.elapsed().as_secs_f64())
}

/// Appends to a new stream each time.
async fn append_until(host: &Ermine, events: usize, end: Instant) -> Result<u32> {
    let mut appends = 0;
    while Instant::now() < end {
        let stream = Uuid::now_v7().to_string();
        host.append(stream, (0..events).map(|_| TripEvent::Travelled { km: 0.25 })).await?;
        appends += 1;
    }
    Ok(appends)
}

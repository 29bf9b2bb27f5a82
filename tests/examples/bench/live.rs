//! At the head of the log: how soon a view follows an append, what waiting for one costs, what a rolled back one costs.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use ermine::{postgres::Store, prelude::*};
use hdrhistogram::Histogram;
use tokio::{
    task::JoinSet,
    time::{interval, sleep},
};

use crate::{
    Plan,
    report::{Aim, Report, median},
    server::{Database, Server},
    trips::{self, Trip, TripEvent},
};

const APPENDS_PER_SECOND: u32 = 50;
/// Long enough for the daemon to have fallen asleep.
const PAUSE: Duration = Duration::from_millis(150);
/// The longest poll while something is going on.
const POLL_MS: f64 = 10.0;

pub(crate) async fn measure(server: &Server, plan: &Plan, report: &mut Report) -> Result<()> {
    let database = server.database("live").await?;
    let store = Store::connect(database.url.as_str()).await?;
    let ermine = Ermine::with_store(Arc::new(store.clone()))
        .project(single_stream::<Trip>(trips::PROJECTION))
        .settings(plan.tuning.settings())
        .daemon(DaemonMode::Solo)
        .start()
        .await?;
    let ermine = Arc::new(ermine);
    let seconds = if plan.quick { 3 } else { 20 };
    latency(&ermine, seconds, report).await?;
    dead_gaps(&ermine, &store, &database, plan, report).await?;
    idle(server, seconds, report).await?;
    let ermine = Arc::into_inner(ermine).context("somebody still uses the daemon")?;
    ermine.stop().await?;
    drop(store);
    drop(database);
    server.drop_database("live").await
}

/// At an even pace, whoever is still waiting: a slow answer must not keep the next append back.
async fn latency(ermine: &Arc<Ermine>, seconds: u32, report: &mut Report) -> Result<()> {
    report.headline(&format!("{APPENDS_PER_SECOND} appends per second for {seconds} s"));
    let mut views = Histogram::<u64>::new(3)?;
    let mut appends = Histogram::<u64>::new(3)?;
    let mut both = Histogram::<u64>::new(3)?;
    let mut tasks = JoinSet::new();
    let mut pace = interval(Duration::from_secs(1) / APPENDS_PER_SECOND);
    for number in 0..seconds * APPENDS_PER_SECOND {
        pace.tick().await;
        let ermine = ermine.clone();
        tasks.spawn(async move { append_and_wait(&ermine, &format!("live-{}", number / 10)).await });
    }
    while let Some(done) = tasks.join_next().await {
        let (append, view) = done.context("an append panicked")??;
        appends.record(microseconds(append))?;
        views.record(microseconds(view))?;
        both.record(microseconds(append + view))?;
    }
    let at = |histogram: &Histogram<u64>, quantile| {
        Duration::from_micros(histogram.value_at_quantile(quantile)).as_secs_f64() * 1e3
    };
    report.figure("append, p50", "ms", vec![at(&appends, 0.5)]);
    report.figure("append, p99", "ms", vec![at(&appends, 0.99)]);
    let p50 = report.figure("append's answer to visible view, p50", "ms", vec![at(&views, 0.5)]).median();
    let p99 = report.figure("append's answer to visible view, p99", "ms", vec![at(&views, 0.99)]).median();
    report.figure("append's answer to visible view, longest", "ms", vec![at(&views, 1.0)]);
    let read_your_writes =
        report.figure("append, then wait for it, p50", "ms", vec![at(&both, 0.5)]).median();
    report.aim(Aim::at_most("live latency p50, ms", p50, 3.0));
    report.aim(Aim::at_most("append, then wait for it, p50, ms", read_your_writes, 3.0));
    report.aim(Aim::at_most("live latency p99, ms", p99, 15.0));
    Ok(())
}

/// How long the append took, and how long its view took from there.
async fn append_and_wait(ermine: &Ermine, stream: &str) -> Result<(Duration, Duration)> {
    let began = Instant::now();
    let appended = ermine.append(stream, [TripEvent::Travelled { km: 0.25 }]).await?;
    let answered = Instant::now();
    ermine.wait_for(appended.position()).await?;
    Ok((answered - began, answered.elapsed()))
}

/// The first event after numbers that no event will ever have, against one without such a gap.
async fn dead_gaps(
    ermine: &Ermine,
    store: &Store,
    database: &Database,
    plan: &Plan,
    report: &mut Report,
) -> Result<()> {
    let pairs = if plan.quick { 5 } else { 40 };
    report.headline(&format!("the first event after a rolled back append, {pairs} times"));
    let mut client = ermine_testkit::pg::OwnedClient::connect(&database.url).await?;
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for number in 0..pairs {
        let stream = format!("gap-{number}");
        sleep(PAUSE).await;
        without.push(milliseconds(append_and_wait(ermine, &stream).await?.1));
        sleep(PAUSE).await;
        let transaction = client.transaction().await?;
        let events = vec![NewEvent::of(&TripEvent::Stopped)?; 1];
        let batch = AppendBatch::new().stream(StreamAppend::new(StreamId::new(stream.as_str())?, events));
        store.append_in(&transaction, batch).await?;
        transaction.rollback().await?;
        with.push(milliseconds(append_and_wait(ermine, &stream).await?.1));
    }
    report.figure("latency without a gap", "ms", without.clone());
    report.figure("latency after a gap", "ms", with.clone());
    report.aim(Aim::at_most("a dead gap costs, ms", median(&with) - median(&without), POLL_MS));
    Ok(())
}

/// Transactions per second of a daemon that has nothing to do; each of its statements is one.
async fn idle(server: &Server, seconds: u32, report: &mut Report) -> Result<()> {
    report.headline(&format!("nothing to do for {seconds} s"));
    let spectator = server.administrator().await;
    let count = || async {
        // A session tells what it has done when it has been idle for a while.
        sleep(Duration::from_secs(11)).await;
        let ended = "select xact_commit + xact_rollback from pg_stat_database where datname = 'live'";
        let row = spectator.query_one(ended, &[]).await?;
        row.try_get::<_, i64>(0).map_err(|err| anyhow!(err))
    };
    let before = count().await?;
    let began = Instant::now();
    sleep(Duration::from_secs(seconds.into())).await;
    let statements = count().await? - before;
    #[allow(clippy::cast_precision_loss, reason = "a figure for people")]
    let rate = statements as f64 / began.elapsed().as_secs_f64();
    report.figure("statements", "per s", vec![rate]);
    report.aim(Aim::at_most("idle statements per second", rate, 1.0));
    Ok(())
}

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

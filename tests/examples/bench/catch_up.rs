//! Catching up with a log: the engine, the server's own aggregation, and one upsert per event.

use std::{collections::HashMap, time::Instant};

use anyhow::{Context, Result, ensure};
use ermine::prelude::*;

use crate::{
    Plan,
    child::{self, Set},
    report::{Aim, Report},
    server::{Database, Server},
    trips::{self, EVENTS_PER_TRIP, Order, Trip, TripEvent},
    usage,
};

const STREAMS: i64 = 20_000;
const STREAMS_QUICK: i64 = 2_000;
const LONGER: i64 = 10;
/// Upserts per event are too slow to wait for all of them.
const FIELD_SAMPLE: i64 = 5_000;

pub(crate) async fn measure(server: &Server, plan: &Plan, report: &mut Report) -> Result<()> {
    let streams = if plan.quick { STREAMS_QUICK } else { STREAMS };
    report.headline(&format!("catching up with {} events of {streams} trips", streams * EVENTS_PER_TRIP));
    let mut peak: Option<f64> = None;
    for (order, aim_limit) in [(Order::Stream, 0.70), (Order::Interleaved, 0.50)] {
        let name = format!("trips_{order:?}").to_lowercase();
        let database = server.with_trips(&name, streams, order).await?;
        let rates = compare(&database, streams, plan).await?;
        let order = order.name();
        let limit = report.figure(&format!("{order}, limit"), "events/s", rates.limit);
        let field = report.figure(&format!("{order}, field"), "events/s", rates.field);
        let ours = report.figure(&format!("{order}, ermine"), "events/s", rates.ours);
        for (who, seconds) in [
            ("limit: cpu of the session", rates.limit_cpu),
            ("ermine: cpu of the client", rates.client_cpu),
            ("ermine: cpu of the busiest session", rates.first_cpu),
            ("ermine: cpu of the second session", rates.second_cpu),
        ] {
            report.figure(&format!("{order}, {who}"), "s", seconds);
        }
        report.aim(Aim::at_least(format!("catch-up, {order}, over the limit"), ours.over(&limit), aim_limit));
        report.aim(Aim::at_least(format!("catch-up, {order}, over the field"), ours.over(&field), 15.0));
        for kib in rates.peak_kib {
            peak = Some(peak.map_or(kib, |p| p.max(kib)));
        }
        server.drop_database(&name).await?;
    }
    if let Some(kib) = peak {
        let peak = report.figure("peak memory while catching up", "MB", vec![megabytes(kib)]);
        report.aim(Aim::at_most("peak memory, MB", peak.median(), 150.0));
        report.short_log_peak = Some(peak.median());
    }
    Ok(())
}

/// A log that is ten times longer must not need more memory.
pub(crate) async fn measure_long_log(server: &Server, plan: &Plan, report: &mut Report) -> Result<()> {
    let streams = STREAMS * LONGER;
    let events = streams * EVENTS_PER_TRIP;
    report.headline(&format!("catching up with {events} events of {streams} trips"));
    let database = server.with_trips("trips_long", streams, Order::Interleaved).await?;
    let caught_up = child::start(&database.url, Set::One, &plan.tuning).await?;
    expect_views(&database, streams).await?;
    server.drop_database("trips_long").await?;
    report.figure("ermine, long log", "events/s", vec![per_second(events, caught_up.seconds)]);
    if let Some(kib) = caught_up.peak_kib {
        #[allow(clippy::cast_precision_loss, reason = "a figure for people")]
        let long = report.figure("peak memory, long log", "MB", vec![megabytes(kib as f64)]).median();
        report.aim(Aim::at_most("peak memory, long log, MB", long, 150.0));
        if let Some(short) = report.short_log_peak {
            report.aim(Aim::at_most("peak memory, long log over short", long / short, 1.25));
        }
    }
    Ok(())
}

#[derive(Default)]
struct Rates {
    limit: Vec<f64>,
    field: Vec<f64>,
    ours: Vec<f64>,
    limit_cpu: Vec<f64>,
    client_cpu: Vec<f64>,
    first_cpu: Vec<f64>,
    second_cpu: Vec<f64>,
    peak_kib: Vec<f64>,
}

async fn compare(database: &Database, streams: i64, plan: &Plan) -> Result<Rates> {
    let events = streams * EVENTS_PER_TRIP;
    for table in ["limit_views", "field_views"] {
        let create = format!("create table {table} (like {} including all)", database.views);
        database.client.batch_execute(&create).await?;
    }
    let mut rates = Rates::default();
    for round in 0..plan.rounds {
        // Whoever comes first finds the caches as the round before left them, so they take turns.
        let mut limit = None;
        if round % 2 == 0 {
            limit = Some(build_by_the_server(database, events).await?);
        }
        reset(database, &database.views).await?;
        let caught_up = child::start(&database.url, Set::One, &plan.tuning).await?;
        expect_views(database, streams).await?;
        let limit = match limit {
            Some(limit) => limit,
            None => build_by_the_server(database, events).await?,
        };
        rates.limit.push(per_second(events, limit.seconds));
        rates.limit_cpu.extend(limit.cpu);
        rates.ours.push(per_second(events, caught_up.seconds));
        rates.client_cpu.extend(caught_up.client_cpu);
        rates.first_cpu.extend(caught_up.sessions_cpu.first());
        rates.second_cpu.extend(caught_up.sessions_cpu.get(1));
        #[allow(clippy::cast_precision_loss, reason = "a figure for people")]
        rates.peak_kib.extend(caught_up.peak_kib.map(|kib| kib as f64));
        rates.field.push(per_second(FIELD_SAMPLE, upsert_one_by_one(database).await?));
        if round == 0 {
            expect_same_documents(database).await?;
        }
    }
    Ok(rates)
}

/// Empties a table of views, and lets the server write out what it has to before the clock runs.
async fn reset(database: &Database, table: &str) -> Result<()> {
    database.client.batch_execute(&format!("truncate {table}")).await?;
    if table == database.views {
        database.client.batch_execute("update ermine.progress set seq = 0").await?;
    }
    database.client.batch_execute("checkpoint").await?;
    Ok(())
}

/// What the server took for it: seconds, and the processor time of its session.
struct Built {
    seconds: f64,
    cpu: Option<f64>,
}

async fn build_by_the_server(database: &Database, events: i64) -> Result<Built> {
    reset(database, "limit_views").await?;
    let session: i32 = database.client.query_one("select pg_backend_pid()", &[]).await?.try_get(0)?;
    let cpu = || usage::cpu(&session.to_string()).map(|time| time.as_secs_f64());
    let statement = database.client.prepare(trips::LIMIT).await?;
    let (cpu_before, began) = (cpu(), Instant::now());
    database.client.execute(&statement, &[&events]).await?;
    let seconds = began.elapsed().as_secs_f64();
    Ok(Built { seconds, cpu: cpu_before.zip(cpu()).map(|(before, after)| after - before) })
}

/// One committed statement per event. What a peer does beside it (reading the view, moving its progress) is not counted,
/// and the views are folded in memory.
async fn upsert_one_by_one(database: &Database) -> Result<f64> {
    reset(database, "field_views").await?;
    let client = &database.client;
    let read = "select tenant, stream_id, type, data::text, version, seq from ermine.events where seq <= $1 order by seq";
    let upsert = client.prepare(trips::UPSERT).await?;
    let mut views: HashMap<String, Trip> = HashMap::new();
    let began = Instant::now();
    for row in client.query(read, &[&FIELD_SAMPLE]).await? {
        let (tenant, stream): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let body = ermine::core::Body::from_json(row.try_get::<_, String>(3)?)?;
        let view = views.entry(stream.clone()).or_default();
        view.apply(&TripEvent::decode(row.try_get(2)?, &body)?);
        let document = serde_json::to_value(&*view)?;
        let (version, seq): (i64, i64) = (row.try_get(4)?, row.try_get(5)?);
        client.execute(&upsert, &[&tenant, &stream, &document, &version, &seq]).await?;
    }
    Ok(began.elapsed().as_secs_f64())
}

async fn expect_views(database: &Database, streams: i64) -> Result<()> {
    let count = format!("select count(*) from {}", database.views);
    let found: i64 = database.client.query_one(&count, &[]).await?.try_get(0)?;
    ensure!(found == streams, "{found} views of {streams} streams");
    Ok(())
}

/// A comparison of two ways to build something holds only when both have built it.
async fn expect_same_documents(database: &Database) -> Result<()> {
    let views = &database.views;
    let differ = format!(
        "select count(*) from {views} v full join limit_views l using (tenant, id)
         where v.data is distinct from l.data or v.version is distinct from l.version or v.seq is distinct from l.seq"
    );
    let differ: i64 = database.client.query_one(&differ, &[]).await.context("comparing")?.try_get(0)?;
    ensure!(differ == 0, "{differ} views are not what the server built");
    Ok(())
}

#[allow(clippy::cast_precision_loss, reason = "a figure for people")]
fn per_second(events: i64, seconds: f64) -> f64 {
    events as f64 / seconds
}

fn megabytes(kib: f64) -> f64 {
    kib * 1.024e-3
}

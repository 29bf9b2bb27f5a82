//! The append function against the same function on tables without floor lock, guard and doorbell.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ermine_testkit::pg::OwnedClient;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{
    Plan,
    report::{Aim, Report},
    server::{Database, Server},
};

const WRITERS: usize = 8;
const BODY: &str = r#"{"km":1.25,"from":{"lat":38.7223,"lon":-9.1393},"to":{"lat":38.7369,"lon":-9.1427},"speed":43,"heading":128,"at":"2026-03-14T09:26:53Z"}"#;

/// Each in a schema of its own.
const STORES: [&str; 2] = ["ermine", "plain"];

pub(crate) async fn measure(server: &Server, plan: &Plan, report: &mut Report) -> Result<()> {
    report.headline(&format!("appends by {WRITERS} writers"));
    let database = server.database("appends").await?;
    copy_without_triggers(&database).await?;
    let run_for = Duration::from_millis(if plan.quick { 300 } else { 2_000 });
    for (events, aim) in [(10, 0.75), (1, 0.65)] {
        let mut rates = [Vec::new(), Vec::new()];
        for round in 0..plan.rounds {
            for turn in 0..STORES.len() {
                let which = (turn + round) % STORES.len();
                rates[which].push(appends_per_second(&database, STORES[which], events, run_for).await?);
            }
        }
        let [ours, plain] = rates;
        let plain = report.figure(&format!("plain function, {events} events each"), "appends/s", plain);
        let ours = report.figure(&format!("ermine, {events} events each"), "appends/s", ours);
        report.aim(Aim::at_least(
            format!("appends of {events} events over the plain function"),
            ours.over(&plain),
            aim,
        ));
    }
    drop(database);
    server.drop_database("appends").await
}

/// The same tables with the same indexes, and the same functions, in the schema `plain`; triggers are not copied.
async fn copy_without_triggers(database: &Database) -> Result<()> {
    let client = &database.client;
    client
        .batch_execute(
            "create schema plain;
             create table plain.events (like ermine.events including all);
             create table plain.streams (like ermine.streams including all)",
        )
        .await?;
    for function in ["refuse_version", "append_stream"] {
        let definition = "select pg_get_functiondef(p.oid) from pg_proc p \
            where p.pronamespace = 'ermine'::regnamespace and p.proname = $1";
        let definition: String = client.query_one(definition, &[&function]).await?.try_get(0)?;
        let copied = definition.replace("\"ermine\".", "plain.").replace("ermine.", "plain.");
        client.batch_execute(&copied).await.with_context(|| format!("copying {function}"))?;
    }
    Ok(())
}

async fn appends_per_second(
    database: &Database,
    schema: &'static str,
    events: usize,
    run_for: Duration,
) -> Result<f64> {
    database.client.batch_execute("checkpoint").await?;
    let mut clients = Vec::new();
    for _ in 0..WRITERS {
        clients.push(OwnedClient::connect(&database.url).await?);
    }
    let mut writers = JoinSet::new();
    let began = Instant::now();
    for client in clients {
        writers.spawn(async move { append_until(&client, schema, events, began + run_for).await });
    }
    let mut appends = 0;
    while let Some(done) = writers.join_next().await {
        appends += done.context("a writer panicked")??;
    }
    Ok(f64::from(appends) / began.elapsed().as_secs_f64())
}

/// Appends to a new stream each time.
async fn append_until(client: &OwnedClient, schema: &str, events: usize, end: Instant) -> Result<u32> {
    let sql = format!(
        "select last_seq from {schema}.append_stream('', $1::text, null, $2::uuid[], $3::text[], $4::text[]::json[])"
    );
    let append = client.prepare(&sql).await?;
    let types = vec!["trip.travelled"; events];
    let bodies = vec![BODY; events];
    let mut appends = 0;
    while Instant::now() < end {
        let ids: Vec<Uuid> = (0..events).map(|_| Uuid::now_v7()).collect();
        let stream = ids[0].to_string();
        client.query_one(&append, &[&stream, &ids, &types, &bodies]).await?;
        appends += 1;
    }
    Ok(appends)
}

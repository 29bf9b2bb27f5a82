//! Several projections over one log: how much more ten cost than one, and how often the log is read for them.

use anyhow::Result;

use crate::{
    Plan,
    child::{self, Set},
    report::{Aim, Figure, Report},
    server::{Database, Server},
    trips::{EVENTS_PER_TRIP, Order},
};

const STREAMS: i64 = 20_000;
const STREAMS_QUICK: i64 = 1_000;

pub(crate) async fn measure(server: &Server, plan: &Plan, report: &mut Report) -> Result<()> {
    let streams = if plan.quick { STREAMS_QUICK } else { STREAMS };
    report.headline(&format!("1, 5 and 10 projections over {} events", streams * EVENTS_PER_TRIP));
    let database = server.with_trips("projections", streams, Order::Interleaved).await?;
    let sets = [Set::One, Set::Partial(5), Set::Partial(10), Set::Copies(5), Set::Copies(10)];
    let mut seconds = vec![Vec::new(); sets.len()];
    let mut reads = vec![Vec::new(); sets.len()];
    for round in 0..plan.rounds {
        for turn in 0..sets.len() {
            let which = (turn + round) % sets.len();
            reset(&database).await?;
            let caught_up = child::start(&database.url, sets[which], &plan.tuning).await?;
            seconds[which].push(caught_up.seconds);
            #[allow(clippy::cast_precision_loss, reason = "a figure for people")]
            reads[which].push(caught_up.pages_read as f64);
        }
    }
    let mut times: Vec<Figure> = Vec::new();
    for ((set, seconds), reads) in sets.into_iter().zip(seconds).zip(reads) {
        times.push(report.figure(&format!("{set}"), "s", seconds));
        report.figure(&format!("{set}: pages read from the log"), "pages", reads);
    }
    let [one, partial_5, partial_10, copies_5, copies_10] = &times[..] else { return Ok(()) };
    report.aim(Aim::at_most("5 projections, 4 of them partial, over one", partial_5.over(one), 3.0));
    report.aim(Aim::at_most("10 projections, 9 of them partial, over one", partial_10.over(one), 3.0));
    report.aim(Aim::at_most("5 full copies over 5 times one", copies_5.over(one) / 5.0, 0.7));
    report.aim(Aim::at_most("10 full copies over 10 times one", copies_10.over(one) / 10.0, 0.7));
    drop(database);
    server.drop_database("projections").await
}

/// Empties all views and sets progress back.
async fn reset(database: &Database) -> Result<()> {
    let tables = database.client.query("select table_name from ermine.projections", &[]).await?;
    for row in tables {
        let table: String = row.try_get(0)?;
        database.client.batch_execute(&format!("truncate ermine.\"{table}\"")).await?;
    }
    database.client.batch_execute("update ermine.progress set seq = 0; checkpoint").await?;
    Ok(())
}

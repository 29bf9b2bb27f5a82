//! Trips, and one projection of them that the daemon runs: append, read your writes, query, look at the daemon.
//!
//! ```text
//! cargo run --example trips                               # in the file trips.db; a second run goes on from there
//! cargo run --example trips -- --projection-version 2     # the same views anew, beside those of version 1
//! cargo run --example trips -- --store postgres://user@host/database
//! ```

use std::time::Duration;

use clap::Parser;
use ermine::{
    core::{FieldKind, ProjectionName, Seq, ShardName, Timestamp},
    prelude::*,
};

/// What can happen to a trip. Each variant is stored under a name of its own: `trip.started`, `trip.travelled` and so on.
#[derive(DomainEvent)]
enum TripEvent {
    Started { driver: String },
    Travelled { km: f64 },
    Ended,
    Aborted,
}

/// What is shown of a trip: one view per stream.
#[derive(Debug, Serialize, Deserialize)]
struct Trip {
    driver: String,
    started_at: Timestamp,
    legs: u32,
    km: f64,
    ended: bool,
}

impl Aggregate for Trip {
    type Event = TripEvent;

    /// Folds one event: the view before it, or `None`, becomes the view after it, or `None` when there shall be no view.
    fn evolve(trip: Option<Self>, event: &Recorded<TripEvent>) -> Result<Option<Self>, ApplyError> {
        Ok(match (trip, event.data()) {
            (None, TripEvent::Started { driver }) => {
                let (driver, started_at) = (driver.clone(), event.recorded_at());
                Some(Self { driver, started_at, legs: 0, km: 0.0, ended: false })
            }
            (Some(trip), TripEvent::Travelled { km }) => {
                Some(Self { legs: trip.legs + 1, km: trip.km + km, ..trip })
            }
            (Some(trip), TripEvent::Ended) => Some(Self { ended: true, ..trip }),
            (_, TripEvent::Aborted) => None,
            (trip, _) => trip, // nothing that a trip should do: it stays as it is
        })
    }
}

/// Views and progress belong to this name, so the type can be renamed without a new start.
const NAME: &str = "TripCustomName";

/// Trips, projected by the daemon.
#[derive(Parser)]
struct Args {
    /// Where events and views are kept: sqlite:<file> or postgres://user@host/database
    #[arg(long, default_value = "sqlite:trips.db")]
    store: String,
    /// Which version of the projection to run; each has views and progress of its own
    #[arg(long, default_value = "1")]
    projection_version: u32,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    tracing_subscriber::fmt().with_env_filter("warn").with_writer(std::io::stderr).init();

    let trips = single_stream::<Trip>(NAME).version(args.projection_version).index("km", FieldKind::Number); // for the query by distance
    let ermine = Ermine::open(&args.store)
        .project(trips)
        .daemon(DaemonMode::Solo) // opt-in: without it no daemon runs in this process
        .start()
        .await?;

    let before = ermine.statistics().await?.streams;
    println!("The store holds {before} trips of earlier runs; five more set out.");
    let appended = drive(&ermine, before).await?;

    // Read your writes: the answer to an append says what to wait for.
    ermine.wait_for(appended).await?;
    show_trip(&ermine, &trip(before, 1)).await?;
    show_trip(&ermine, &trip(before, 3)).await?;
    show_longest_trips(&ermine).await?;
    show_daemon_diagnostics(&ermine, args.projection_version).await?;

    Ok(ermine.stop().await?)
}

/// The stream of a trip: they are numbered through all runs.
fn trip(before: u64, number: u64) -> String {
    format!("trip-{:03}", before + number)
}

/// Appends five trips; answers with the position of the last event.
async fn drive(ermine: &Ermine, before: u64) -> ermine::Result<Position> {
    let journeys: [(&str, &[f64], Option<TripEvent>); 5] = [
        ("ada", &[120.5, 33.0], Some(TripEvent::Ended)),
        ("grace", &[402.0, 18.5, 77.25], Some(TripEvent::Ended)),
        ("ken", &[12.0], Some(TripEvent::Aborted)),
        ("lynn", &[251.0, 88.0], None), // still under way
        ("radia", &[611.0], Some(TripEvent::Ended)),
    ];
    let mut last = Position::new(Seq::ZERO);
    for (number, (driver, legs, end)) in (1..).zip(journeys) {
        let start = TripEvent::Started { driver: driver.to_owned() };
        let legs = legs.iter().map(|km| TripEvent::Travelled { km: *km });
        let appended =
            ermine.append(trip(before, number), [start].into_iter().chain(legs).chain(end)).await?;
        last = appended.position();
    }
    Ok(last)
}

async fn show_trip(ermine: &Ermine, id: &str) -> ermine::Result<()> {
    match ermine.load::<Trip>(id).await? {
        Some(trip) => println!("{id}: {} has driven {} km in {} legs", trip.driver, trip.km, trip.legs),
        None => println!("{id} was aborted and has no view"),
    }
    Ok(())
}

/// Asks for views by what is in them; this also waits until they show what others have appended by now.
async fn show_longest_trips(ermine: &Ermine) -> ermine::Result<()> {
    let longest = ermine
        .query_non_stale::<Trip>(Duration::from_secs(5))?
        .filter(field("ended")?.eq(true))
        .order_by(field("km")?.descending())
        .limit(3)
        .list()
        .await?;
    println!("\nThe longest trips that have ended:");
    for (id, trip) in longest {
        println!("  {id} {:>8} km  {}, since {:.0}", trip.km, trip.driver, trip.started_at);
    }
    Ok(())
}

async fn show_daemon_diagnostics(ermine: &Ermine, version: u32) -> ermine::Result<()> {
    println!("\nThe daemon:");
    // How far every shard has come, those of other programs and versions included.
    for progress in ermine.progress().await? {
        println!("  {} is at {}", progress.shard, progress.seq);
    }
    let statistics = ermine.statistics().await?;
    let (events, streams, highest) = (statistics.events, statistics.streams, statistics.highest);
    println!("  the store holds {events} events of {streams} trips, the highest is {highest}");

    // One shard: all of this version of the projection. In text it is `TripCustomName:All`, or `TripCustomName:V2:All`.
    let shard = ShardName::all(ProjectionName::new(NAME)?, version);
    println!("  the progress of {shard} is {}", ermine.progress_of(&shard).await?);
    println!("  the high-water mark is {}", ermine.high_water_mark().await?);
    for lag in ermine.lag().await? {
        println!("  {} is {} events and {} s behind", lag.shard, lag.events, lag.age.as_secs());
    }
    // What the workers of this process are doing.
    for status in ermine.status() {
        println!("  {status}");
    }
    Ok(())
}

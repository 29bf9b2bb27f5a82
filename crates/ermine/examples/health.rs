//! Serves the health of a daemon: `/live` for whoever restarts processes, `/ready` for whoever sends traffic.
//!
//! ```text
//! cargo run --example health
//! curl -i http://127.0.0.1:8080/ready
//! ```

use std::sync::Arc;

use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use clap::Parser;
use ermine::{
    daemon::{Health, Thresholds},
    prelude::*,
};

#[derive(DomainEvent)]
enum TripEvent {
    Travelled { km: f64 },
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Trip {
    km: f64,
}

impl Aggregate for Trip {
    type Event = TripEvent;

    fn evolve(trip: Option<Self>, event: &Recorded<TripEvent>) -> Result<Option<Self>, ApplyError> {
        let TripEvent::Travelled { km } = event.data();
        Ok(Some(Self { km: trip.unwrap_or_default().km + km }))
    }
}

/// Serves the health of a daemon.
#[derive(Parser)]
struct Arguments {
    /// Where the events are: sqlite:<file> or postgres://user@host/database
    #[arg(long, default_value = "sqlite:health.db")]
    store: String,
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: String,
}

type Answer = (StatusCode, Json<Option<Health>>);

async fn live(State(ermine): State<Arc<Ermine>>) -> Answer {
    answer(&ermine, |health| health.live).await
}

async fn ready(State(ermine): State<Arc<Ermine>>) -> Answer {
    answer(&ermine, |health| health.ready).await
}

async fn answer(ermine: &Ermine, is_well: impl Fn(&Health) -> bool) -> Answer {
    let health = ermine.health(&Thresholds::default()).await;
    let is_well = health.as_ref().is_some_and(is_well);
    let status = if is_well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(health))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Arguments { store, listen } = Arguments::parse();
    let trips = single_stream::<Trip>("Trip");
    let ermine = Ermine::open(store).project(trips).daemon(DaemonMode::Solo).start().await?;
    let ermine = Arc::new(ermine);
    let app = Router::new().route("/live", get(live)).route("/ready", get(ready)).with_state(ermine.clone());
    let listener = tokio::net::TcpListener::bind(&listen).await?;
    println!("curl -i http://{}/ready", listener.local_addr()?);
    let served = axum::serve(listener, app).with_graceful_shutdown(async {
        let _ = tokio::signal::ctrl_c().await;
    });
    served.await?;
    if let Ok(ermine) = Arc::try_unwrap(ermine) {
        ermine.stop().await?;
    }
    Ok(())
}

//! The program of the README.

use ermine::prelude::*;

#[derive(DomainEvent)]
enum TripEvent {
    Started { driver: String },
    Travelled { km: f64 },
    Ended,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Trip {
    driver: String,
    km: f64,
    ended: bool,
}

impl Aggregate for Trip {
    type Event = TripEvent;

    fn evolve(trip: Option<Self>, event: &Recorded<TripEvent>) -> Result<Option<Self>, ApplyError> {
        let mut trip = trip.unwrap_or_default();
        match event.data() {
            TripEvent::Started { driver } => trip.driver.clone_from(driver),
            TripEvent::Travelled { km } => trip.km += km,
            TripEvent::Ended => trip.ended = true,
        }
        Ok(Some(trip))
    }
}

#[tokio::main]
async fn main() -> ermine::Result<()> {
    let ermine = Ermine::open("sqlite:trips.db") // or "postgres://user@host/database"
        .project(single_stream::<Trip>("Trip"))
        .daemon(DaemonMode::Solo) // opt-in: without it no daemon runs in this process
        .start()
        .await?;

    let events = [TripEvent::Started { driver: "ada".into() }, TripEvent::Travelled { km: 12.5 }];
    let appended = ermine.append("trip-1", events).await?;
    ermine.wait_for(appended.position()).await?; // read your writes
    println!("{:?}", ermine.load::<Trip>("trip-1").await?);
    ermine.stop().await
}

//! Given events, when others are appended, then the views are these: on every store.

mod admission;
mod changes;
mod evolution;
mod lifecycles;
mod multi_stream;
mod queries;
mod rows;
mod single_stream;
mod stages;

use std::num::NonZeroUsize;

use ermine::{
    Result,
    core::{Registered, TenantId},
    prelude::*,
    testing::ProjectionSpec,
};

use crate::stores::{Fresh, on_every_store};

#[derive(DomainEvent, Clone)]
enum TripEvent {
    Started {
        driver: String,
    },
    Travelled {
        km: i64,
    },
    /// Several legs in one event.
    Legs {
        km: Vec<i64>,
    },
    /// A trip that counts for several people.
    Shared {
        with: Vec<String>,
    },
    Ended,
    Cancelled,
}

fn started(driver: &str) -> TripEvent {
    TripEvent::Started { driver: driver.into() }
}

fn travelled(km: i64) -> TripEvent {
    TripEvent::Travelled { km }
}

fn shared(with: &[&str]) -> TripEvent {
    TripEvent::Shared { with: with.iter().map(ToString::to_string).collect() }
}

/// What one trip comes to; a cancelled one is gone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Trip {
    driver: String,
    km: i64,
    ended: bool,
}

impl Aggregate for Trip {
    type Event = TripEvent;

    fn evolve(trip: Option<Self>, event: &Recorded<TripEvent>) -> Result<Option<Self>, ApplyError> {
        let mut trip = trip.unwrap_or_default();
        match event.data() {
            TripEvent::Started { driver } => trip.driver.clone_from(driver),
            TripEvent::Travelled { km } => trip.km += km,
            TripEvent::Legs { km } => trip.km += km.iter().sum::<i64>(),
            TripEvent::Shared { .. } => {}
            TripEvent::Ended => trip.ended = true,
            TripEvent::Cancelled => return Ok(None),
        }
        Ok(Some(trip))
    }
}

fn trip(driver: &str, km: i64) -> Trip {
    Trip { driver: driver.into(), km, ended: false }
}

/// Every event in the order in which it came: what is lost, doubled or overtakes shows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Diary(Vec<String>);

impl Aggregate for Diary {
    type Event = TripEvent;

    fn evolve(diary: Option<Self>, event: &Recorded<TripEvent>) -> Result<Option<Self>, ApplyError> {
        let mut diary = diary.unwrap_or_default();
        let what = match event.data() {
            TripEvent::Started { driver } => format!("started {driver}"),
            TripEvent::Travelled { km } => format!("{km}"),
            TripEvent::Legs { km } => format!("legs {km:?}"),
            TripEvent::Shared { with } => format!("shared {}", with.join("+")),
            TripEvent::Ended => "ended".into(),
            TripEvent::Cancelled => return Ok(None),
        };
        diary.0.push(format!("{}: {what}", event.stream()));
        Ok(Some(diary))
    }
}

fn diary(lines: &[&str]) -> Diary {
    Diary(lines.iter().map(ToString::to_string).collect())
}

async fn spec(fresh: &Fresh, projections: impl IntoIterator<Item = Registered>) -> Result<ProjectionSpec> {
    ProjectionSpec::new(fresh.store(), projections).await
}

fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

/// Events for a stream, to be added to.
fn of<E: DomainEvent>(stream: &str, events: impl IntoIterator<Item = E>) -> StreamAppend {
    let events = events.into_iter().map(|event| NewEvent::of(&event).unwrap());
    StreamAppend::new(stream.parse().unwrap(), events.collect())
}

fn batch(streams: impl IntoIterator<Item = StreamAppend>) -> AppendBatch {
    streams.into_iter().fold(AppendBatch::new(), AppendBatch::stream)
}

fn at_most(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap()
}

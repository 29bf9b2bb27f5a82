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

use crate::{
    stores::{Fresh, on_every_store},
    trips::{Trip, TripEvent, started, travelled, trip},
};

fn shared(with: &[&str]) -> TripEvent {
    TripEvent::Shared { with: with.iter().map(ToString::to_string).collect() }
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

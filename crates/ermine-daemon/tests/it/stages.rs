//! Members of composites that are told what earlier ones have changed.

use std::sync::Arc;

use ermine_core::{
    Aggregate, ApplyError, ColumnKind, DomainEvent, Projection, Recorded, Registered, Updated, composite,
    flat_table, multi_stream, single_stream,
};
use ermine_daemon::Daemon;
use ermine_memory::MemoryStore;
use serde::{Deserialize, Serialize};

use crate::support::{Rig, Trip, TripEvent, settings, stored, travelled};

/// Events of a stream, and changes of the trip under the same id.
#[derive(DomainEvent)]
#[event(crate = "ermine_core")]
enum ToldEvent {
    #[event(name = "updated:Trip")]
    Updated(Updated<Trip>),
    #[event(name = "trip.travelled")]
    Travelled { km: u64 },
}

/// How often each has happened.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    updates: u64,
    km: u64,
}

impl Aggregate for Told {
    type Event = ToldEvent;

    fn evolve(told: Option<Self>, event: &Recorded<ToldEvent>) -> Result<Option<Self>, ApplyError> {
        let mut told = told.unwrap_or_default();
        match event.data() {
            ToldEvent::Updated(trip) => told.updates += u64::from(trip.id.as_str() == "b"),
            ToldEvent::Travelled { km } => told.km += km,
        }
        Ok(Some(told))
    }
}

/// Changes of the trip "b" come before the stream "b" has begun; its first event then finds a view, in the store alone.
async fn the_first_event_finds_what_changes_have_made(later: impl Fn() -> Arc<dyn Projection>) {
    let store = MemoryStore::new();
    let trips = || multi_stream::<Trip, _, _>("Trip", |_: &Recorded<TripEvent>| "b");
    let run = || {
        let both: Registered = composite("Both").stage([trips().into()]).stage([later()]).into();
        let builder = Daemon::builder(Arc::new(store.clone())).projection(both);
        Rig::run(&store, builder.settings(settings()))
    };
    for (stream, km, expected) in [("a", 1, Told { updates: 1, km: 0 }), ("b", 5, Told { updates: 2, km: 5 })]
    {
        let rig = run();
        let position = rig.append(travelled(stream, [km])).await;
        rig.reach(position).await;
        assert_eq!(stored::<Told>(&store, "Told", "b").await, Some(expected));
        rig.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_view_that_changes_have_made_is_there_at_the_first_event_of_its_stream() {
    the_first_event_finds_what_changes_have_made(|| single_stream::<Told>("Told").into()).await;
}

#[tokio::test]
async fn a_row_that_changes_have_made_is_there_at_the_first_event_of_its_stream() {
    let rows = || {
        flat_table::<ToldEvent>("Told", "told")
            .column_or("updates", ColumnKind::Integer, 0)
            .column_or("km", ColumnKind::Integer, 0)
            .on("updated:Trip", |row| row.increment("updates", 1))
            .on("trip.travelled", |row| row.increment_from("km", "km"))
            .into()
    };
    the_first_event_finds_what_changes_have_made(rows).await;
}

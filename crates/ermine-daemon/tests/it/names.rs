//! Types of events under the names that they have had.

use std::sync::Arc;

use ermine_core::{
    Aggregate, AppendBatch, ApplyError, Body, ColumnKind, DomainEvent, NewEvent, Recorded, StreamAppend,
    TypeName, flat_table, single_stream,
};
use ermine_daemon::Daemon;
use ermine_memory::MemoryStore;
use serde::{Deserialize, Serialize};

use crate::support::{Rig, settings, stored};

#[derive(DomainEvent)]
#[event(crate = "ermine_core", prefix = "ride")]
enum RideEvent {
    #[event(name = "ride.travelled", alias = "ride.moved")]
    Travelled {
        km: u64,
    },
    Ended,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Ride {
    km: u64,
    ends: u64,
}

impl Aggregate for Ride {
    type Event = RideEvent;

    fn evolve(ride: Option<Self>, event: &Recorded<RideEvent>) -> Result<Option<Self>, ApplyError> {
        let mut ride = ride.unwrap_or_default();
        match event.data() {
            RideEvent::Travelled { km } => ride.km += km,
            RideEvent::Ended => ride.ends += 1,
        }
        Ok(Some(ride))
    }
}

/// Events as an older program wrote them, and as this one does.
fn the_past_and_today() -> AppendBatch {
    let older = NewEvent::new(TypeName::new("ride.moved").unwrap(), Body::encode(&Km { km: 3 }).unwrap());
    let today = [RideEvent::Travelled { km: 4 }, RideEvent::Ended].map(|event| NewEvent::of(&event).unwrap());
    let events = [older].into_iter().chain(today).collect();
    AppendBatch::new().stream(StreamAppend::new("a".parse().unwrap(), events))
}

#[derive(Serialize)]
struct Km {
    km: u64,
}

#[tokio::test]
async fn a_type_is_taken_under_all_names_that_it_has_had() {
    let store = MemoryStore::new();
    let rows = flat_table::<RideEvent>("Rows", "rides")
        .column_or("km", ColumnKind::Integer, 0)
        .column_or("ends", ColumnKind::Integer, 0)
        .on("ride.travelled", |row| row.increment_from("km", "km"));
    let builder = Daemon::builder(Arc::new(store.clone()))
        .projection(single_stream::<Ride>("Ride").only(["ride.travelled"]))
        .projection(rows);
    let rig = Rig::run(&store, builder.settings(settings()));
    let position = rig.append(the_past_and_today()).await;
    rig.reach(position).await;
    for projection in ["Ride", "Rows"] {
        assert_eq!(
            stored::<Ride>(&store, projection, "a").await,
            Some(Ride { km: 7, ends: 0 }),
            "{projection}"
        );
    }
    rig.stop().await.unwrap();
}

#[tokio::test]
async fn an_older_name_cannot_be_meant() {
    let store = MemoryStore::new();
    let rows = flat_table::<RideEvent>("Rows", "rides")
        .column("km", ColumnKind::Integer)
        .on("ride.moved", |row| row.map("km"));
    let refused = Daemon::builder(Arc::new(store))
        .projection(single_stream::<Ride>("Ride").only(["ride.moved", "ride.lost"]))
        .projection(rows)
        .build();
    let said = refused.unwrap_err().to_string();
    for part in [
        "what it is to take only: \"ride.moved\" is an older name of \"ride.travelled\": say that",
        "what it is to take only: its events have no type \"ride.lost\": they have ride.travelled, ride.moved, ride.ended",
        "a rule: \"ride.moved\" is an older name of \"ride.travelled\": say that",
    ] {
        assert!(said.contains(part), "{part}\nis not in\n{said}");
    }
}

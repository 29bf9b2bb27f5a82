//! Trips: what most tests here are about.

use ermine::prelude::*;

#[derive(DomainEvent, Clone)]
pub(crate) enum TripEvent {
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

pub(crate) fn started(driver: &str) -> TripEvent {
    TripEvent::Started { driver: driver.into() }
}

pub(crate) fn travelled(km: i64) -> TripEvent {
    TripEvent::Travelled { km }
}

/// What one trip comes to; a cancelled one is gone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Trip {
    pub(crate) driver: String,
    pub(crate) km: i64,
    pub(crate) ended: bool,
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

pub(crate) fn trip(driver: &str, km: i64) -> Trip {
    Trip { driver: driver.into(), km, ended: false }
}

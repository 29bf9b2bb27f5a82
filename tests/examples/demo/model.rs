//! The events of trips, and the views that the daemon keeps of them.

use ermine::prelude::*;

#[derive(Clone, Debug, DomainEvent)]
#[event(prefix = "demo_trip")]
pub(crate) enum TripEvent {
    Started { driver: String },
    Travelled { meters: u64 },
    Stopped { place: String },
    Ended { driver: String, meters: u64 },
}

/// One view per trip.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Trip {
    pub(crate) driver: String,
    pub(crate) meters: u64,
    pub(crate) stops: Vec<String>,
    pub(crate) ended: bool,
    pub(crate) events: u64,
}

impl Trip {
    pub(crate) fn apply(&mut self, event: &TripEvent) {
        self.events += 1;
        match event {
            TripEvent::Started { driver } => self.driver.clone_from(driver),
            TripEvent::Travelled { meters } => self.meters += meters,
            TripEvent::Stopped { place } => self.stops.push(place.clone()),
            TripEvent::Ended { .. } => self.ended = true,
        }
    }
}

impl Aggregate for Trip {
    type Event = TripEvent;

    fn evolve(trip: Option<Self>, event: &Recorded<TripEvent>) -> Result<Option<Self>, ApplyError> {
        let mut trip = trip.unwrap_or_default();
        trip.apply(event.data());
        Ok(Some(trip))
    }
}

/// One view per driver, gathered from the streams of all trips.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DriverTotals {
    pub(crate) started: u64,
    pub(crate) ended: u64,
    pub(crate) meters: u64,
}

impl DriverTotals {
    /// The view that an event belongs to.
    pub(crate) fn view_of(event: &Recorded<TripEvent>) -> Option<String> {
        Self::driver_of(event.data()).map(str::to_owned)
    }

    pub(crate) fn driver_of(event: &TripEvent) -> Option<&str> {
        match event {
            TripEvent::Started { driver } | TripEvent::Ended { driver, .. } => Some(driver),
            _ => None,
        }
    }

    pub(crate) fn apply(&mut self, event: &TripEvent) {
        match event {
            TripEvent::Started { .. } => self.started += 1,
            TripEvent::Ended { meters, .. } => {
                self.ended += 1;
                self.meters += meters;
            }
            _ => {}
        }
    }
}

impl Aggregate for DriverTotals {
    type Event = TripEvent;

    fn evolve(totals: Option<Self>, event: &Recorded<TripEvent>) -> Result<Option<Self>, ApplyError> {
        let mut totals = totals.unwrap_or_default();
        totals.apply(event.data());
        Ok(Some(totals))
    }
}

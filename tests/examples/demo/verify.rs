//! Reads the views back, shows some, and compares all of them with what was appended.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use ermine::{core::ViewId, prelude::*};

use crate::{
    model::{DriverTotals, Trip},
    writer::Ledger,
};

const TRIPS_SHOWN: usize = 6;

pub(crate) struct Verified {
    pub(crate) events: u64,
    pub(crate) views: usize,
    pub(crate) faults: Vec<String>,
}

/// Compares every view of this run with a fold of the writers' own ledger.
pub(crate) async fn compare(ermine: &Ermine, ledger: &Ledger) -> Result<Verified> {
    let mut trips: BTreeMap<&str, Trip> = BTreeMap::new();
    let mut drivers: BTreeMap<&str, DriverTotals> = BTreeMap::new();
    for (stream, events) in &ledger.trips {
        let trip = trips.entry(stream).or_default();
        for event in events {
            trip.apply(event);
            if let Some(driver) = DriverTotals::driver_of(event) {
                drivers.entry(driver).or_default().apply(event);
            }
        }
    }
    let mut verified = Verified { events: 0, views: 0, faults: Vec::new() };
    let found = views::<Trip>(ermine, trips.keys().copied()).await?;
    verified.events = found.iter().flatten().map(|trip| trip.events).sum();
    verified.hold_against(&trips, &found);
    verified.hold_against(&drivers, &views::<DriverTotals>(ermine, drivers.keys().copied()).await?);
    let never_started = ledger.never_started.iter().map(String::as_str);
    for (stream, view) in ledger.never_started.iter().zip(views::<Trip>(ermine, never_started).await?) {
        if let Some(view) = view {
            verified.faults.push(format!("\"{stream}\" was taken back and has a view: {view:?}"));
        }
    }
    let appended = ledger.events() as u64;
    if verified.events != appended {
        verified.faults.push(format!("{appended} events were appended and {} applied", verified.events));
    }
    Ok(verified)
}

impl Verified {
    fn hold_against<V: PartialEq + std::fmt::Debug>(
        &mut self,
        expected: &BTreeMap<&str, V>,
        found: &[Option<V>],
    ) {
        for ((id, expected), found) in expected.iter().zip(found) {
            match found {
                Some(found) if found == expected => self.views += 1,
                Some(found) => self.faults.push(format!("\"{id}\" is {found:?}, appended was {expected:?}")),
                None => self.faults.push(format!("\"{id}\" has no view, appended was {expected:?}")),
            }
        }
    }
}

async fn views<A: Aggregate>(ermine: &Ermine, ids: impl Iterator<Item = &str>) -> Result<Vec<Option<A>>> {
    let ids = ids.map(ViewId::new).collect::<Result<Vec<_>, _>>()?;
    Ok(ermine.load_many(ids).await?)
}

/// A few trips and all drivers, as the store has them.
pub(crate) async fn print_tables(ermine: &Ermine, ledger: &Ledger) -> Result<()> {
    let some = (ledger.trips.len() / TRIPS_SHOWN).max(1);
    println!("\n{:<18} {:<16} {:>8} {:>6} {:>6}", "trip", "driver", "km", "stops", "ended");
    for stream in ledger.trips.keys().step_by(some).take(TRIPS_SHOWN) {
        let trip: Trip =
            ermine.load(stream.as_str()).await?.with_context(|| format!("\"{stream}\" has no view"))?;
        let ended = if trip.ended { "yes" } else { "no" };
        println!(
            "{stream:<18} {:<16} {:>8} {:>6} {ended:>6}",
            trip.driver,
            km(trip.meters),
            trip.stops.len()
        );
    }
    println!("..");

    let drivers = ledger.trips.values().flatten().filter_map(DriverTotals::driver_of);
    let drivers: std::collections::BTreeSet<&str> = drivers.collect();
    let found = views::<DriverTotals>(ermine, drivers.iter().copied()).await?;
    let mut all = DriverTotals::default();
    println!("\n{:<18} {:>8} {:>8} {:>10}", "driver", "trips", "ended", "km");
    for (driver, totals) in drivers.iter().zip(found) {
        let totals = totals.with_context(|| format!("\"{driver}\" has no view"))?;
        println!("{driver:<18} {:>8} {:>8} {:>10}", totals.started, totals.ended, km(totals.meters));
        all.started += totals.started;
        all.ended += totals.ended;
        all.meters += totals.meters;
    }
    println!("{:<18} {:>8} {:>8} {:>10}\n", "all", all.started, all.ended, km(all.meters));
    Ok(())
}

fn km(meters: u64) -> String {
    format!("{}.{:03}", meters / 1_000, meters % 1_000)
}

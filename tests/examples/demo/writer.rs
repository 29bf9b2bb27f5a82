//! One of the concurrent writers, and the ledger of what it appended.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::Result;
use ermine::{core::ports::Store, prelude::*};
use tokio::time::{MissedTickBehavior, interval};

use crate::{backend::Appender, model::TripEvent, progress::Counters};

const DRIVERS: [&str; 10] =
    ["ada", "alan", "barbara", "dennis", "edsger", "grace", "ken", "lynn", "niklaus", "radia"];
const PLACES: [&str; 8] =
    ["airport", "bridge", "cathedral", "harbour", "library", "market", "museum", "station"];
/// At most one append per writer in this time, so that there is something to look at.
const APPEND_EVERY: Duration = Duration::from_millis(4);
/// A leg that was never travelled: it stands out should an append that was taken back reach a view.
const NEVER_TRAVELLED: u64 = 1_000_000_000;

/// What was appended, as the writers remember it.
#[derive(Default)]
pub(crate) struct Ledger {
    /// The committed events of every trip.
    pub(crate) trips: BTreeMap<String, Vec<TripEvent>>,
    /// Trips of which every append was taken back.
    pub(crate) never_started: Vec<String>,
    pub(crate) taken_back_events: u64,
    pub(crate) last: Option<Position>,
}

impl Ledger {
    pub(crate) fn add(&mut self, other: Self) {
        self.trips.extend(other.trips);
        self.never_started.extend(other.never_started);
        self.taken_back_events += other.taken_back_events;
        self.last = self.last.max(other.last);
    }

    pub(crate) fn events(&self) -> usize {
        self.trips.values().map(Vec::len).sum()
    }
}

pub(crate) struct Writer {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) appender: Appender,
    pub(crate) counters: Arc<Counters>,
    pub(crate) run: String,
}

impl Writer {
    /// Makes the trips with these numbers, one after the other. Every eleventh never starts, and in every fourth a leg is
    /// appended, taken back, and appended with what really happened.
    pub(crate) async fn run(mut self, numbers: impl Iterator<Item = u32>) -> Result<Ledger> {
        let mut ledger = Ledger::default();
        let mut pace = interval(APPEND_EVERY);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for number in numbers {
            let stream = format!("{}trip-{number:04}", self.run);
            let appends = appends(&self.run, number);
            if number % 11 == 7 {
                pace.tick().await;
                self.take_back(&stream, &appends[0], &mut ledger).await?;
                ledger.never_started.push(stream);
                continue;
            }
            for (nth, events) in appends.into_iter().enumerate() {
                pace.tick().await;
                if number % 4 == 1 && nth == 1 {
                    let regretted = [TripEvent::Travelled { meters: NEVER_TRAVELLED }];
                    self.take_back(&stream, &regretted, &mut ledger).await?;
                }
                let appended = self.store.append(batch(&stream, &events)?).await?;
                self.counters.appended(events.len(), appended.position());
                ledger.last = ledger.last.max(Some(appended.position()));
                ledger.trips.entry(stream.clone()).or_default().extend(events);
            }
        }
        Ok(ledger)
    }

    async fn take_back(&mut self, stream: &str, events: &[TripEvent], ledger: &mut Ledger) -> Result<()> {
        self.appender.take_back(batch(stream, events)?).await?;
        self.counters.taken_back(events.len());
        ledger.taken_back_events += events.len() as u64;
        Ok(())
    }
}

fn batch(stream: &str, events: &[TripEvent]) -> Result<AppendBatch> {
    let events = events.iter().map(NewEvent::of).collect::<Result<Vec<_>, _>>()?;
    Ok(AppendBatch::new().stream(StreamAppend::new(StreamId::new(stream)?, events)))
}

/// The appends that a trip consists of: a start, some legs, an end.
fn appends(run: &str, number: u32) -> Vec<Vec<TripEvent>> {
    let pick = |from: &[&'static str], nth: u32| from[nth as usize % from.len()];
    let driver = format!("{run}{}", pick(&DRIVERS, number));
    let legs = 2 + number % 5;
    let mut meters = 0;
    let mut travel = |leg: u32| {
        let leg_meters = u64::from(400 + (number * 37 + leg * 911) % 5_600);
        meters += leg_meters;
        TripEvent::Travelled { meters: leg_meters }
    };
    let mut appends = vec![vec![TripEvent::Started { driver: driver.clone() }, travel(0)]];
    for leg in 1..legs {
        let place = pick(&PLACES, number + leg * 3).to_owned();
        appends.push(vec![TripEvent::Stopped { place }, travel(leg)]);
    }
    appends.push(vec![TripEvent::Ended { driver, meters }]);
    appends
}

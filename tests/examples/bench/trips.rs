//! The workload: trips of ten events each, and the views that are built of them.

use anyhow::Result;
use ermine::prelude::*;
use ermine_testkit::pg::OwnedClient;

/// The projection that is measured.
pub(crate) const PROJECTION: &str = "trips";
pub(crate) const EVENTS_PER_TRIP: i64 = 10;

#[derive(Debug, DomainEvent)]
pub(crate) enum TripEvent {
    Started { driver: String },
    Travelled { km: f64 },
    Stopped,
    Ended,
}

/// What is kept of a trip. The bodies in the log hold more than this needs, as they do.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Trip {
    driver: String,
    km: f64,
    stops: u32,
    ended: bool,
}

impl Trip {
    pub(crate) fn apply(&mut self, event: &TripEvent) {
        match event {
            TripEvent::Started { driver } => self.driver.clone_from(driver),
            TripEvent::Travelled { km } => self.km += km,
            TripEvent::Stopped => self.stops += 1,
            TripEvent::Ended => self.ended = true,
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

/// Counts the events of ten neighbouring trips.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Sum {
    events: u64,
}

impl Sum {
    /// All but the last digit of the trip's number.
    pub(crate) fn view_of(event: &Recorded<TripEvent>) -> String {
        let stream = event.stream().as_str();
        stream[..stream.len() - 1].to_owned()
    }
}

impl Aggregate for Sum {
    type Event = TripEvent;

    fn evolve(sum: Option<Self>, _: &Recorded<TripEvent>) -> Result<Option<Self>, ApplyError> {
        let mut sum = sum.unwrap_or_default();
        sum.events += 1;
        Ok(Some(sum))
    }
}

/// In which order the events of the trips stand in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// One trip after the other.
    Stream,
    /// As 8 writers leave it that have 10 open trips each and write to one after the other.
    Interleaved,
}

impl Order {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Stream => "stream order",
            Self::Interleaved => "interleaved",
        }
    }

    /// By what the events are sorted: trip `s` from 0 on, version `v`. The trips that a writer has open are at
    /// different stages, so at any moment one of them is ending and the next one starts.
    const fn sort_key(self) -> &'static str {
        match self {
            Self::Stream => "s, v",
            Self::Interleaved => "(s / 80) * 10 + v + s % 80 / 8, s % 80",
        }
    }
}

/// Writes `streams` trips into an empty log: with the floor taken, so as safe as any append, but in one statement.
/// Kilometres are multiples of a quarter, so their sums are exact in any order.
pub(crate) async fn seed(client: &OwnedClient, streams: i64, order: Order) -> Result<()> {
    let sort_key = order.sort_key();
    let events = format!(
        r#"insert into ermine.events (version, id, stream_id, type, data)
select v, ('01900000-0000-7000-8000-' || lpad(to_hex(s * 10 + v), 12, '0'))::uuid, 'trip-' || lpad(s::text, 7, '0'),
  case when v = 1 then 'trip.started' when v = 10 then 'trip.ended' when v in (4, 7) then 'trip.stopped'
    else 'trip.travelled' end,
  (case when v = 1 then format(
      '{{"driver":"driver-%s","vehicle":"van-%s","city":"Lisbon","passengers":%s,"tariff":"night","at":"2026-03-14T09:%s:53Z","note":"pick up at the side entrance"}}',
      lpad((s % 977)::text, 4, '0'), s % 61, 1 + s % 4, 10 + s % 50)
    when v = 10 then format(
      '{{"rating":%s,"fare_cents":%s,"paid_by":"card","at":"2026-03-14T10:%s:12Z","place":{{"lat":38.7%s,"lon":-9.1%s}},"note":"left a black umbrella behind"}}',
      1 + s % 5, 900 + s % 4000, 10 + s % 50, 100 + s % 900, 100 + s % 800)
    when v in (4, 7) then format(
      '{{"seconds":%s,"reason":"traffic light","at":"2026-03-14T09:%s:%sZ","place":{{"lat":38.7%s,"lon":-9.1%s}},"street":"Avenida da Liberdade"}}',
      5 + s % 90, 10 + s % 50, 10 + v, 100 + s % 900, 100 + s % 800)
    else format(
      '{{"km":%s,"from":{{"lat":38.7%s,"lon":-9.1%s}},"to":{{"lat":38.7%s,"lon":-9.1%s}},"speed":%s,"heading":%s,"at":"2026-03-14T09:%s:%sZ"}}',
      (1 + (s * 7 + v) % 39) * 0.25, 100 + s % 900, 100 + s % 800, 101 + s % 880, 102 + s % 780, 20 + (s + v) % 60,
      (s * 13 + v) % 360, 10 + s % 50, 10 + v)
  end)::json
from generate_series(0, $1::bigint - 1) as s, generate_series(1, 10) as v
order by {sort_key}"#
    );
    client.execute(events.as_str(), &[&streams]).await?;
    let versions = "insert into ermine.streams (stream_id, version) \
        select 'trip-' || lpad(s::text, 7, '0'), 10 from generate_series(0, $1::bigint - 1) as s";
    client.execute(versions, &[&streams]).await?;
    Ok(())
}

/// The limit: the server builds the same documents out of the same events into a table like that of the views.
pub(crate) const LIMIT: &str = "
insert into limit_views (tenant, id, data, version, seq)
select e.tenant, e.stream_id,
  jsonb_build_object(
    'driver', max(e.data->>'driver') filter (where e.type = 'trip.started'),
    'km', coalesce(sum((e.data->>'km')::float8) filter (where e.type = 'trip.travelled'), 0),
    'stops', count(*) filter (where e.type = 'trip.stopped'),
    'ended', bool_or(e.type = 'trip.ended')),
  max(e.version), max(e.seq)
from ermine.events e
where e.seq > 0 and e.seq <= $1
group by e.tenant, e.stream_id";

/// What a peer does for every event.
pub(crate) const UPSERT: &str = "
insert into field_views (tenant, id, data, version, seq) values ($1, $2, $3, $4, $5)
on conflict (tenant, id) do update
set data = excluded.data, version = excluded.version, seq = excluded.seq, updated_at = excluded.updated_at";

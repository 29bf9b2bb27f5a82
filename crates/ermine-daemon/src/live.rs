//! Aggregating one stream when somebody asks.

use std::num::NonZeroUsize;

use ermine_core::{
    Aggregate, ApplyError, DomainEvent, Error, Event, Recorded, Result, StoredView, StreamId, TenantId,
    Timestamp, Version, ViewKey, ViewTable, ports::Store,
};

/// How many events are read at once.
const EVENTS_MAX: NonZeroUsize = NonZeroUsize::new(1_000).expect("not 0");

/// How far a stream is aggregated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Until {
    /// To its last event.
    #[default]
    Now,
    /// To this version, which is applied; to the last event where the stream has not come so far.
    Version(Version),
    /// To the last event that was recorded at this moment or before.
    Time(Timestamp),
}

/// The state of one stream at one of its versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Current<A> {
    /// The state; `None` where there is none, or not any more.
    pub state: Option<A>,
    /// The last event that it was made of; 0 for a stream without events.
    pub version: Version,
}

/// Folds the events of a stream, from the first one on.
///
/// # Errors
///
/// The event that was refused, and those of the connection.
///
/// # Cancellation
///
/// Safe: it only reads.
pub async fn aggregate_stream<A: Aggregate>(
    store: &dyn Store,
    tenant: &TenantId,
    stream: &StreamId,
    until: Until,
) -> Result<Current<A>> {
    let nothing = Current { state: None, version: Version::ZERO };
    fold_on(store, tenant, stream, nothing, until).await
}

/// The current state of a stream, whatever the lifecycle of its projection: the stored view in `table`, where there is one,
/// and the events after it.
///
/// # Errors
///
/// The event that was refused, a stored view that is not an `A`, and those of the connection.
///
/// # Cancellation
///
/// Safe: it only reads.
pub async fn fetch_latest<A: Aggregate>(
    store: &dyn Store,
    table: Option<&ViewTable>,
    tenant: &TenantId,
    stream: &StreamId,
) -> Result<Current<A>> {
    let stored = match table {
        Some(table) => {
            let key = ViewKey { tenant: tenant.clone(), id: stream.clone().into() };
            store.load_views(table, &[key]).await?.into_iter().next().flatten()
        }
        None => None,
    };
    let start = match stored {
        Some(view) => Current { state: Some(decode(stream, &view)?), version: view.version },
        None => Current { state: None, version: Version::ZERO },
    };
    fold_on(store, tenant, stream, start, Until::Now).await
}

async fn fold_on<A: Aggregate>(
    store: &dyn Store,
    tenant: &TenantId,
    stream: &StreamId,
    mut current: Current<A>,
    until: Until,
) -> Result<Current<A>> {
    loop {
        let events = store.read_stream(tenant, stream, current.version, EVENTS_MAX).await?;
        let is_last = events.len() < EVENTS_MAX.get();
        for event in events {
            let is_over = match until {
                Until::Now => false,
                Until::Version(version) => event.version > version,
                Until::Time(moment) => event.recorded_at > moment,
            };
            if is_over {
                return Ok(current);
            }
            let version = event.version;
            if <A::Event as DomainEvent>::TYPES.contains(&event.type_name.as_str()) {
                current.state = apply(current.state, event)?;
            }
            current.version = version;
        }
        if is_last {
            return Ok(current);
        }
    }
}

fn apply<A: Aggregate>(state: Option<A>, event: Event) -> Result<Option<A>> {
    let data = <A::Event as DomainEvent>::decode(&event.type_name, &event.body);
    let data = data.map_err(|e| Error::from(ermine_core::Failure::serialization(&event, e)))?;
    let recorded = Recorded::new(event, data);
    let refused = |e: ApplyError| Error::from(ermine_core::Failure::apply(recorded.raw(), e));
    A::evolve(state, &recorded).map_err(refused)
}

fn decode<A: Aggregate>(stream: &StreamId, view: &StoredView) -> Result<A> {
    view.body.decode().map_err(|e| {
        let name = std::any::type_name::<A>();
        Error::serialization(format!("the stored view \"{stream}\" is not a {name}")).with_source(e)
    })
}

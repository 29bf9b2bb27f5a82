//! Testing projections without a daemon, without waiting: given these events, when those are appended, then the views are.

use std::{collections::BTreeMap, fmt::Debug, sync::Arc};

use ermine_core::{
    AppendBatch, Appended, DomainEvent, Error, NewEvent, Registered, Result, StreamAppend, StreamId,
    TenantId, ViewId, ports::Store,
};
use serde::de::DeserializeOwned;

use crate::Ermine;

/// One scenario for projections, on any store. Each step that appends also brings the projections up to date.
///
/// ```
/// # use ermine::{prelude::*, testing::ProjectionSpec};
/// # #[derive(DomainEvent)]
/// # enum TripEvent { Travelled { km: u64 }, Ended }
/// # #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
/// # struct Trip { km: u64 }
/// # impl Aggregate for Trip {
/// #     type Event = TripEvent;
/// #     fn evolve(trip: Option<Self>, event: &Recorded<TripEvent>) -> Result<Option<Self>, ApplyError> {
/// #         let mut trip = trip.unwrap_or_default();
/// #         match event.data() {
/// #             TripEvent::Travelled { km } => trip.km += km,
/// #             TripEvent::Ended => return Ok(None),
/// #         }
/// #         Ok(Some(trip))
/// #     }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> ermine::Result<()> {
/// let store = std::sync::Arc::new(ermine_memory::MemoryStore::new());
/// let mut spec = ProjectionSpec::new(store, [single_stream::<Trip>("Trip").into()]).await?;
/// spec.given("trip-1", [TripEvent::Travelled { km: 3 }]).await?;
/// spec.when("trip-1", [TripEvent::Travelled { km: 4 }]).await?;
/// spec.then("Trip", "trip-1", Some(Trip { km: 7 })).await?;
/// spec.when("trip-1", [TripEvent::Ended]).await?;
/// spec.then("Trip", "trip-1", None::<Trip>).await
/// # }
/// ```
#[derive(Debug)]
pub struct ProjectionSpec {
    ermine: Ermine,
    told: Vec<String>,
}

impl ProjectionSpec {
    /// Starts on an empty store.
    ///
    /// # Errors
    ///
    /// What the projections have against each other, and those of the connection.
    pub async fn new(
        store: Arc<dyn Store>,
        projections: impl IntoIterator<Item = Registered>,
    ) -> Result<Self> {
        let builder = projections.into_iter().fold(Ermine::with_store(store), crate::ErmineBuilder::project);
        Ok(Self::of(builder.start().await?))
    }

    /// Goes on with a host that was put together in any other way, without a daemon.
    #[must_use]
    pub const fn of(ermine: Ermine) -> Self {
        Self { ermine, told: Vec::new() }
    }

    /// Events that are there before.
    ///
    /// # Errors
    ///
    /// Those of the append, and of projections that refuse the events.
    pub async fn given<E: DomainEvent>(
        &mut self,
        stream: &str,
        events: impl IntoIterator<Item = E>,
    ) -> Result<()> {
        self.append("given", stream, events).await
    }

    /// What happens then.
    ///
    /// # Errors
    ///
    /// Those of the append, and of projections that refuse the events.
    pub async fn when<E: DomainEvent>(
        &mut self,
        stream: &str,
        events: impl IntoIterator<Item = E>,
    ) -> Result<()> {
        self.append("when", stream, events).await
    }

    /// What happens then, where it takes more than events to say it: tenants, metadata, several streams at once.
    ///
    /// # Errors
    ///
    /// Those of [`when`](Self::when).
    pub async fn when_batch(&mut self, batch: AppendBatch) -> Result<Appended> {
        for append in batch.streams() {
            let StreamAppend { tenant, stream, events, .. } = append;
            let of =
                if tenant.as_str().is_empty() { String::new() } else { format!(" of tenant \"{tenant}\"") };
            self.told.push(format!("when \"{stream}\"{of}: {}", describe(events)));
        }
        let appended = self.ermine.append_batch(batch).await?;
        self.ermine.catch_up().await?;
        Ok(appended)
    }

    /// What the view `id` of a projection has to be; `None` means that there must be none.
    ///
    /// # Errors
    ///
    /// When it is something else, with everything that led there.
    pub async fn then<T>(&self, projection: &str, id: &str, expected: Option<T>) -> Result<()>
    where
        T: DeserializeOwned + PartialEq + Debug + 'static,
    {
        self.then_of(&TenantId::default(), projection, id, expected).await
    }

    /// The same for a view of a tenant.
    ///
    /// # Errors
    ///
    /// Those of [`then`](Self::then).
    pub async fn then_of<T>(
        &self,
        tenant: &TenantId,
        projection: &str,
        id: &str,
        expected: Option<T>,
    ) -> Result<()>
    where
        T: DeserializeOwned + PartialEq + Debug + 'static,
    {
        let actual = self.ermine.query_of::<T>(projection)?.tenant(tenant.clone()).load(id).await?;
        if actual == expected {
            return Ok(());
        }
        Err(self
            .otherwise(&format!("then view \"{id}\" of {projection} is {expected:?}, but it is {actual:?}")))
    }

    /// What all views of a projection have to be: these and no others.
    ///
    /// # Errors
    ///
    /// When they are not, with everything that led there.
    pub async fn then_all<T>(
        &self,
        projection: &str,
        expected: impl IntoIterator<Item = (&str, T)>,
    ) -> Result<()>
    where
        T: DeserializeOwned + PartialEq + Debug + 'static,
    {
        let actual: BTreeMap<ViewId, T> =
            self.ermine.query_of(projection)?.all().await?.into_iter().collect();
        let expected = expected.into_iter().map(|(id, view)| Ok((ViewId::new(id)?, view)));
        let expected: BTreeMap<ViewId, T> = expected.collect::<Result<_>>()?;
        if actual == expected {
            return Ok(());
        }
        Err(self
            .otherwise(&format!("then the views of {projection} are {expected:?}, but they are {actual:?}")))
    }

    /// The host, for whatever else there is to look at.
    #[must_use]
    pub const fn ermine(&self) -> &Ermine {
        &self.ermine
    }

    async fn append<E: DomainEvent>(
        &mut self,
        word: &str,
        stream: &str,
        events: impl IntoIterator<Item = E>,
    ) -> Result<()> {
        let events = events.into_iter().map(|event| NewEvent::of(&event)).collect::<Result<Vec<_>>>()?;
        self.told.push(format!("{word} \"{stream}\": {}", describe(&events)));
        if !events.is_empty() {
            let append = StreamAppend::new(StreamId::new(stream)?, events);
            self.ermine.append_batch(AppendBatch::new().stream(append)).await?;
        }
        self.ermine.catch_up().await.map(drop)
    }

    fn otherwise(&self, what: &str) -> Error {
        Error::fatal(format!("{what}; {}", self.told.join("; ")))
    }
}

fn describe(events: &[NewEvent]) -> String {
    let events: Vec<String> =
        events.iter().map(|event| format!("{} {:?}", event.type_name(), event.body())).collect();
    events.join(", ")
}

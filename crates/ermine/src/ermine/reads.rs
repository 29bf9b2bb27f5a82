//! Views and streams.

use std::{
    any::{TypeId, type_name},
    time::Duration,
};

use ermine_core::{
    Aggregate, DomainEvent, Error, ErrorKind, ProjectionName, Result, StreamId, TenantId, Version, ViewId,
    ViewKey,
};
use ermine_daemon::{RegisteredProjection, Until, aggregate_stream, fetch_latest};
use serde::de::DeserializeOwned;

use super::Ermine;
use crate::{ForWriting, OnTimeout, Query, query::decode};

impl Ermine {
    /// The view `id` of the projection whose views are of type `T`; `None` when there is no such view.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) when no projection, or more than one, has views of that type (of several versions of one
    /// it is the lowest); [`Serialization`](ErrorKind::Serialization) when the stored view is not a `T`.
    pub async fn load<T: DeserializeOwned + 'static>(
        &self,
        id: impl TryInto<ViewId, Error = impl Into<Error>>,
    ) -> Result<Option<T>> {
        let id = id.try_into().map_err(Into::into)?;
        Ok(self.load_many([id]).await?.into_iter().next().flatten())
    }

    /// The views `ids`, in that order, with one read.
    ///
    /// # Errors
    ///
    /// Those of [`load`](Ermine::load).
    pub async fn load_many<T: DeserializeOwned + 'static>(
        &self,
        ids: impl IntoIterator<Item = ViewId>,
    ) -> Result<Vec<Option<T>>> {
        let keys: Vec<ViewKey> = ids.into_iter().map(ViewKey::new).collect();
        let table = self.projection::<T>()?.definition.table();
        let stored = self.store.load_views(&table, &keys).await?;
        let views = stored.into_iter().zip(&keys);
        views.map(|(view, key)| view.map(|view| decode(&key.id, &view)).transpose()).collect()
    }

    /// The view `id` with its version: of a single-stream aggregate the number of the last event applied, else how many have
    /// been.
    ///
    /// # Errors
    ///
    /// Those of [`load`](Ermine::load).
    pub async fn load_with_version<T: DeserializeOwned + 'static>(
        &self,
        id: impl TryInto<ViewId, Error = impl Into<Error>>,
    ) -> Result<Option<(T, Version)>> {
        let key = ViewKey::new(id.try_into().map_err(Into::into)?);
        let table = self.projection::<T>()?.definition.table();
        let stored =
            self.store.load_views(&table, std::slice::from_ref(&key)).await?.into_iter().next().flatten();
        stored.map(|view| decode(&key.id, &view).map(|decoded| (decoded, view.version))).transpose()
    }

    /// The same as [`query`](Ermine::query), of views that show everything that is committed at the time of the call: it
    /// waits for that, or fails with [`TimedOut`](ErrorKind::TimedOut).
    ///
    /// # Errors
    ///
    /// Those of [`query`](Ermine::query).
    pub fn query_non_stale<T: DeserializeOwned + 'static>(&self, timeout: Duration) -> Result<Query<'_, T>> {
        Ok(self.query()?.non_stale(timeout, OnTimeout::Fail))
    }

    /// Asks for views of type `T`: which, in what order, how many.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) when no projection, or more than one, has views of that type: then
    /// [`query_of`](Ermine::query_of) takes the name.
    pub fn query<T: DeserializeOwned + 'static>(&self) -> Result<Query<'_, T>> {
        Ok(Query::new(self, self.projection::<T>()?))
    }

    /// Asks for views of the projection `name`, of the lowest version that is registered, which is the one in service while a
    /// new one catches up: see [`Query::version`]. The rows of a flat table, for
    /// example, which decode into any type with a field for each column that is wanted.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) when no projection of that name is registered, or it keeps no views.
    pub fn query_of<T: DeserializeOwned + 'static>(&self, name: &str) -> Result<Query<'_, T>> {
        let named = self.projections.iter().filter(|p| p.definition.name.as_str() == name);
        match named.filter(|p| p.definition.has_views).min_by_key(|p| p.definition.version) {
            Some(projection) => Ok(Query::new(self, projection)),
            None => Err(Error::new(
                ErrorKind::NotFound,
                format!(
                    "no projection \"{name}\" that keeps views is registered; registered are: {}",
                    self.names()
                ),
            )),
        }
    }

    /// Folds the events of a stream into an `A`, whether a projection of it is registered or not.
    ///
    /// # Errors
    ///
    /// The event that was refused, and those of the connection.
    pub async fn aggregate_stream<A: Aggregate>(
        &self,
        stream: impl TryInto<StreamId, Error = impl Into<Error>>,
        until: Until,
    ) -> Result<Option<A>> {
        let stream = stream.try_into().map_err(Into::into)?;
        let current = aggregate_stream(&*self.store, &TenantId::default(), &stream, until).await?;
        Ok(current.state)
    }

    /// The current state of a stream, whatever the lifecycle of the single-stream projection that has views of type `A`: the
    /// stored view and the events after it; without a stored view, all events.
    ///
    /// # Errors
    ///
    /// The event that was refused, and those of the connection.
    pub async fn fetch_latest<A: Aggregate>(
        &self,
        stream: impl TryInto<StreamId, Error = impl Into<Error>>,
    ) -> Result<Option<A>> {
        Ok(self.fetch_for_writing(stream).await?.into_state())
    }

    /// The same with the version of the stream, to append what follows from it: the append fails if anybody has appended
    /// meanwhile.
    ///
    /// # Errors
    ///
    /// Those of [`fetch_latest`](Ermine::fetch_latest).
    pub async fn fetch_for_writing<A: Aggregate>(
        &self,
        stream: impl TryInto<StreamId, Error = impl Into<Error>>,
    ) -> Result<ForWriting<'_, A>> {
        let stream = stream.try_into().map_err(Into::into)?;
        // A projection that leaves out events does not hold the state of the stream.
        let of_stream = |p: &&RegisteredProjection| {
            let (d, all) = (&p.definition, <A::Event as DomainEvent>::TYPES);
            d.is_stream_state
                && d.has_views
                && d.stream_type.is_none()
                && d.view_type.is_some_and(|view| view.id == TypeId::of::<A>())
                && all.iter().all(|name| d.types.iter().any(|wanted| wanted.as_str() == *name))
        };
        let table = self.projections.iter().find(of_stream).map(|p| p.definition.table());
        let current = fetch_latest(&*self.store, table.as_ref(), &TenantId::default(), &stream).await?;
        Ok(ForWriting::new(self, stream, current))
    }

    fn projection<T: 'static>(&self) -> Result<&RegisteredProjection> {
        let has_type = |p: &&RegisteredProjection| {
            p.definition.has_views && p.definition.view_type.is_some_and(|view| view.id == TypeId::of::<T>())
        };
        let matching = || self.projections.iter().filter(has_type);
        let lowest = matching().min_by_key(|p| p.definition.version);
        let other =
            matching().find(|p| lowest.is_some_and(|lowest| p.definition.name != lowest.definition.name));
        match (lowest, other) {
            (Some(projection), None) => Ok(projection),
            (None, _) => {
                let known: Vec<&str> = self
                    .projections
                    .iter()
                    .filter_map(|p| p.definition.view_type)
                    .map(|view| view.name)
                    .collect();
                Err(Error::new(
                    ErrorKind::NotFound,
                    format!(
                        "no projection with views of type {} is registered; the types are: {}",
                        type_name::<T>(),
                        if known.is_empty() { "none".to_owned() } else { known.join(", ") }
                    ),
                ))
            }
            (Some(one), Some(other)) => Err(Error::new(
                ErrorKind::NotFound,
                format!(
                    "both {} and {} have views of type {}: ask with query_of for the one you mean",
                    one.definition.shard(),
                    other.definition.shard(),
                    type_name::<T>()
                ),
            )),
        }
    }

    pub(crate) fn version_of_projection(
        &self,
        name: &ProjectionName,
        version: u32,
    ) -> Result<&RegisteredProjection> {
        let is_meant = |p: &&RegisteredProjection| {
            p.definition.name == *name && p.definition.version == version && p.definition.has_views
        };
        self.projections.iter().find(is_meant).ok_or_else(|| {
            let doing =
                format!("no version {version} of projection \"{name}\" that keeps views is registered");
            Error::new(ErrorKind::NotFound, doing)
        })
    }

    fn names(&self) -> String {
        let names: Vec<&str> = self.projections.iter().map(|p| p.definition.name.as_str()).collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    }
}

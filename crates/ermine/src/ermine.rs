use std::{
    any::{TypeId, type_name},
    num::NonZeroUsize,
    sync::Arc,
    time::Duration,
};

use ermine_core::{
    Aggregate, AppendBatch, Appended, Definition, DomainEvent, Error, ErrorKind, Event, ExpectedVersion,
    NewEvent, Position, Progress, Result, ShardName, Statistics, StoredView, StreamAppend, StreamId,
    TenantId, Version, ViewId, ViewKey, ViewQuery, ports::Store,
};
use ermine_daemon::{Daemon, Handle, ShardStatus, wait_for_stored};
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::ErmineBuilder;

/// An open store with what is registered for it, and the daemon where this process runs one.
///
/// Dropping it ends the daemon at once; [`stop`](Ermine::stop) lets it finish what it has begun.
#[derive(Debug)]
pub struct Ermine {
    store: Arc<dyn Store>,
    definitions: Vec<Definition>,
    daemon: Option<Running>,
    wait_timeout: Duration,
}

#[derive(Debug)]
struct Running {
    handle: Handle,
    stop: DropGuard,
    tasks: JoinSet<Result<()>>,
}

impl Ermine {
    /// Starts to put a host together over the store that `url` names: `postgres://user@host/database`, or `memory:`.
    pub fn open(url: impl Into<String>) -> ErmineBuilder {
        ErmineBuilder::url(url.into())
    }

    /// The same over a store that is open already, of any adapter.
    pub fn with_store(store: Arc<dyn Store>) -> ErmineBuilder {
        ErmineBuilder::store(store)
    }

    pub(crate) fn new(
        store: Arc<dyn Store>,
        definitions: Vec<Definition>,
        daemon: Option<Daemon>,
        wait_timeout: Duration,
    ) -> Self {
        let daemon = daemon.map(|daemon| {
            let (handle, stop, mut tasks) = (daemon.handle(), CancellationToken::new(), JoinSet::new());
            tasks.spawn(daemon.run(stop.clone()));
            Running { handle, stop: stop.drop_guard(), tasks }
        });
        Self { store, definitions, daemon, wait_timeout }
    }

    /// Appends events to a stream, whatever its version.
    ///
    /// # Errors
    ///
    /// Those of [`EventAppender::append`](ermine_core::ports::EventAppender::append).
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves open whether the events were appended; they are all there or none is.
    pub async fn append<E: DomainEvent>(
        &self,
        stream: impl TryInto<StreamId, Error = impl Into<Error>>,
        events: impl IntoIterator<Item = E>,
    ) -> Result<Appended> {
        self.append_expecting(stream, ExpectedVersion::Any, events).await
    }

    /// Appends events to a stream that must be as `expected`.
    ///
    /// # Errors
    ///
    /// [`VersionConflict`](ErrorKind::VersionConflict) with both versions, and those of [`append`](Ermine::append).
    ///
    /// # Cancellation
    ///
    /// As [`append`](Ermine::append).
    pub async fn append_expecting<E: DomainEvent>(
        &self,
        stream: impl TryInto<StreamId, Error = impl Into<Error>>,
        expected: ExpectedVersion,
        events: impl IntoIterator<Item = E>,
    ) -> Result<Appended> {
        let events = events.into_iter().map(|e| NewEvent::of(&e)).collect::<Result<Vec<_>>>()?;
        let stream = stream.try_into().map_err(Into::into)?;
        self.append_batch(AppendBatch::new().stream(StreamAppend::new(stream, events).expecting(expected)))
            .await
    }

    /// Appends to many streams at once, all or nothing.
    ///
    /// # Errors
    ///
    /// Those of [`EventAppender::append`](ermine_core::ports::EventAppender::append).
    ///
    /// # Cancellation
    ///
    /// As [`append`](Ermine::append).
    pub async fn append_batch(&self, batch: AppendBatch) -> Result<Appended> {
        self.store.append(batch).await
    }

    /// Up to `limit` events of a stream after version `after`, in order.
    ///
    /// # Errors
    ///
    /// Those of the connection.
    pub async fn read_stream(
        &self,
        stream: &StreamId,
        after: Version,
        limit: NonZeroUsize,
    ) -> Result<Vec<Event>> {
        self.store.read_stream(&TenantId::default(), stream, after, limit).await
    }

    /// Waits until every registered projection shows `position`: how to read one's own writes.
    ///
    /// Where the daemon runs in this process, waiting is a notification; elsewhere stored progress is looked at.
    ///
    /// # Errors
    ///
    /// [`TimedOut`](ErrorKind::TimedOut) after the builder's `wait_timeout`, naming each projection that lags and why;
    /// [`Stopped`](ErrorKind::Stopped) when one has stopped.
    ///
    /// # Cancellation
    ///
    /// Safe: it only waits.
    pub async fn wait_for(&self, position: Position) -> Result<()> {
        self.wait_for_within(position, self.wait_timeout).await
    }

    /// The same with a time-out of its own.
    ///
    /// # Errors
    ///
    /// Those of [`wait_for`](Ermine::wait_for).
    pub async fn wait_for_within(&self, position: Position, timeout: Duration) -> Result<()> {
        match &self.daemon {
            Some(running) => running.handle.wait_for(position, timeout).await,
            None => {
                let shards: Vec<ShardName> = self.definitions.iter().map(Definition::shard).collect();
                wait_for_stored(&*self.store, &shards, position, timeout).await
            }
        }
    }

    /// The view `id` of the projection whose views are of type `A`; `None` when there is no such view.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) when no projection, or more than one, has views of that type;
    /// [`Serialization`](ErrorKind::Serialization) when the stored view is not an `A`.
    pub async fn load<A: Aggregate>(
        &self,
        id: impl TryInto<ViewId, Error = impl Into<Error>>,
    ) -> Result<Option<A>> {
        let id = id.try_into().map_err(Into::into)?;
        Ok(self.load_many([id]).await?.into_iter().next().flatten())
    }

    /// The views `ids`, in that order, with one read.
    ///
    /// # Errors
    ///
    /// Those of [`load`](Ermine::load).
    pub async fn load_many<A: Aggregate>(
        &self,
        ids: impl IntoIterator<Item = ViewId>,
    ) -> Result<Vec<Option<A>>> {
        let keys: Vec<ViewKey> = ids.into_iter().map(ViewKey::new).collect();
        let stored = self.store.load_views(&self.definition::<A>()?.table(), &keys).await?;
        let views = stored.into_iter().zip(&keys);
        views.map(|(view, key)| view.map(|view| decode(&key.id, &view)).transpose()).collect()
    }

    /// Up to `limit` views of type `A` with their ids, ordered bytewise by id, after the id `after`.
    ///
    /// # Errors
    ///
    /// Those of [`load`](Ermine::load).
    pub async fn list<A: Aggregate>(
        &self,
        after: Option<ViewId>,
        limit: NonZeroUsize,
    ) -> Result<Vec<(ViewId, A)>> {
        let query =
            ViewQuery { table: self.definition::<A>()?.table(), tenant: TenantId::default(), after, limit };
        let views = self.store.query(query).await?;
        views.into_iter().map(|(id, view)| decode(&id, &view).map(|view| (id, view))).collect()
    }

    /// What each projection is doing, where the daemon runs in this process.
    #[must_use]
    pub fn status(&self) -> Vec<ShardStatus> {
        self.daemon.as_ref().map_or_else(Vec::new, |d| d.handle.status())
    }

    /// The daemon of this process, where there is one.
    #[must_use]
    pub fn daemon(&self) -> Option<&Handle> {
        self.daemon.as_ref().map(|d| &d.handle)
    }

    /// How far every shard has committed, wherever it runs.
    ///
    /// # Errors
    ///
    /// Those of the connection.
    pub async fn progress(&self) -> Result<Vec<Progress>> {
        self.store.read_progress().await
    }

    /// What the store holds.
    ///
    /// # Errors
    ///
    /// Those of the connection.
    pub async fn statistics(&self) -> Result<Statistics> {
        self.store.statistics().await
    }

    /// The store itself, with all its ports.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Ends the daemon after it has committed what is in flight, within the drain deadline of its settings.
    ///
    /// # Errors
    ///
    /// Those of the daemon's run.
    pub async fn stop(self) -> Result<()> {
        let Some(Running { stop, mut tasks, .. }) = self.daemon else { return Ok(()) };
        drop(stop);
        match tasks.join_next().await {
            Some(Ok(result)) => result,
            Some(Err(panic)) => Err(Error::fatal("running the daemon").with_source(panic)),
            None => Ok(()),
        }
    }

    fn definition<A: Aggregate>(&self) -> Result<&Definition> {
        let mut matching = self.definitions.iter().filter(|d| d.view_type == TypeId::of::<A>());
        match (matching.next(), matching.next()) {
            (Some(definition), None) => Ok(definition),
            (None, _) => {
                let known: Vec<&str> = self.definitions.iter().map(|d| d.view_type_name).collect();
                Err(Error::new(
                    ErrorKind::NotFound,
                    format!(
                        "no projection with views of type {} is registered; the types are: {}",
                        type_name::<A>(),
                        if known.is_empty() { "none".to_owned() } else { known.join(", ") }
                    ),
                ))
            }
            (Some(one), Some(other)) => Err(Error::new(
                ErrorKind::NotFound,
                format!(
                    "both {} and {} have views of type {}: ask the store for the table of the one you mean",
                    one.shard(),
                    other.shard(),
                    type_name::<A>()
                ),
            )),
        }
    }
}

fn decode<A: Aggregate>(id: &ViewId, view: &StoredView) -> Result<A> {
    view.body.decode().map_err(|e| {
        Error::serialization(format!("the stored view \"{id}\" is not a {}", type_name::<A>())).with_source(e)
    })
}

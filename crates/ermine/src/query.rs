use std::{any::type_name, marker::PhantomData, num::NonZeroUsize, time::Duration};

use ermine_core::{
    Error, ErrorKind, Filter, Order, Result, ShardName, StoredView, TenantId, ViewId, ViewKey, ViewQuery,
};
use ermine_daemon::RegisteredProjection;
use serde::de::DeserializeOwned;

use crate::Ermine;

/// How many views are given when nothing else is said.
const LIMIT: usize = 100;

/// How many views are read at once when all are wanted.
const PAGE: NonZeroUsize = NonZeroUsize::new(1_000).expect("not 0");

/// A question about the views of one projection: see [`Ermine::query`].
///
/// It means the same on every store: text is compared bytewise, numbers by value, and what is missing comes first.
#[derive(Debug)]
#[must_use = "a query does nothing until it is asked for a list, the first view or a count"]
pub struct Query<'e, T> {
    ermine: &'e Ermine,
    shard: Option<ShardName>,
    query: ViewQuery,
    limit: usize,
    fresh: Option<(Duration, OnTimeout)>,
    view: PhantomData<fn() -> T>,
}

/// What a query does when views do not become fresh in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnTimeout {
    /// It fails with [`TimedOut`](ErrorKind::TimedOut).
    #[default]
    Fail,
    /// It answers with what there is.
    AcceptStale,
}

impl<'e, T: DeserializeOwned> Query<'e, T> {
    pub(crate) fn new(ermine: &'e Ermine, projection: &RegisteredProjection) -> Self {
        Self {
            ermine,
            shard: projection.shard.clone(),
            query: ViewQuery::new(projection.definition.table(), PAGE),
            limit: LIMIT,
            fresh: None,
            view: PhantomData,
        }
    }

    /// Views of another version of the projection, which has to be registered.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) when it is not.
    pub fn version(mut self, version: u32) -> Result<Self> {
        let projection = self.ermine.version_of_projection(self.query.table.projection(), version)?;
        self.query.table = projection.definition.table();
        self.shard.clone_from(&projection.shard);
        Ok(self)
    }

    /// Only views for which `filter` is true; several calls mean all of them.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.query.filter = Some(match self.query.filter.take() {
            Some(before) => before.and(filter),
            None => filter,
        });
        self
    }

    /// In the order of a field; several calls order views that tie by the next. Default: by id, bytewise.
    pub fn order_by(mut self, order: Order) -> Self {
        self.query.order.push(order);
        self
    }

    /// Views of `tenant` instead of the default one.
    pub fn tenant(mut self, tenant: TenantId) -> Self {
        self.query.tenant = tenant;
        self
    }

    /// Only ids after this one: the way to go through all views page by page in the order of their ids.
    pub fn after(mut self, id: ViewId) -> Self {
        self.query.after = Some(id);
        self
    }

    /// Leaves out the first `views`.
    pub fn offset(mut self, views: usize) -> Self {
        self.query.offset = views;
        self
    }

    /// At most this many views. Default: 100.
    pub fn limit(mut self, views: usize) -> Self {
        self.limit = views;
        self
    }

    /// Waits first until the projection shows everything that is committed at the time of the call.
    pub fn non_stale(mut self, timeout: Duration, on_timeout: OnTimeout) -> Self {
        self.fresh = Some((timeout, on_timeout));
        self
    }

    /// The views with their ids.
    ///
    /// # Errors
    ///
    /// [`Serialization`](ErrorKind::Serialization) when a stored view is not a `T`, [`TimedOut`](ErrorKind::TimedOut) when it
    /// was to be fresh and could not be, and those of the connection.
    pub async fn list(mut self) -> Result<Vec<(ViewId, T)>> {
        let Some(limit) = NonZeroUsize::new(self.limit) else { return Ok(Vec::new()) };
        self.query.limit = limit;
        self.freshen().await?;
        let views = self.ermine.store().query(self.query).await?;
        views.into_iter().map(|(id, view)| decode(&id, &view).map(|view| (id, view))).collect()
    }

    /// All views, however many, read page by page in the order of their ids. Views that change meanwhile are given as they
    /// are when their page is read.
    ///
    /// # Errors
    ///
    /// [`Configuration`](ErrorKind::Configuration) when another order was asked for, and those of [`list`](Self::list).
    pub async fn all(mut self) -> Result<Vec<(ViewId, T)>> {
        if !self.query.order.is_empty() || self.query.offset > 0 {
            return Err(Error::configuration(
                "all views are read in the order of their ids, from the first: leave out order_by and offset, or take a list \
                 with a limit",
            ));
        }
        self.freshen().await?;
        self.query.limit = PAGE;
        let mut all = Vec::new();
        loop {
            let page = self.ermine.store().query(self.query.clone()).await?;
            let is_last = page.len() < PAGE.get();
            self.query.after = page.last().map(|(id, _)| id.clone());
            for (id, view) in page {
                let view = decode(&id, &view)?;
                all.push((id, view));
            }
            if is_last {
                return Ok(all);
            }
        }
    }

    /// The first view.
    ///
    /// # Errors
    ///
    /// Those of [`list`](Self::list).
    pub async fn first(self) -> Result<Option<(ViewId, T)>> {
        Ok(self.limit(1).list().await?.into_iter().next())
    }

    /// The view `id`, whatever the filter says.
    ///
    /// # Errors
    ///
    /// Those of [`list`](Self::list).
    pub async fn load(self, id: impl TryInto<ViewId, Error = impl Into<Error>>) -> Result<Option<T>> {
        let key = ViewKey { tenant: self.query.tenant.clone(), id: id.try_into().map_err(Into::into)? };
        self.freshen().await?;
        let found = self.ermine.store().load_views(&self.query.table, std::slice::from_ref(&key)).await?;
        found.into_iter().next().flatten().map(|view| decode(&key.id, &view)).transpose()
    }

    /// How many views the filter is true of, whatever order, offset and limit.
    ///
    /// # Errors
    ///
    /// Those of [`list`](Self::list).
    pub async fn count(self) -> Result<u64> {
        self.freshen().await?;
        self.ermine.store().count(self.query).await
    }

    async fn freshen(&self) -> Result<()> {
        let (Some((timeout, on_timeout)), Some(shard)) = (self.fresh, &self.shard) else { return Ok(()) };
        let waited = self.ermine.wait_for_non_stale_shards(std::slice::from_ref(shard), timeout).await;
        match (waited, on_timeout) {
            (Err(late), OnTimeout::AcceptStale) if *late.kind() == ErrorKind::TimedOut => {
                tracing::warn!("answering with stale views: {}", late.chain());
                Ok(())
            }
            (waited, _) => waited,
        }
    }
}

pub(crate) fn decode<T: DeserializeOwned>(id: &ViewId, view: &StoredView) -> Result<T> {
    view.body.decode().map_err(|e| {
        Error::serialization(format!("the stored view \"{id}\" is not a {}", type_name::<T>())).with_source(e)
    })
}

use std::{
    any::{Any, TypeId},
    collections::{HashMap, HashSet},
    fmt,
    sync::Arc,
};

use serde::de::DeserializeOwned;
use smol_str::SmolStr;

use super::{Failure, Failures, ViewIds, ViewRead, failures::Gathered, grouped::user_code};
use crate::{ApplyError, Event, ProjectionName, Recorded, Result, StoredView, TenantId, ViewId, ViewKey};

/// Stored views that were looked up for a page, by projection and key.
#[derive(Debug, Default)]
pub struct Views {
    found: HashMap<ProjectionName, HashMap<ViewKey, StoredView>>,
}

impl Views {
    /// Adds what was found; keys without a view are left out.
    pub fn insert(
        &mut self,
        projection: ProjectionName,
        found: impl IntoIterator<Item = (ViewKey, StoredView)>,
    ) {
        self.found.entry(projection).or_default().extend(found);
    }

    /// The view as it is stored.
    #[must_use]
    pub fn stored(&self, projection: &str, key: &ViewKey) -> Option<&StoredView> {
        let (_, views) = self.found.iter().find(|(name, _)| name.as_str() == projection)?;
        views.get(key)
    }

    /// The view of the default tenant, decoded.
    ///
    /// # Errors
    ///
    /// When it is not a `T`.
    pub fn get<T: DeserializeOwned>(&self, projection: &str, id: &ViewId) -> Result<Option<T>, ApplyError> {
        self.get_of(projection, &TenantId::default(), id)
    }

    /// The view of a tenant, decoded.
    ///
    /// # Errors
    ///
    /// When it is not a `T`.
    pub fn get_of<T: DeserializeOwned>(
        &self,
        projection: &str,
        tenant: &TenantId,
        id: &ViewId,
    ) -> Result<Option<T>, ApplyError> {
        let key = ViewKey { tenant: tenant.clone(), id: id.clone() };
        Ok(self.stored(projection, &key).map(|view| view.body.decode()).transpose()?)
    }
}

/// Views that events refer to, decoded once per page: see [`look_up`].
#[derive(Default)]
pub struct Looked {
    views: HashMap<(TypeId, ViewKey), Box<dyn Any + Send + Sync>>,
}

impl Looked {
    pub(crate) fn get<T: 'static>(&self, tenant: &TenantId, id: &str) -> Option<&T> {
        let key = ViewKey { tenant: tenant.clone(), id: ViewId::from_store(id) };
        self.views.get(&(TypeId::of::<T>(), key))?.downcast_ref()
    }
}

impl fmt::Debug for Looked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Looked").field("views", &self.views.len()).finish()
    }
}

/// Looks up views of another projection for the events of a page, before they are folded: `ids` names those that an event
/// refers to. All look-ups of a page are one read; ids without a view are passed.
///
/// While folding, [`Recorded::looked_up`] gives what was found.
pub fn look_up<T, E, I>(
    projection: impl Into<SmolStr>,
    ids: impl Fn(&Recorded<E>) -> I + Send + Sync + 'static,
) -> LookUp<E>
where
    T: DeserializeOwned + Send + Sync + 'static,
    I: ViewIds,
{
    LookUp {
        projection: projection.into(),
        ids: Box::new(move |event, take| ids(event).each(take)),
        view_type: TypeId::of::<T>(),
        decode: |view| Ok(Box::new(view.body.decode::<T>()?)),
    }
}

type Ids<E> = Box<dyn Fn(&Recorded<E>, &mut dyn FnMut(ViewId)) -> Result<()> + Send + Sync>;

/// A look-up of another projection's views: see [`look_up`].
pub struct LookUp<E> {
    projection: SmolStr,
    ids: Ids<E>,
    view_type: TypeId,
    decode: fn(&StoredView) -> serde_json::Result<Box<dyn Any + Send + Sync>>,
}

impl<E> fmt::Debug for LookUp<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LookUp").field("projection", &self.projection).finish_non_exhaustive()
    }
}

impl<E> LookUp<E> {
    pub(super) fn projection(&self) -> &SmolStr {
        &self.projection
    }

    /// The keys that the events of a page refer to, each once.
    pub(super) fn read(&self, page: &[Event], events: &[Recorded<E>]) -> Result<ViewRead, Failures> {
        let mut seen = HashSet::new();
        let mut keys = Vec::new();
        let mut failed = Gathered::default();
        for (raw, event) in page.iter().zip(events) {
            let told = user_code(raw, || {
                (self.ids)(event, &mut |id| {
                    let key = ViewKey { tenant: raw.tenant.clone(), id };
                    if seen.insert(key.clone()) {
                        keys.push(key);
                    }
                })
                .map_err(ApplyError::from)
            });
            failed.keep(told);
        }
        let projection = ProjectionName::new(self.projection.clone());
        let projection = projection.map_err(|e| match page.first() {
            Some(first) => Failure::apply(first, e.into()),
            None => unreachable!("a page without events refers to nothing"),
        })?;
        failed.unless_failed(ViewRead { projection, keys })
    }

    /// Decodes what was found of this look-up.
    pub(super) fn decode(&self, views: &Views, looked: &mut Looked, first: &Event) -> Result<(), Failure> {
        let found = views.found.iter().find(|(name, _)| name.as_str() == self.projection);
        for (key, view) in found.iter().flat_map(|(_, views)| views.iter()) {
            let decoded = (self.decode)(view).map_err(|e| Failure::serialization(first, e))?;
            looked.views.insert((self.view_type, key.clone()), decoded);
        }
        Ok(())
    }
}

/// The look-ups of a projection.
pub(super) struct LookUps<E>(pub(super) Vec<LookUp<E>>);

impl<E: crate::DomainEvent> LookUps<E> {
    pub(super) fn names(&self) -> Vec<SmolStr> {
        self.0.iter().map(|look_up| look_up.projection().clone()).collect()
    }

    pub(super) fn reads(&self, page: &[Event]) -> Result<Vec<ViewRead>, Failures> {
        if self.0.is_empty() || page.is_empty() {
            return Ok(Vec::new());
        }
        let mut decoded = Vec::with_capacity(page.len());
        let mut raw = Vec::with_capacity(page.len());
        let mut failed = Gathered::default();
        for event in page.iter().filter(|event| event.type_name.as_str() != crate::ports::ARCHIVED) {
            if let Some(one) = failed.keep(super::grouped::decode::<E>(event, None)) {
                decoded.push(one);
                raw.push(event.clone());
            }
        }
        failed.unless_failed(())?;
        self.0.iter().map(|look_up| look_up.read(&raw, &decoded)).collect()
    }

    /// What the events of a page get to see.
    pub(super) fn decode(&self, views: &Views, page: &[Event]) -> Result<Option<Arc<Looked>>, Failure> {
        let Some(first) = page.first().filter(|_| !self.0.is_empty()) else { return Ok(None) };
        let mut looked = Looked::default();
        self.0.iter().try_for_each(|look_up| look_up.decode(views, &mut looked, first))?;
        Ok(Some(Arc::new(looked)))
    }
}

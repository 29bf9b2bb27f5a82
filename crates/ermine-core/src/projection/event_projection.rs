use std::{collections::HashMap, fmt, marker::PhantomData, ops::Range, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value as Json;
use smol_str::SmolStr;

use super::{
    Effects, EventTypes, Failure, Failures, Kind, Lifecycle, Output, Patch, Plan, PlanInput, PlannedView,
    Projected, ViewType,
    failures::Gathered,
    grouped::{Groups, decode, may_have_effects, user_code},
};
use crate::{
    ApplyError, Body, DomainEvent, Error, Event, Filter, Operation, Recorded, StoredView, TenantId, Version,
    ViewId, ViewKey, ViewTable,
};

/// Makes a projection that says for each event what shall change: views of type `V` stored, deleted, deleted where a filter
/// is true, or patched.
///
/// ```
/// use ermine_core::{DomainEvent, Patch, Recorded, ViewChanges, event_projection};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(DomainEvent)]
/// #[event(crate = "ermine_core")]
/// enum TripEvent {
///     Started { driver: String },
///     Travelled { km: f64 },
///     Ended,
/// }
///
/// #[derive(Serialize, Deserialize)]
/// struct Running {
///     driver: String,
///     legs: u32,
/// }
///
/// let running = event_projection("Running", |event: &Recorded<TripEvent>, views: &mut ViewChanges<Running>| {
///     let trip = event.stream().as_str();
///     match event.data() {
///         TripEvent::Started { driver } => views.store(trip, &Running { driver: driver.clone(), legs: 0 })?,
///         TripEvent::Travelled { .. } => views.patch(trip, Patch::new().increment("legs", 1)?)?,
///         TripEvent::Ended => views.delete(trip)?,
///     }
///     Ok(())
/// });
/// # let _ = running;
/// ```
pub fn event_projection<E, V, F>(name: impl Into<SmolStr>, project: F) -> Projected<EventProjection<E, V>>
where
    E: DomainEvent,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
    F: Fn(&Recorded<E>, &mut ViewChanges<V>) -> Result<(), ApplyError> + Send + Sync + 'static,
{
    Projected::new(name, EventProjection { project: Box::new(project), native: None })
}

type Project<E, V> = Box<dyn Fn(&Recorded<E>, &mut ViewChanges<V>) -> Result<(), ApplyError> + Send + Sync>;

/// Changes by event: see [`event_projection`].
pub struct EventProjection<E, V> {
    project: Project<E, V>,
    native: Option<SmolStr>,
}

impl<E, V> Projected<EventProjection<E, V>> {
    /// It makes native statements for stores of this kind (`postgres`, `sqlite`), and can run on no other.
    pub fn native(mut self, kind: impl Into<SmolStr>) -> Self {
        self.kind.native = Some(kind.into());
        self
    }
}

impl<E, V> fmt::Debug for EventProjection<E, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventProjection").finish_non_exhaustive()
    }
}

/// What one event changes: see [`event_projection`].
#[derive(Debug)]
pub struct ViewChanges<V> {
    table: ViewTable,
    tenant: TenantId,
    changes: Vec<Change>,
    effects: Effects,
    view: PhantomData<fn() -> V>,
}

#[derive(Clone, Debug)]
enum Change {
    Store(ViewKey, Body),
    Delete(ViewKey),
    Patch(ViewKey, Patch),
    DeleteWhere(TenantId, Filter),
    Other(Operation),
}

impl Change {
    const fn key(&self) -> Option<&ViewKey> {
        match self {
            Self::Store(key, _) | Self::Delete(key) | Self::Patch(key, _) => Some(key),
            Self::DeleteWhere(..) | Self::Other(_) => None,
        }
    }
}

impl<V: Serialize> ViewChanges<V> {
    /// Puts `view` in place of whatever is at `id`.
    ///
    /// # Errors
    ///
    /// When the id cannot be one, or the view has no JSON form.
    pub fn store(
        &mut self,
        id: impl TryInto<ViewId, Error = impl Into<Error>>,
        view: &V,
    ) -> Result<(), ApplyError> {
        let key = self.key(id)?;
        self.changes.push(Change::Store(key, Body::encode(view)?));
        Ok(())
    }

    /// Removes the view `id`, if it is there.
    ///
    /// # Errors
    ///
    /// When the id cannot be one.
    pub fn delete(&mut self, id: impl TryInto<ViewId, Error = impl Into<Error>>) -> Result<(), ApplyError> {
        let key = self.key(id)?;
        self.changes.push(Change::Delete(key));
        Ok(())
    }

    /// Changes fields of the view `id`, if it is there.
    ///
    /// # Errors
    ///
    /// When the id cannot be one.
    pub fn patch(
        &mut self,
        id: impl TryInto<ViewId, Error = impl Into<Error>>,
        patch: Patch,
    ) -> Result<(), ApplyError> {
        let key = self.key(id)?;
        self.changes.push(Change::Patch(key, patch));
        Ok(())
    }

    /// Removes the tenant's views for which `filter` is true.
    pub fn delete_where(&mut self, filter: Filter) {
        self.changes.push(Change::DeleteWhere(self.tenant.clone(), filter));
    }

    /// Runs a statement of one kind of store, which the projection has declared with
    /// [`native`](Projected::native).
    pub fn native(&mut self, statement: Operation) {
        self.changes.push(Change::Other(statement));
    }

    /// The table of the views, for native statements.
    #[must_use]
    pub const fn table(&self) -> &ViewTable {
        &self.table
    }

    /// What else the event sets off. Dropped while inline.
    pub const fn effects(&mut self) -> &mut Effects {
        &mut self.effects
    }

    fn key(&self, id: impl TryInto<ViewId, Error = impl Into<Error>>) -> Result<ViewKey, ApplyError> {
        Ok(ViewKey { tenant: self.tenant.clone(), id: id.try_into().map_err(Into::into)? })
    }
}

impl<E, V> Kind for EventProjection<E, V>
where
    E: DomainEvent,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    const NAME: &'static str = "event projection";
    const LIFECYCLES: &'static [Lifecycle] = &[Lifecycle::Inline, Lifecycle::Async];

    fn types(&self) -> EventTypes {
        EventTypes::of::<E>()
    }

    fn view_type(&self) -> Option<ViewType> {
        Some(ViewType::of::<V>())
    }

    fn native(&self) -> Option<SmolStr> {
        self.native.clone()
    }

    fn plan(&self, input: PlanInput) -> Result<Arc<dyn Plan>, Failures> {
        let page = &input.page.events;
        let mut views = Groups::new(page.len(), Arc::default());
        let mut changes = Vec::with_capacity(page.len());
        let mut effects = Effects::new(input.table.projection().clone(), None);
        let mut failed = Gathered::default();
        for (at, raw) in page.iter().enumerate() {
            let Some(event) = failed.keep(decode::<E>(raw, None)) else { continue };
            effects.of(raw, may_have_effects(&input, raw.seq));
            let mut made = ViewChanges {
                table: input.table.clone(),
                tenant: raw.tenant.clone(),
                changes: Vec::new(),
                effects,
                view: PhantomData,
            };
            failed.keep(user_code(raw, || (self.project)(&event, &mut made)));
            effects = made.effects;
            for change in made.changes {
                if let Some(key) = change.key() {
                    views.add(&key.tenant, &key.id, false, raw.seq, ());
                }
                changes.push((at, change));
            }
        }
        failed.unless_failed(())?;
        let effects = effects.into_raised();
        Ok(Arc::new(ChangePlan { input, views, changes, effects }))
    }
}

struct ChangePlan {
    input: PlanInput,
    views: Groups<()>,
    changes: Vec<(usize, Change)>,
    effects: Vec<(crate::Seq, Operation)>,
}

/// What is known of a view while the changes of a page are made.
struct Working {
    version: Version,
    document: Option<Json>,
}

impl Plan for ChangePlan {
    fn views(&self) -> &[PlannedView] {
        self.views.views()
    }

    /// A filter may be about any view.
    fn is_divisible(&self) -> bool {
        false
    }

    fn fold(&self, _: Range<usize>, current: &[Option<StoredView>]) -> Result<Output, Failures> {
        let Some(first) = self.input.page.events.first() else { return Ok(Output::default()) };
        let mut views: HashMap<&ViewKey, Working> = HashMap::with_capacity(current.len());
        for (planned, stored) in self.views.views().iter().zip(current) {
            let document = stored.as_ref().map(|view| view.body.decode()).transpose();
            let document = document.map_err(|e| Failure::serialization(first, e))?;
            let version = stored.as_ref().map_or(Version::ZERO, |view| view.version);
            views.insert(&planned.key, Working { version, document });
        }
        let mut operations = Vec::with_capacity(self.changes.len());
        let mut failed = Gathered::default();
        for (at, change) in &self.changes {
            failed.keep(self.make(change, &self.input.page.events[*at], &mut views, &mut operations));
        }
        failed.unless_failed(Output { operations, effects: self.effects.clone() })
    }
}

impl ChangePlan {
    fn make(
        &self,
        change: &Change,
        event: &Event,
        views: &mut HashMap<&ViewKey, Working>,
        operations: &mut Vec<Operation>,
    ) -> Result<(), Failure> {
        let table = &self.input.table;
        let unreadable = |e: serde_json::Error| Failure::serialization(event, e);
        match change {
            Change::Store(key, body) => {
                let Some(working) = views.get_mut(key) else { return Ok(()) };
                working.document = Some(body.decode().map_err(unreadable)?);
                operations.push(store(table, key, working, body.clone(), event));
            }
            Change::Patch(key, patch) => {
                let Some(working) = views.get_mut(key) else { return Ok(()) };
                let Some(document) = &mut working.document else { return Ok(()) };
                user_code(event, || patch.apply(document))?;
                let body = Body::encode(document).map_err(|e| Failure::serialization(event, e))?;
                operations.push(store(table, key, working, body, event));
            }
            Change::Delete(key) => {
                if views.get_mut(key).and_then(|working| working.document.take()).is_some() {
                    operations.push(Operation::Delete { table: table.clone(), key: key.clone() });
                }
            }
            Change::DeleteWhere(tenant, filter) => {
                for key in self.views.views().iter().map(|view| &view.key).filter(|key| key.tenant == *tenant)
                {
                    let Some(working) = views.get_mut(key) else { continue };
                    if working.document.as_ref().is_some_and(|document| filter.matches(document)) {
                        working.document = None;
                        // Later stages of a composite would not know that what this page has stored is gone.
                        operations.push(Operation::Delete { table: table.clone(), key: key.clone() });
                    }
                }
                operations.push(Operation::DeleteWhere {
                    table: table.clone(),
                    tenant: tenant.clone(),
                    filter: filter.clone(),
                });
            }
            Change::Other(operation) => operations.push(operation.clone()),
        }
        Ok(())
    }
}

fn store(table: &ViewTable, key: &ViewKey, working: &mut Working, body: Body, event: &Event) -> Operation {
    working.version = working.version.plus(1);
    let view = StoredView { body, version: working.version, seq: event.seq };
    Operation::Store { table: table.clone(), key: key.clone(), view }
}

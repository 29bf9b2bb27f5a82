use std::{any::TypeId, fmt, marker::PhantomData, sync::Arc};

use smol_str::SmolStr;

use super::{
    Aggregate, Definition, Failure, Lifecycle, Plan, PlannedView, Projection,
    grouped::{Fold, Groups, decode},
};
use crate::{
    DomainEvent, EventPage, Operation, ProjectionName, Result, StoredView, TypeName, Version, ViewTable,
};

/// Makes a projection with one view per stream, under the stream's id.
///
/// The view's version is that of the last event applied.
#[must_use]
pub fn single_stream<A: Aggregate>(name: impl Into<SmolStr>) -> SingleStream<A> {
    SingleStream { name: name.into(), version: 1, aggregate: PhantomData }
}

/// One view per stream: see [`single_stream`].
pub struct SingleStream<A> {
    name: SmolStr,
    version: u32,
    aggregate: PhantomData<fn() -> A>,
}

impl<A> SingleStream<A> {
    /// The version of the projection, 1 or higher: a new version has views and progress of its own and starts from
    /// the first event.
    #[must_use]
    pub fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }
}

impl<A> fmt::Debug for SingleStream<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SingleStream")
            .field("name", &self.name)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl<A: Aggregate> Projection for SingleStream<A> {
    fn definition(&self) -> Result<Definition> {
        definition::<A>(&self.name, self.version)
    }

    fn plan(&self, page: Arc<EventPage>, table: &ViewTable) -> std::result::Result<Arc<dyn Plan>, Failure> {
        let mut groups = Groups::with_capacity(page.events.len());
        for (at, event) in page.events.iter().enumerate() {
            // Views and progress move together: before the first event of a stream has been applied there is no view.
            groups.add(&event.tenant, &event.stream, event.version == Version::FIRST, at);
        }
        Ok(Arc::new(StreamPlan::<A> { page, table: table.clone(), groups, aggregate: PhantomData }))
    }
}

pub(super) fn definition<A: Aggregate>(name: &SmolStr, version: u32) -> Result<Definition> {
    let types =
        <A::Event as DomainEvent>::TYPES.iter().map(|name| TypeName::new(*name)).collect::<Result<_>>()?;
    Ok(Definition {
        name: ProjectionName::new(name.clone())?,
        version: version.max(1),
        lifecycle: Lifecycle::Async,
        types,
        view_type: TypeId::of::<A>(),
        view_type_name: std::any::type_name::<A>(),
    })
}

struct StreamPlan<A> {
    page: Arc<EventPage>,
    table: ViewTable,
    groups: Groups<usize>,
    aggregate: PhantomData<fn() -> A>,
}

impl<A: Aggregate> Plan for StreamPlan<A> {
    fn views(&self) -> &[PlannedView] {
        self.groups.views()
    }

    fn fold(
        &self,
        index: usize,
        current: Option<&StoredView>,
    ) -> std::result::Result<Option<Operation>, Failure> {
        let events = self.groups.members(index).iter().map(|at| &self.page.events[*at]);
        let mut fold: Option<Fold<A>> = None;
        let mut last = None;
        for event in events {
            let recorded = decode::<A::Event>(event)?;
            let fold = match &mut fold {
                Some(fold) => fold,
                None => fold.insert(Fold::start(current, event)?),
            };
            fold.apply(&recorded, event)?;
            last = Some(event);
        }
        match (fold, last) {
            (Some(fold), Some(last)) => {
                fold.finish(&self.table, &self.views()[index].key, last.version, last)
            }
            _ => Ok(None),
        }
    }
}

use std::{fmt, sync::Arc};

use smol_str::SmolStr;

use super::{
    Aggregate, Definition, Failure, Plan, PlannedView, Projection,
    grouped::{Fold, Groups, decode, user_code},
    single_stream::definition,
};
use crate::{
    ApplyError, Error, EventPage, Operation, Recorded, Result, StoredView, Version, ViewId, ViewTable,
};

/// Makes a projection whose views gather events of many streams: `identify` names the view or views of an event.
///
/// It may return a [`ViewId`], `String` or [`SmolStr`], or an `Option`, array or `Vec` of them; an event that names no view is
/// passed. The view's version counts the events applied to it.
#[must_use]
pub fn multi_stream<A, I, F>(name: impl Into<SmolStr>, identify: F) -> MultiStream<A>
where
    A: Aggregate,
    I: ViewIds,
    F: Fn(&Recorded<A::Event>) -> I + Send + Sync + 'static,
{
    let identify: Identify<A::Event> = Box::new(move |event, take| identify(event).each(take));
    MultiStream { name: name.into(), version: 1, identify }
}

type Identify<E> = Box<dyn Fn(&Recorded<E>, &mut dyn FnMut(ViewId)) -> Result<()> + Send + Sync>;

/// Views over many streams: see [`multi_stream`].
pub struct MultiStream<A: Aggregate> {
    name: SmolStr,
    version: u32,
    identify: Identify<A::Event>,
}

impl<A: Aggregate> MultiStream<A> {
    /// The version of the projection, 1 or higher: a new version has views and progress of its own and starts from
    /// the first event.
    #[must_use]
    pub fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }
}

impl<A: Aggregate> fmt::Debug for MultiStream<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MultiStream")
            .field("name", &self.name)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl<A: Aggregate> Projection for MultiStream<A> {
    fn definition(&self) -> Result<Definition> {
        definition::<A>(&self.name, self.version)
    }

    fn plan(&self, page: Arc<EventPage>, table: &ViewTable) -> std::result::Result<Arc<dyn Plan>, Failure> {
        let mut groups = Groups::with_capacity(page.events.len());
        let mut events = Vec::with_capacity(page.events.len());
        let mut ids = Vec::new();
        for (at, raw) in page.events.iter().enumerate() {
            let event = decode::<A::Event>(raw)?;
            user_code(raw, || {
                (self.identify)(&event, &mut |id| {
                    if !ids.contains(&id) {
                        ids.push(id);
                    }
                })
                .map_err(ApplyError::from)
            })?;
            for id in ids.drain(..) {
                groups.add(&raw.tenant, &id, false, at);
            }
            events.push(event);
        }
        Ok(Arc::new(GatheredPlan::<A> { page, table: table.clone(), groups, events }))
    }
}

struct GatheredPlan<A: Aggregate> {
    page: Arc<EventPage>,
    table: ViewTable,
    groups: Groups<usize>,
    events: Vec<Recorded<A::Event>>,
}

impl<A: Aggregate> Plan for GatheredPlan<A> {
    fn views(&self) -> &[PlannedView] {
        self.groups.views()
    }

    fn fold(
        &self,
        index: usize,
        current: Option<&StoredView>,
    ) -> std::result::Result<Option<Operation>, Failure> {
        let members = self.groups.members(index);
        let (Some(first), Some(last)) = (members.first(), members.last()) else { return Ok(None) };
        let (first, last) = (&self.page.events[*first], &self.page.events[*last]);
        let mut fold = Fold::<A>::start(current, first)?;
        for at in members {
            fold.apply(&self.events[*at], &self.page.events[*at])?;
        }
        let version = current.map_or(Version::ZERO, |view| view.version).plus(members.len());
        fold.finish(&self.table, &self.views()[index].key, version, last)
    }
}

/// What can name the views of an event.
pub trait ViewIds {
    /// Hands each id to `take`.
    ///
    /// # Errors
    ///
    /// When a text cannot be a view's id.
    fn each(self, take: &mut dyn FnMut(ViewId)) -> Result<()>;
}

impl ViewIds for ViewId {
    fn each(self, take: &mut dyn FnMut(ViewId)) -> Result<()> {
        take(self);
        Ok(())
    }
}

macro_rules! text_view_ids {
    ($($text:ty),*) => {$(
        impl ViewIds for $text {
            fn each(self, take: &mut dyn FnMut(ViewId)) -> Result<(), Error> {
                take(ViewId::new(self)?);
                Ok(())
            }
        }
    )*};
}

text_view_ids!(String, SmolStr, &'static str);

impl<T: ViewIds> ViewIds for Option<T> {
    fn each(self, take: &mut dyn FnMut(ViewId)) -> Result<()> {
        self.map_or(Ok(()), |id| id.each(take))
    }
}

impl<T: ViewIds> ViewIds for Vec<T> {
    fn each(self, take: &mut dyn FnMut(ViewId)) -> Result<()> {
        self.into_iter().try_for_each(|id| id.each(take))
    }
}

impl<T: ViewIds, const N: usize> ViewIds for [T; N] {
    fn each(self, take: &mut dyn FnMut(ViewId)) -> Result<()> {
        self.into_iter().try_for_each(|id| id.each(take))
    }
}

use std::{fmt, marker::PhantomData, ops::Range, sync::Arc};

use smol_str::SmolStr;

use super::{
    Aggregate, Effects, EventTypes, Failure, Failures, Kind, Lifecycle, LookUp, Looked, Output, Plan,
    PlanInput, PlannedView, Projected, ViewRead, ViewType,
    change::is_change,
    grouped::{Fold, Groups, Raise, decode, fold_views, may_have_effects},
    look_up::LookUps,
};
use crate::{
    ApplyError, DomainEvent, EventPage, Recorded, Seq, StoredView, Version, ViewKey, ports::ARCHIVED,
};

/// Makes a projection with one view per stream, under the stream's id.
///
/// The view's version is that of the last event applied.
pub fn single_stream<A: Aggregate>(name: impl Into<SmolStr>) -> Projected<SingleStream<A>> {
    let kind = SingleStream { look_ups: Arc::new(LookUps(Vec::new())), raise: None, aggregate: PhantomData };
    Projected::new(name, kind)
}

/// One view per stream: see [`single_stream`].
pub struct SingleStream<A: Aggregate> {
    look_ups: Arc<LookUps<A::Event>>,
    raise: Option<Arc<Raise<A>>>,
    aggregate: PhantomData<fn() -> A>,
}

impl<A: Aggregate> Projected<SingleStream<A>> {
    /// Looks up views of another projection before events are folded: see [`look_up`](super::look_up).
    pub fn look_up(mut self, look_up: LookUp<A::Event>) -> Self {
        if let Some(look_ups) = Arc::get_mut(&mut self.kind.look_ups) {
            look_ups.0.push(look_up);
        }
        self
    }

    /// Raises effects: called for each event with the state after it, `None` when that is gone. Never while inline.
    pub fn raise<F>(mut self, raise: F) -> Self
    where
        F: Fn(&Recorded<A::Event>, Option<&A>, &mut Effects) -> Result<(), ApplyError>
            + Send
            + Sync
            + 'static,
    {
        self.kind.raise = Some(Arc::new(Box::new(raise)));
        self
    }
}

impl<A: Aggregate> fmt::Debug for SingleStream<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SingleStream").finish_non_exhaustive()
    }
}

impl<A: Aggregate> Kind for SingleStream<A> {
    const NAME: &'static str = "single-stream aggregate";
    const LIFECYCLES: &'static [Lifecycle] = &[Lifecycle::Inline, Lifecycle::Async, Lifecycle::Live];

    fn types(&self) -> EventTypes {
        EventTypes::of::<A::Event>()
    }

    fn view_type(&self) -> Option<ViewType> {
        Some(ViewType::of::<A>())
    }

    fn is_per_stream(&self) -> bool {
        true
    }

    fn is_stream_state(&self) -> bool {
        true
    }

    fn needs_seq(&self) -> Option<&'static str> {
        self.raise.is_some().then_some("raising effects")
    }

    fn looks_up(&self) -> Vec<SmolStr> {
        self.look_ups.names()
    }

    fn reads(&self, page: &EventPage) -> Result<Vec<ViewRead>, Failures> {
        self.look_ups.reads(&page.events)
    }

    fn plan(&self, input: PlanInput) -> Result<Arc<dyn Plan>, Failures> {
        let looked = self.look_ups.decode(&input.views, &input.page.events)?;
        // But changes of other views may have made one under the same id.
        let sees_changes = <A::Event as DomainEvent>::TYPES.iter().any(|name| is_change(name));
        let mut groups = Groups::new(input.page.events.len(), input.scope.clone());
        for (at, event) in input.page.events.iter().enumerate() {
            // Views and progress move together: before the first event of a stream has been applied there is no view.
            let fresh = event.version == Version::FIRST && !sees_changes;
            groups.add(&event.tenant, &event.stream, fresh, event.seq, at);
        }
        Ok(Arc::new(StreamPlan::<A> { input, groups, looked, raise: self.raise.clone() }))
    }
}

struct StreamPlan<A: Aggregate> {
    input: PlanInput,
    groups: Groups<usize>,
    looked: Option<Arc<Looked>>,
    raise: Option<Arc<Raise<A>>>,
}

impl<A: Aggregate> Plan for StreamPlan<A> {
    fn views(&self) -> &[PlannedView] {
        self.groups.views()
    }

    fn withheld(&self) -> &[(ViewKey, Seq)] {
        self.groups.withheld()
    }

    fn fold(&self, range: Range<usize>, current: &[Option<StoredView>]) -> Result<Output, Failures> {
        fold_views(self.views(), range, current, |index, current, left_out, output| {
            self.fold_view(index, current, left_out, output)
        })
    }
}

impl<A: Aggregate> StreamPlan<A> {
    fn fold_view(
        &self,
        index: usize,
        current: Option<&StoredView>,
        left_out: &[Seq],
        output: &mut Output,
    ) -> Result<(), Failure> {
        let PlanInput { page, table, .. } = &self.input;
        let key = &self.views()[index].key;
        let events = self.groups.members(index).iter().map(|at| &page.events[*at]);
        let events = events.filter(|event| !left_out.contains(&event.seq));
        let mut fold: Option<Fold<'_, A>> = None;
        let mut last = None;
        // Changes that an earlier stage tells of are no events of the stream, and have no version.
        let mut version = current.map_or(Version::ZERO, |view| view.version);
        for event in events {
            let fold = match &mut fold {
                Some(fold) => fold,
                None => {
                    let started = Fold::start(current, event)?;
                    fold.insert(started.raising(self.raise.as_deref(), table.projection(), key))
                }
            };
            last = Some(event);
            version = version.max(event.version);
            if event.type_name.as_str() == ARCHIVED {
                fold.drop_view();
                continue;
            }
            let recorded = decode::<A::Event>(event, self.looked.as_ref())?;
            fold.apply(&recorded, event)?;
            fold.raise(&recorded, event, may_have_effects(&self.input, event.seq))?;
        }
        match (fold, last) {
            (Some(fold), Some(last)) => fold.finish(table, key, version, last, output),
            _ => Ok(()),
        }
    }
}

use std::{fmt, ops::Range, sync::Arc};

use smol_str::SmolStr;

use super::{
    Aggregate, EventTypes, Failure, Failures, Kind, Lifecycle, Output, PageError, Plan, PlanInput,
    PlannedView, Projected, Scope, ViewRead, ViewType, Views,
    fan_out::FanOut,
    grouped::{Fold, Groups, Raise, fold_views, may_have_effects, page_code},
};
use crate::{EventPage, Recorded, Seq, StoredView, TenantId, Version, ViewId, ViewKey};

/// Groups the events of a page by view, in whatever way the page and stored views suggest.
///
/// What it does must depend on its arguments alone. A page is as long as it happens to be, so the view of an event should
/// not depend on which other events are in its page.
pub trait Slicer<E>: Send + Sync + 'static {
    /// Which views, of this projection or others, it wants to see before it groups the page.
    ///
    /// # Errors
    ///
    /// Whatever it has against an event: see [`PageError::at`].
    fn reads(&self, page: &[Recorded<E>]) -> Result<Vec<ViewRead>, PageError> {
        let _ = page;
        Ok(Vec::new())
    }

    /// Says in `slices` which event goes into which views.
    ///
    /// # Errors
    ///
    /// Whatever it has against an event: see [`PageError::at`].
    fn slice(&self, page: &[Recorded<E>], views: &Views, slices: &mut Slices) -> Result<(), PageError>;
}

/// Which events of a page go into which views.
#[derive(Debug)]
pub struct Slices {
    groups: Groups<usize>,
    /// The number of each event.
    seqs: Vec<Seq>,
}

impl Slices {
    pub(super) fn new(seqs: Vec<Seq>, scope: Arc<Scope>) -> Self {
        Self { groups: Groups::new(seqs.len(), scope), seqs }
    }

    /// Puts event number `at` of the page, counted from 0, into the view `id` of `tenant`. Events go into a view in
    /// ascending order.
    pub fn add(&mut self, tenant: &TenantId, id: &ViewId, at: usize) {
        // Whoever names an event that is not there has nothing to add.
        if let Some(seq) = self.seqs.get(at) {
            self.groups.add(tenant, id, false, *seq, at);
        }
    }

    pub(super) fn add_key(&mut self, key: &ViewKey, at: usize) {
        self.add(&key.tenant, &key.id, at);
    }
}

/// Makes a projection whose views are aggregates of the slices that `slicer` cuts.
pub fn sliced<A: Aggregate>(name: impl Into<SmolStr>, slicer: impl Slicer<A::Event>) -> Projected<Sliced<A>> {
    Projected::new(name, Sliced { slicer: Box::new(slicer) })
}

/// Views over slices of user code's making: see [`sliced`].
pub struct Sliced<A: Aggregate> {
    slicer: Box<dyn Slicer<A::Event>>,
}

impl<A: Aggregate> fmt::Debug for Sliced<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sliced").finish_non_exhaustive()
    }
}

impl<A: Aggregate> Kind for Sliced<A> {
    const NAME: &'static str = "sliced aggregate";
    const LIFECYCLES: &'static [Lifecycle] = &[Lifecycle::Async];

    fn types(&self) -> EventTypes {
        EventTypes::of::<A::Event>()
    }

    fn view_type(&self) -> Option<ViewType> {
        Some(ViewType::of::<A>())
    }

    fn reads(&self, page: &EventPage) -> Result<Vec<ViewRead>, Failures> {
        let (events, _) = FanOut::default().events(&page.events, None)?;
        Ok(page_code(&page.events, || self.slicer.reads(&events))?.unwrap_or_default())
    }

    fn plan(&self, input: PlanInput) -> Result<Arc<dyn Plan>, Failures> {
        let (events, origins) = FanOut::default().events(&input.page.events, None)?;
        let seqs = input.page.events.iter().map(|event| event.seq).collect();
        let mut slices = Slices::new(seqs, input.scope.clone());
        page_code(&input.page.events, || self.slicer.slice(&events, &input.views, &mut slices))?;
        Ok(Arc::new(SlicedPlan::<A>::new(input, slices, events, origins, Vec::new(), None)))
    }
}

/// Slices of decoded events, each to be folded into its view.
pub(super) struct SlicedPlan<A: Aggregate> {
    input: PlanInput,
    slices: Slices,
    events: Vec<Recorded<A::Event>>,
    origins: Vec<usize>,
    in_view: Vec<Option<Vec<Recorded<A::Event>>>>,
    raise: Option<Arc<Raise<A>>>,
}

impl<A: Aggregate> SlicedPlan<A> {
    pub(super) fn new(
        input: PlanInput,
        slices: Slices,
        events: Vec<Recorded<A::Event>>,
        origins: Vec<usize>,
        in_view: Vec<Option<Vec<Recorded<A::Event>>>>,
        raise: Option<Arc<Raise<A>>>,
    ) -> Self {
        Self { input, slices, events, origins, in_view, raise }
    }

    fn fold_view(
        &self,
        index: usize,
        current: Option<&StoredView>,
        left_out: &[Seq],
        output: &mut Output,
    ) -> Result<(), Failure> {
        let raw = |at: &usize| self.origins.get(*at).map(|origin| &self.input.page.events[*origin]);
        let is_in = |at: &&usize| raw(at).is_some_and(|event| !left_out.contains(&event.seq));
        let members: Vec<usize> = self.slices.groups.members(index).iter().filter(is_in).copied().collect();
        let (Some(first), Some(last)) = (members.first().and_then(raw), members.last().and_then(raw)) else {
            return Ok(());
        };
        let key = &self.views()[index].key;
        let table = &self.input.table;
        let mut fold =
            Fold::<A>::start(current, first)?.raising(self.raise.as_deref(), table.projection(), key);
        let mut applied = 0;
        for at in &members {
            let Some(raw) = raw(at) else { continue };
            let own = std::slice::from_ref(&self.events[*at]);
            let events = self.in_view.get(*at).and_then(Option::as_deref).unwrap_or(own);
            for event in events {
                fold.apply(event, raw)?;
                applied += 1;
            }
            fold.raise(&self.events[*at], raw, may_have_effects(&self.input, raw.seq))?;
        }
        let version = current.map_or(Version::ZERO, |view| view.version).plus(applied);
        fold.finish(table, key, version, last, output)
    }
}

impl<A: Aggregate> Plan for SlicedPlan<A> {
    fn views(&self) -> &[PlannedView] {
        self.slices.groups.views()
    }

    fn withheld(&self) -> &[(ViewKey, Seq)] {
        self.slices.groups.withheld()
    }

    fn fold(&self, range: Range<usize>, current: &[Option<StoredView>]) -> Result<Output, Failures> {
        fold_views(self.views(), range, current, |index, current, left_out, output| {
            self.fold_view(index, current, left_out, output)
        })
    }
}

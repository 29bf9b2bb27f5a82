use std::{fmt, ops::Range, sync::Arc};

use super::{
    Effects, EventTypes, Failures, Kind, Lifecycle, Output, PageError, Plan, PlanInput, PlannedView,
    Projected, ViewRead, ViewType, Views,
    failures::Gathered,
    fan_out::FanOut,
    grouped::{may_have_effects, page_code},
};
use crate::{DomainEvent, EventPage, Operation, Recorded, StoredView, ViewTable};
use smol_str::SmolStr;

/// A projection that takes a page at a time: for what no other kind can do.
///
/// It must depend on nothing but its arguments. A page is as long as it happens to be.
pub trait PageProjection: Send + Sync + 'static {
    /// The events it takes.
    type Event: DomainEvent;

    /// Which views, of this projection or others, it wants to see.
    ///
    /// # Errors
    ///
    /// Whatever it has against an event: see [`PageError::at`].
    fn reads(&self, page: &[Recorded<Self::Event>]) -> Result<Vec<ViewRead>, PageError> {
        let _ = page;
        Ok(Vec::new())
    }

    /// What shall change in `table`, which is the projection's own, given the views that it wanted to see.
    ///
    /// # Errors
    ///
    /// Whatever it has against an event: see [`PageError::at`].
    fn apply(
        &self,
        page: &[Recorded<Self::Event>],
        views: &Views,
        table: &ViewTable,
    ) -> Result<Vec<Operation>, PageError>;

    /// What an event sets off beside that.
    ///
    /// # Errors
    ///
    /// Whatever it has against the event.
    fn raise(&self, event: &Recorded<Self::Event>, effects: &mut Effects) -> Result<(), crate::ApplyError> {
        let _ = (event, effects);
        Ok(())
    }
}

/// Makes a projection of user code that takes a page at a time.
pub fn custom<P: PageProjection>(name: impl Into<SmolStr>, projection: P) -> Projected<Custom<P>> {
    Projected::new(name, Custom { projection, native: None })
}

/// User code that takes a page at a time: see [`custom`].
pub struct Custom<P> {
    projection: P,
    native: Option<SmolStr>,
}

impl<P> Projected<Custom<P>> {
    /// It makes native statements for stores of this kind (`postgres`, `sqlite`), and can run on no other.
    pub fn native(mut self, kind: impl Into<SmolStr>) -> Self {
        self.kind.native = Some(kind.into());
        self
    }
}

impl<P> fmt::Debug for Custom<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Custom").finish_non_exhaustive()
    }
}

impl<P: PageProjection> Kind for Custom<P> {
    const NAME: &'static str = "custom projection";
    const LIFECYCLES: &'static [Lifecycle] = &[Lifecycle::Async];

    fn types(&self) -> EventTypes {
        EventTypes::of::<P::Event>()
    }

    fn view_type(&self) -> Option<ViewType> {
        None
    }

    fn native(&self) -> Option<SmolStr> {
        self.native.clone()
    }

    fn reads(&self, page: &EventPage) -> Result<Vec<ViewRead>, Failures> {
        let (events, _) = FanOut::default().events(&page.events, None)?;
        Ok(page_code(&page.events, || self.projection.reads(&events))?.unwrap_or_default())
    }

    fn plan(&self, input: PlanInput) -> Result<Arc<dyn Plan>, Failures> {
        let page = &input.page.events;
        let (events, _) = FanOut::<P::Event>::default().events(page, None)?;
        let operations = page_code(page, || self.projection.apply(&events, &input.views, &input.table))?
            .unwrap_or_default();
        let mut failed = Gathered::default();
        let mut effects = Effects::new(input.table.projection().clone(), None);
        for (raw, event) in page.iter().zip(&events).filter(|(raw, _)| may_have_effects(&input, raw.seq)) {
            effects.of(raw, true);
            failed.keep(super::grouped::user_code(raw, || self.projection.raise(event, &mut effects)));
        }
        failed.unless_failed(())?;
        Ok(Arc::new(Made { operations, effects: effects.into_raised() }))
    }
}

/// A plan that has nothing left to fold.
struct Made {
    operations: Vec<Operation>,
    effects: Vec<(crate::Seq, Operation)>,
}

impl Plan for Made {
    fn views(&self) -> &[PlannedView] {
        &[]
    }

    fn is_divisible(&self) -> bool {
        false
    }

    fn fold(&self, _: Range<usize>, _: &[Option<StoredView>]) -> Result<Output, Failures> {
        Ok(Output { operations: self.operations.clone(), effects: self.effects.clone() })
    }
}

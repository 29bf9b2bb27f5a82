//! The kinds of projections: user code as a function from events and current views to operations.

mod aggregate;
mod change;
mod composite;
mod custom;
mod definition;
mod effects;
mod event_projection;
mod failure;
mod failures;
mod fan_out;
mod flat_table;
mod grouped;
mod look_up;
mod multi_stream;
mod patch;
mod projected;
mod scope;
mod single_stream;
mod slicer;
mod spot;
mod subscription;

use std::{fmt, ops::Range, sync::Arc};

pub use aggregate::Aggregate;
pub use change::{Deleted, Updated, is_change};
pub use composite::{Composite, composite};
pub use custom::{Custom, PageProjection, custom};
pub use definition::{Archived, Definition, Lifecycle, Options, Start, ViewType};
pub use effects::Effects;
pub use event_projection::{EventProjection, ViewChanges, event_projection};
pub use failure::{Failure, FailureKind, PageError};
pub use failures::Failures;
pub use flat_table::{FlatTable, RowRule, flat_table};
pub use look_up::{LookUp, Looked, Views, look_up};
pub use multi_stream::{MultiStream, ViewIds, multi_stream, tenant_roll_up};
pub use patch::Patch;
pub use projected::{EventTypes, Kind, Projected};
pub use scope::{Admitted, Scope};
pub use single_stream::{SingleStream, single_stream};
pub use slicer::{Sliced, Slicer, Slices, sliced};
pub use spot::Spot;
pub use subscription::{PageEffects, Subscribed, Subscriber, Subscription, subscription};

use crate::{EventPage, Operation, ProjectionName, Result, Seq, StoredView, ViewKey, ViewTable};

/// Turns events into views: what the engine sees of user code. It does no I/O and holds no transaction.
///
/// Applications do not implement it; they make one with [`single_stream`], [`multi_stream`], [`event_projection`],
/// [`flat_table`] or [`custom`].
pub trait Projection: Send + Sync + fmt::Debug {
    /// What it is called, what it reads and where its views go.
    ///
    /// # Errors
    ///
    /// [`Configuration`](crate::ErrorKind::Configuration) with everything about it that cannot work.
    fn definition(&self) -> Result<Definition>;

    /// Which views, of itself or of others, it has to see before it can plan the page.
    ///
    /// # Errors
    ///
    /// The events that were refused.
    fn reads(&self, page: &EventPage) -> std::result::Result<Vec<ViewRead>, Failures> {
        let _ = page;
        Ok(Vec::new())
    }

    /// Groups the events of a page by the view that they belong to.
    ///
    /// # Errors
    ///
    /// The events whose views could not be told.
    fn plan(&self, input: PlanInput) -> std::result::Result<Arc<dyn Plan>, Failures>;
}

/// Views that have to be looked up before a page can be planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewRead {
    /// Whose views.
    pub projection: ProjectionName,
    /// Which ones, each once.
    pub keys: Vec<ViewKey>,
}

/// What a projection makes its plan from.
#[derive(Clone, Debug)]
pub struct PlanInput {
    /// The events.
    pub page: Arc<EventPage>,
    /// The projection's own table.
    pub table: ViewTable,
    /// The views that it has asked for.
    pub views: Arc<Views>,
    /// Events above this number may have effects; `None` means that none may.
    pub effects_above: Option<Seq>,
    /// Which views are folded.
    pub scope: Arc<Scope>,
}

impl PlanInput {
    /// A page on its own, without effects.
    #[must_use]
    pub fn new(page: Arc<EventPage>, table: ViewTable) -> Self {
        Self { page, table, views: Arc::default(), effects_above: None, scope: Arc::default() }
    }

    /// Whether the event `seq` may have effects.
    #[must_use]
    pub fn may_have_effects(&self, seq: Seq) -> bool {
        self.effects_above.is_some_and(|floor| seq > floor)
    }
}

/// A page of events, grouped by view.
pub trait Plan: Send + Sync {
    /// The views that the page touches, each once, in the order of their first event.
    fn views(&self) -> &[PlannedView];

    /// The events that the [`Scope`] has kept from their views, in sequence order for each view.
    fn withheld(&self) -> &[(ViewKey, Seq)] {
        &[]
    }

    /// Whether each view can be folded on its own, in any order, on any thread. Otherwise all are folded in one call.
    fn is_divisible(&self) -> bool {
        true
    }

    /// Folds the events of the views in `range`, whose current state is in `current`.
    ///
    /// # Errors
    ///
    /// The events that were refused, each with its view where that is known.
    fn fold(
        &self,
        range: Range<usize>,
        current: &[Option<StoredView>],
    ) -> std::result::Result<Output, Failures>;
}

/// What came of folding a page, or a part of it.
#[derive(Debug, Default)]
pub struct Output {
    /// What changes, in order.
    pub operations: Vec<Operation>,
    /// Effects, each with the event that has it.
    pub effects: Vec<(Seq, Operation)>,
}

/// One view that a page touches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedView {
    /// Which view.
    pub key: ViewKey,
    /// Whether the events themselves prove that no such view is stored, so that it need not be looked up.
    pub fresh: bool,
}

/// Everything that can be registered.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Registered {
    /// One projection, with a shard of its own where it is async.
    Projection(Arc<dyn Projection>),
    /// Several projections in stages, in one shard.
    Composite(Composite),
    /// User code that has effects.
    Subscription(Arc<dyn Subscription>),
}

impl<P: Projection + 'static> From<P> for Registered {
    fn from(projection: P) -> Self {
        Self::Projection(Arc::new(projection))
    }
}

impl From<Arc<dyn Projection>> for Registered {
    fn from(projection: Arc<dyn Projection>) -> Self {
        Self::Projection(projection)
    }
}

impl From<Composite> for Registered {
    fn from(composite: Composite) -> Self {
        Self::Composite(composite)
    }
}

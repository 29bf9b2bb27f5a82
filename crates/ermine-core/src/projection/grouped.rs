use std::{
    collections::HashMap,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use super::{
    Admitted, Aggregate, Effects, Failure, Failures, Looked, Output, PlanInput, PlannedView, Scope,
    failures::Gathered,
};
use crate::{
    ApplyError, Body, DomainEvent, Event, Operation, ProjectionName, Recorded, Seq, StoredView, TenantId,
    Version, ViewId, ViewKey, ViewTable,
};

/// Collects what belongs to each view, in the order of the views' first events.
///
/// Neighbouring events mostly belong to the same view, so the last group is tried before the map.
#[derive(Debug)]
pub(super) struct Groups<T> {
    views: Vec<PlannedView>,
    members: Vec<Vec<T>>,
    index: HashMap<ViewKey, usize>,
    last: usize,
    scope: Arc<Scope>,
    withheld: Vec<(ViewKey, Seq)>,
}

impl<T> Groups<T> {
    pub(super) fn new(events: usize, scope: Arc<Scope>) -> Self {
        Self {
            views: Vec::new(),
            members: Vec::new(),
            index: HashMap::with_capacity(events / 4),
            last: 0,
            scope,
            withheld: Vec::new(),
        }
    }

    /// Adds `member`, which is of the event `seq`, to the view `id` of `tenant`, unless that is out of scope; `fresh` counts when
    /// it is the view's first.
    pub(super) fn add(&mut self, tenant: &TenantId, id: &str, fresh: bool, seq: Seq, member: T) {
        if *self.scope != Scope::All && !self.is_in_scope(tenant, id, seq) {
            return;
        }
        let same = |v: &PlannedView| v.key.id.as_str() == id && v.key.tenant == *tenant;
        if !self.views.get(self.last).is_some_and(same) {
            let key = ViewKey { tenant: tenant.clone(), id: ViewId::from_store(id) };
            self.last = *self.index.entry(key).or_insert_with_key(|key| {
                self.views.push(PlannedView { key: key.clone(), fresh });
                self.members.push(Vec::new());
                self.views.len() - 1
            });
        }
        self.members[self.last].push(member);
    }

    fn is_in_scope(&mut self, tenant: &TenantId, id: &str, seq: Seq) -> bool {
        let key = ViewKey { tenant: tenant.clone(), id: ViewId::from_store(id) };
        let admitted = self.scope.admits(&key, seq);
        if admitted == Admitted::Withheld {
            self.withheld.push((key, seq));
        }
        admitted == Admitted::Yes
    }

    pub(super) fn withheld(&self) -> &[(ViewKey, Seq)] {
        &self.withheld
    }

    pub(super) fn views(&self) -> &[PlannedView] {
        &self.views
    }

    pub(super) fn members(&self, index: usize) -> &[T] {
        &self.members[index]
    }
}

/// What raises effects: called for each event with the state after it.
pub(super) type Raise<A> = Box<
    dyn Fn(&Recorded<<A as Aggregate>::Event>, Option<&A>, &mut Effects) -> Result<(), ApplyError>
        + Send
        + Sync,
>;

/// The fold of one view: decoded state in, events one by one, an operation and effects out.
pub(super) struct Fold<'r, A: Aggregate> {
    state: Option<A>,
    stored: bool,
    raising: Option<(&'r Raise<A>, Effects)>,
}

impl<'r, A: Aggregate> Fold<'r, A> {
    /// Starts at the stored state; what is wrong with it is put down to `first`, the first event to fold.
    pub(super) fn start(current: Option<&StoredView>, first: &Event) -> Result<Self, Failure> {
        let state = match current {
            Some(view) => Some(view.body.decode().map_err(|e| Failure::serialization(first, e))?),
            None => None,
        };
        Ok(Self { state, stored: current.is_some(), raising: None })
    }

    /// Has `raise` called for each event from now on.
    pub(super) fn raising(
        mut self,
        raise: Option<&'r Raise<A>>,
        projection: &ProjectionName,
        key: &ViewKey,
    ) -> Self {
        self.raising = raise.map(|raise| (raise, Effects::new(projection.clone(), Some(key.clone()))));
        self
    }

    pub(super) fn apply(&mut self, event: &Recorded<A::Event>, raw: &Event) -> Result<(), Failure> {
        let state = self.state.take();
        self.state = user_code(raw, || A::evolve(state, event))?;
        Ok(())
    }

    /// Raises the effects that `event` has, now that it has been applied.
    pub(super) fn raise(
        &mut self,
        event: &Recorded<A::Event>,
        raw: &Event,
        enabled: bool,
    ) -> Result<(), Failure> {
        if let Some((raise, effects)) = self.raising.as_mut().filter(|_| enabled) {
            effects.of(raw, true);
            user_code(raw, || raise(event, self.state.as_ref(), effects))?;
        }
        Ok(())
    }

    /// The stream is archived, and the view is to go.
    pub(super) fn drop_view(&mut self) {
        self.state = None;
    }

    /// What has to change, given that `last` was the last event folded.
    pub(super) fn finish(
        self,
        table: &ViewTable,
        key: &ViewKey,
        version: Version,
        last: &Event,
        output: &mut Output,
    ) -> Result<(), Failure> {
        let (table, key) = (table.clone(), key.clone());
        match self.state {
            Some(state) => {
                let body = Body::encode(&state).map_err(|e| Failure::serialization(last, e))?;
                let view = StoredView { body, version, seq: last.seq };
                output.operations.push(Operation::Store { table, key, view });
            }
            None if self.stored => output.operations.push(Operation::Delete { table, key }),
            None => {}
        }
        output.effects.extend(self.raising.into_iter().flat_map(|(_, effects)| effects.into_raised()));
        Ok(())
    }
}

/// Whether the event `seq` may have effects; an event that is being appended has no number and no effects.
pub(super) fn may_have_effects(input: &PlanInput, seq: Seq) -> bool {
    seq > Seq::ZERO && input.may_have_effects(seq)
}

/// Folds views one by one with `fold`, which leaves out the events in its last argument. A view with an event that fails is
/// folded again without it, so that all that fail are told at once.
pub(super) fn fold_views(
    views: &[PlannedView],
    range: Range<usize>,
    current: &[Option<StoredView>],
    fold: impl Fn(usize, Option<&StoredView>, &[Seq], &mut Output) -> Result<(), Failure>,
) -> Result<Output, Failures> {
    let mut output = Output::default();
    let mut failed = Gathered::default();
    for (index, current) in range.zip(current) {
        let mut left_out = Vec::new();
        while let Err(failure) = fold(index, current.as_ref(), &left_out, &mut output) {
            let seq = failure.seq;
            failed.keep::<()>(Err(failure.in_view(&views[index].key)));
            if left_out.contains(&seq) {
                break;
            }
            left_out.push(seq);
        }
    }
    failed.unless_failed(output)
}

/// Decodes the body of `event`.
pub(super) fn decode<E: DomainEvent>(
    event: &Event,
    looked: Option<&Arc<Looked>>,
) -> Result<Recorded<E>, Failure> {
    let data = user_code(event, || Ok(E::decode(&event.type_name, &event.body)))?;
    let data = data.map_err(|e| Failure::serialization(event, e))?;
    Ok(Recorded::new(event.clone(), data).with_looked(looked.cloned()))
}

/// Calls user code about `event`; a panic in it is a refusal of that event.
pub(super) fn user_code<T>(
    event: &Event,
    code: impl FnOnce() -> Result<T, ApplyError>,
) -> Result<T, Failure> {
    super::spot::note(event.seq);
    // What the code may have left half done is dropped: nothing of a failed fold is used.
    let refused = match catch_unwind(AssertUnwindSafe(code)) {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => error,
        Err(panic) => {
            let said =
                panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str));
            ApplyError::msg(format!("it panicked: {}", said.unwrap_or("no message")))
        }
    };
    Err(Failure::apply(event, refused))
}

/// Calls user code about a page. `None` when the page has no event that a failure could be put down to.
pub(super) fn page_code<T>(
    page: &[Event],
    code: impl FnOnce() -> Result<T, super::PageError>,
) -> Result<Option<T>, Failure> {
    let Some(first) = page.first() else { return Ok(None) };
    match user_code(first, || Ok(code())).map_err(Failure::of_page)? {
        Ok(value) => Ok(Some(value)),
        Err(refused) => refused.into_failure(page).map_or(Ok(None), Err),
    }
}

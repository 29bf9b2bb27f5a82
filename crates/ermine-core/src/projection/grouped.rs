use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
};

use super::{Aggregate, Failure, PlannedView};
use crate::{
    ApplyError, Body, DomainEvent, Event, Operation, Recorded, StoredView, TenantId, Version, ViewId,
    ViewKey, ViewTable,
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
}

impl<T> Groups<T> {
    pub(super) fn with_capacity(events: usize) -> Self {
        Self { views: Vec::new(), members: Vec::new(), index: HashMap::with_capacity(events / 4), last: 0 }
    }

    /// Adds `member` to the view `id` of `tenant`; `fresh` counts when it is the view's first.
    pub(super) fn add(&mut self, tenant: &TenantId, id: &str, fresh: bool, member: T) {
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

    pub(super) fn views(&self) -> &[PlannedView] {
        &self.views
    }

    pub(super) fn members(&self, index: usize) -> &[T] {
        &self.members[index]
    }
}

/// The fold of one view: decoded state in, events one by one, an operation out.
pub(super) struct Fold<A> {
    state: Option<A>,
    stored: bool,
}

impl<A: Aggregate> Fold<A> {
    /// Starts at the stored state; what is wrong with it is put down to `first`, the first event to fold.
    pub(super) fn start(current: Option<&StoredView>, first: &Event) -> Result<Self, Failure> {
        let state = match current {
            Some(view) => Some(view.body.decode().map_err(|e| Failure::serialization(first, e))?),
            None => None,
        };
        Ok(Self { state, stored: current.is_some() })
    }

    pub(super) fn apply(&mut self, event: &Recorded<A::Event>, raw: &Event) -> Result<(), Failure> {
        let state = self.state.take();
        self.state = user_code(raw, || A::evolve(state, event))?;
        Ok(())
    }

    /// What has to change, given that `last` was the last event folded.
    pub(super) fn finish(
        self,
        table: &ViewTable,
        key: &ViewKey,
        version: Version,
        last: &Event,
    ) -> Result<Option<Operation>, Failure> {
        let (table, key) = (table.clone(), key.clone());
        match self.state {
            Some(state) => {
                let body = Body::encode(&state).map_err(|e| Failure::serialization(last, e))?;
                let view = StoredView { body, version, seq: last.seq };
                Ok(Some(Operation::Store { table, key, view }))
            }
            None => Ok(self.stored.then_some(Operation::Delete { table, key })),
        }
    }
}

/// Decodes the body of `event`.
pub(super) fn decode<E: DomainEvent>(event: &Event) -> Result<Recorded<E>, Failure> {
    let data = E::decode(&event.type_name, &event.body).map_err(|e| Failure::serialization(event, e))?;
    Ok(Recorded::new(event.clone(), data))
}

/// Calls user code about `event`; a panic in it is a refusal of that event.
pub(super) fn user_code<T>(
    event: &Event,
    code: impl FnOnce() -> Result<T, ApplyError>,
) -> Result<T, Failure> {
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

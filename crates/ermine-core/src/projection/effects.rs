use std::collections::HashMap;

use serde::Serialize;
use smol_str::SmolStr;

use crate::{
    Body, DomainEvent, EffectId, Error, Event, Message, NewEvent, Operation, ProjectionName, Result, Seq,
    StreamId, ViewKey,
};

/// Collects what an event sets off beside changes of views: events to append, messages to send.
///
/// Effects are committed together with the views. Each has an id that is derived from projection, event, view and place,
/// but not from the projection's version; so a replay, or a new version, never repeats one that has happened.
#[derive(Debug)]
pub struct Effects {
    projection: ProjectionName,
    view: Option<ViewKey>,
    cause: Option<Event>,
    /// How many effects each event has raised.
    counts: HashMap<Seq, usize>,
    enabled: bool,
    raised: Vec<(Seq, Operation)>,
}

impl Effects {
    pub(super) fn new(projection: ProjectionName, view: Option<ViewKey>) -> Self {
        Self { projection, view, cause: None, counts: HashMap::new(), enabled: false, raised: Vec::new() }
    }

    /// From now on effects are those of `event`; they are dropped unless `enabled`.
    pub(super) fn of(&mut self, event: &Event, enabled: bool) {
        self.cause = Some(event.clone());
        self.enabled = enabled;
    }

    pub(super) fn into_raised(self) -> Vec<(Seq, Operation)> {
        self.raised
    }

    /// Appends events to a stream of the same tenant, whatever its version.
    ///
    /// They are appended by the daemon, so inline projections do not see them: let the projections of such streams be async
    /// or live. To an archived stream nothing can be appended, and the projection pauses.
    ///
    /// # Errors
    ///
    /// When the stream's id cannot be one, or an event has no JSON form.
    pub fn append<E: DomainEvent>(
        &mut self,
        stream: impl TryInto<StreamId, Error = impl Into<Error>>,
        events: impl IntoIterator<Item = E>,
    ) -> Result<()> {
        let stream = stream.try_into().map_err(Into::into)?;
        let mut new = Vec::new();
        for event in events {
            let event = NewEvent::of(&event)?.with_id(self.next_id().into());
            new.push(match &self.cause {
                Some(cause) => event.with_causation(cause.id.to_string())?,
                None => event,
            });
        }
        let Some((seq, tenant)) = self.place() else { return Ok(()) };
        if !new.is_empty() {
            self.raised.push((seq, Operation::Append { tenant, stream, events: new }));
        }
        Ok(())
    }

    /// Puts a message into the outbox: the sink gets it after the commit, at least once.
    ///
    /// # Errors
    ///
    /// When the message has no JSON form.
    pub fn publish<M: Serialize>(&mut self, topic: impl Into<SmolStr>, message: &M) -> Result<()> {
        let (id, body) = (self.next_id(), Body::encode(message)?);
        let Some((seq, tenant)) = self.place() else { return Ok(()) };
        let message =
            Message { id, projection: self.projection.clone(), seq, tenant, topic: topic.into(), body };
        self.raised.push((seq, Operation::Publish(message)));
        Ok(())
    }

    /// Any other operation, committed with the rest. It happens again in a replay, so it should come to the same.
    pub fn operation(&mut self, operation: Operation) {
        if let Some((seq, _)) = self.place() {
            self.raised.push((seq, operation));
        }
    }

    fn next_id(&mut self) -> EffectId {
        let seq = self.cause.as_ref().map_or(Seq::ZERO, |event| event.seq);
        let count = self.counts.entry(seq).or_default();
        let id = EffectId::derive(&self.projection, seq, self.view.as_ref(), *count);
        *count += 1;
        id
    }

    /// Where the next effect belongs, unless effects are off.
    fn place(&self) -> Option<(Seq, crate::TenantId)> {
        self.cause.as_ref().filter(|_| self.enabled).map(|event| (event.seq, event.tenant.clone()))
    }
}

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use smol_str::SmolStr;

use crate::{Body, DomainEvent, EventId, Looked, Result, Seq, StreamId, TenantId, TypeName, Version};

/// A fact that is about to be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    id: EventId,
    type_name: TypeName,
    body: Body,
    metadata: Option<Box<Metadata>>,
}

impl NewEvent {
    /// An event of a domain enum, under a fresh id.
    ///
    /// # Errors
    ///
    /// [`Serialization`](crate::ErrorKind::Serialization) when the event has no JSON form or holds NUL.
    pub fn of<E: DomainEvent>(event: &E) -> Result<Self> {
        Ok(Self::new(TypeName::new(event.type_name())?, event.encode()?))
    }

    /// An event of any type and body, under a fresh id.
    #[must_use]
    pub fn new(type_name: TypeName, body: Body) -> Self {
        Self { id: EventId::random(), type_name, body, metadata: None }
    }

    /// The same event under an id of the caller's, the key of idempotent appends.
    #[must_use]
    pub fn with_id(mut self, id: EventId) -> Self {
        self.id = id;
        self
    }

    /// Which conversation this event belongs to.
    ///
    /// # Errors
    ///
    /// [`Configuration`](crate::ErrorKind::Configuration) when the text holds NUL or more than 500 bytes.
    pub fn with_correlation(mut self, id: impl Into<SmolStr>) -> Result<Self> {
        self.metadata_mut().correlation = Some(checked_reference(id.into())?);
        Ok(self)
    }

    /// What caused this event.
    ///
    /// # Errors
    ///
    /// [`Configuration`](crate::ErrorKind::Configuration) when the text holds NUL or more than 500 bytes.
    pub fn with_causation(mut self, id: impl Into<SmolStr>) -> Result<Self> {
        self.metadata_mut().causation = Some(checked_reference(id.into())?);
        Ok(self)
    }

    /// Whatever else travels with the event, as one JSON value.
    ///
    /// # Errors
    ///
    /// [`Serialization`](crate::ErrorKind::Serialization) when it has no JSON form or holds NUL.
    pub fn with_headers<T: Serialize>(mut self, headers: &T) -> Result<Self> {
        self.metadata_mut().headers = Some(Body::encode(headers)?);
        Ok(self)
    }

    /// The id it will have.
    #[must_use]
    pub const fn id(&self) -> EventId {
        self.id
    }

    /// The name of its type.
    #[must_use]
    pub const fn type_name(&self) -> &TypeName {
        &self.type_name
    }

    /// Its JSON body.
    #[must_use]
    pub const fn body(&self) -> &Body {
        &self.body
    }

    /// What travels with it, where anything does.
    #[must_use]
    pub fn metadata(&self) -> Option<&Metadata> {
        self.metadata.as_deref()
    }

    fn metadata_mut(&mut self) -> &mut Metadata {
        self.metadata.get_or_insert_default()
    }
}

fn checked_reference(text: SmolStr) -> Result<SmolStr> {
    // The rules of a view id, which is text of up to 500 bytes.
    crate::ViewId::new(text).map(Into::into)
}

/// What travels with an event beside its body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Which conversation it belongs to.
    pub correlation: Option<SmolStr>,
    /// What caused it.
    pub causation: Option<SmolStr>,
    /// Anything else, as JSON.
    pub headers: Option<Body>,
}

/// One recorded fact as the store gives it back: immutable, its body not decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its place in the store-wide order; [`Seq::ZERO`] when it has none yet.
    pub seq: Seq,
    /// Its id.
    pub id: EventId,
    /// Whose it is.
    pub tenant: TenantId,
    /// The stream it belongs to.
    pub stream: StreamId,
    /// Its number in the stream: 1, 2, 3 without holes.
    pub version: Version,
    /// What kind of fact it is.
    pub type_name: TypeName,
    /// The JSON body.
    pub body: Body,
    /// When the store recorded it: start of the appending transaction, by the store's clock.
    pub recorded_at: Timestamp,
    /// Correlation, causation and headers, where there are any.
    pub metadata: Option<Box<Metadata>>,
}

/// A decoded event: what user code folds.
#[derive(Clone, Debug)]
pub struct Recorded<E> {
    event: Event,
    data: E,
    looked: Option<Arc<Looked>>,
}

impl<E> Recorded<E> {
    /// Puts an event and its decoded body together.
    #[must_use]
    pub const fn new(event: Event, data: E) -> Self {
        Self { event, data, looked: None }
    }

    pub(crate) fn with_looked(mut self, looked: Option<Arc<Looked>>) -> Self {
        self.looked = looked;
        self
    }

    /// A fact made out of this one, with everything else as here: one of the children that an event fans out into.
    #[must_use]
    pub fn child<C>(&self, data: C) -> Recorded<C> {
        Recorded { event: self.event.clone(), data, looked: self.looked.clone() }
    }

    /// The view `id` of type `T` and the event's tenant, where a [look-up](crate::look_up) of the projection has found one.
    #[must_use]
    pub fn looked_up<T: 'static>(&self, id: &str) -> Option<&T> {
        self.looked.as_ref()?.get(self.tenant(), id)
    }

    /// The event with its body not decoded.
    #[must_use]
    pub const fn raw(&self) -> &Event {
        &self.event
    }

    /// The fact itself.
    #[must_use]
    pub const fn data(&self) -> &E {
        &self.data
    }

    /// Its place in the store-wide order; `None` while the append that records it is still running.
    #[must_use]
    pub fn seq(&self) -> Option<Seq> {
        (self.event.seq > Seq::ZERO).then_some(self.event.seq)
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> EventId {
        self.event.id
    }

    /// Whose it is.
    #[must_use]
    pub const fn tenant(&self) -> &TenantId {
        &self.event.tenant
    }

    /// The stream it belongs to.
    #[must_use]
    pub const fn stream(&self) -> &StreamId {
        &self.event.stream
    }

    /// Its number in the stream: 1, 2, 3 without holes.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.event.version
    }

    /// The name of its type.
    #[must_use]
    pub const fn type_name(&self) -> &TypeName {
        &self.event.type_name
    }

    /// When the store recorded it, by the store's clock.
    #[must_use]
    pub const fn recorded_at(&self) -> Timestamp {
        self.event.recorded_at
    }

    /// Which conversation it belongs to.
    #[must_use]
    pub fn correlation(&self) -> Option<&str> {
        self.event.metadata.as_ref()?.correlation.as_deref()
    }

    /// What caused it.
    #[must_use]
    pub fn causation(&self) -> Option<&str> {
        self.event.metadata.as_ref()?.causation.as_deref()
    }

    /// Its headers as JSON, where it has any.
    #[must_use]
    pub fn headers(&self) -> Option<&Body> {
        self.event.metadata.as_ref()?.headers.as_ref()
    }

    /// The fact alone.
    #[must_use]
    pub fn into_data(self) -> E {
        self.data
    }
}

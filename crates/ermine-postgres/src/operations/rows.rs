//! Events and messages as columns.

use ermine_core::{Message, NewEvent, StreamId, TenantId, Uuid};

use crate::{job::Param, value::RawJson};

/// Events that operations append, in their order.
#[derive(Default)]
pub(super) struct Events<'a> {
    tenants: Vec<&'a str>,
    streams: Vec<&'a str>,
    ids: Vec<Uuid>,
    types: Vec<&'a str>,
    bodies: Vec<RawJson<'a>>,
    correlations: Vec<Option<&'a str>>,
    causations: Vec<Option<&'a str>>,
    headers: Vec<Option<RawJson<'a>>>,
}

impl<'a> Events<'a> {
    pub(super) fn add(&mut self, tenant: &'a TenantId, stream: &'a StreamId, events: &'a [NewEvent]) {
        for event in events {
            let metadata = event.metadata();
            self.tenants.push(tenant.as_str());
            self.streams.push(stream.as_str());
            self.ids.push(*event.id().as_uuid());
            self.types.push(event.type_name().as_str());
            self.bodies.push(RawJson(event.body()));
            self.correlations.push(metadata.and_then(|it| it.correlation.as_deref()));
            self.causations.push(metadata.and_then(|it| it.causation.as_deref()));
            self.headers.push(metadata.and_then(|it| it.headers.as_ref()).map(RawJson));
        }
    }

    /// `None` when there are none.
    pub(super) fn params(self) -> Option<Vec<Param<'a>>> {
        if self.ids.is_empty() {
            return None;
        }
        Some(vec![
            Box::new(self.tenants),
            Box::new(self.streams),
            Box::new(self.ids),
            Box::new(self.types),
            Box::new(self.bodies),
            Box::new(self.correlations),
            Box::new(self.causations),
            Box::new(self.headers),
        ])
    }
}

/// Messages that operations publish, in their order.
#[derive(Default)]
pub(super) struct Messages<'a> {
    ids: Vec<Uuid>,
    projections: Vec<&'a str>,
    seqs: Vec<i64>,
    tenants: Vec<&'a str>,
    topics: Vec<&'a str>,
    bodies: Vec<RawJson<'a>>,
}

impl<'a> Messages<'a> {
    pub(super) fn add(&mut self, message: &'a Message) {
        self.ids.push(message.id.0);
        self.projections.push(message.projection.as_str());
        self.seqs.push(message.seq.as_i64());
        self.tenants.push(message.tenant.as_str());
        self.topics.push(message.topic.as_str());
        self.bodies.push(RawJson(&message.body));
    }

    /// `None` when there are none.
    pub(super) fn params(self) -> Option<Vec<Param<'a>>> {
        if self.ids.is_empty() {
            return None;
        }
        Some(vec![
            Box::new(self.ids),
            Box::new(self.projections),
            Box::new(self.seqs),
            Box::new(self.tenants),
            Box::new(self.topics),
            Box::new(self.bodies),
        ])
    }
}

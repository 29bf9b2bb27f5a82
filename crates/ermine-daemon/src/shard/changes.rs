//! What earlier stages of a composite have changed, as events for later ones.

use std::collections::BTreeMap;

use ermine_core::{
    Admission, Body, Event, EventFilter, EventId, EventPage, Operation, Result, StreamId, Timestamp,
    TypeName, Version, ViewKey, ViewTable,
};

/// The last change of each view so far, in the order of tables and keys.
#[derive(Debug, Default)]
pub(super) struct Changes {
    last: BTreeMap<(ViewTable, ViewKey), Operation>,
}

impl Changes {
    pub(super) fn add(&mut self, operations: &[Operation]) {
        for operation in operations {
            if let Some((table, key)) = operation.view() {
                self.last.insert((table.clone(), key.clone()), operation.clone());
            }
        }
    }

    /// The events of `page` and of the changes that `filter` admits, in sequence order; a change comes after the event
    /// that made it.
    pub(super) fn merged(&self, page: &EventPage, filter: &EventFilter) -> Result<EventPage> {
        let admitted = |name: &TypeName| filter.admit(name) == Admission::Wanted;
        let mut events: Vec<Event> =
            page.events.iter().filter(|event| admitted(&event.type_name)).cloned().collect();
        let recorded_at = page.events.last().map_or(Timestamp::UNIX_EPOCH, |event| event.recorded_at);
        let before = events.len();
        for ((table, key), operation) in &self.last {
            let what = if operation.result().is_some() { "updated" } else { "deleted" };
            let type_name = TypeName::new(format!("{what}:{}", table.projection()))?;
            if admitted(&type_name) {
                events.push(change(page, type_name, key, operation, recorded_at)?);
            }
        }
        if events.len() > before {
            events.sort_by_key(|event| event.seq); // stable: the page's own come first
        }
        Ok(EventPage { events, ..EventPage::empty(page.range) })
    }
}

fn change(
    page: &EventPage,
    type_name: TypeName,
    key: &ViewKey,
    operation: &Operation,
    recorded_at: Timestamp,
) -> Result<Event> {
    let mut json = br#"{"id":"#.to_vec();
    json.extend_from_slice(Body::encode(&key.id)?.as_bytes());
    if let Some(view) = operation.result() {
        json.extend_from_slice(br#","view":"#);
        json.extend_from_slice(view.body.as_bytes());
    }
    json.push(b'}');
    let seq = operation.result().map_or(page.range.ceiling(), |view| view.seq);
    Ok(Event {
        seq,
        id: EventId::derived(&format!("{type_name}\0{}\0{}\0{seq}", key.tenant, key.id)),
        tenant: key.tenant.clone(),
        stream: StreamId::from_store(&key.id),
        version: Version::ZERO,
        type_name,
        body: Body::from_store(json.into()),
        recorded_at,
        metadata: None,
    })
}

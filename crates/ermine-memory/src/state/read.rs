use std::{num::NonZeroUsize, ops::Bound};

use ermine_core::{
    Admission, Error, Event, EventPage, EventRange, Evidence, Holder, HolderId, Observation, PageRequest,
    Result, Seq, SmolStr, Statistics, StreamId, TenantId, UnknownEvent, Version,
};

use super::State;
use crate::EvidenceKind;

impl State {
    pub(crate) fn load_page(&self, request: &PageRequest) -> Result<EventPage> {
        if request.incarnation != self.incarnation {
            return Err(Error::rewound());
        }
        let (floor, ceiling) = (request.range.floor(), request.range.ceiling());
        let mut page = EventPage { range: request.range, events: Vec::new(), unknown: Vec::new() };
        let mut bytes = 0;
        for (seq, event) in self.events.range((Bound::Excluded(floor), Bound::Included(ceiling))) {
            match request.filter.admit(&event.type_name) {
                Admission::Other => continue,
                Admission::Wanted => {
                    bytes += event.body.len();
                    page.events.push(event.clone());
                }
                Admission::Unknown => page.unknown.push(UnknownEvent {
                    seq: *seq,
                    stream: event.stream.clone(),
                    type_name: event.type_name.clone(),
                }),
            }
            let count = page.events.len() + page.unknown.len();
            if count >= request.events_max.get() || bytes >= request.bytes_max {
                page.range = EventRange::new(floor, *seq).unwrap_or(request.range);
                break;
            }
        }
        Ok(page)
    }

    pub(crate) fn read_stream(
        &self,
        tenant: &TenantId,
        stream: &StreamId,
        after: Version,
        limit: NonZeroUsize,
    ) -> Vec<Event> {
        let seqs = self.streams.get(&(tenant.clone(), stream.clone()));
        let events = seqs.into_iter().flatten().filter_map(|seq| self.events.get(seq));
        events.filter(|event| event.version > after).take(limit.get()).cloned().collect()
    }

    /// Everything under one lock: an observation whose reads happen to have nothing between them.
    pub(crate) fn observe(&self, mark: Seq, kind: EvidenceKind) -> Observation {
        let in_flight = self.open.iter().filter_map(|(tx, open)| open.floor.map(|floor| (tx, floor)));
        let evidence = match kind {
            EvidenceKind::Floors => Evidence::Floors(in_flight.map(|(_, floor)| floor).collect()),
            EvidenceKind::Holders => Evidence::Holders(
                in_flight.map(|(tx, _)| HolderId(SmolStr::new(format!("tx-{}", tx.0)))).collect(),
            ),
            EvidenceKind::Visible => self.visible(mark),
        };
        Observation {
            incarnation: self.incarnation,
            last: self.last,
            evidence,
            last_again: self.last,
            highest_visible: self.highest(),
            at: self.clock.now(),
        }
    }

    fn visible(&self, mark: Seq) -> Evidence {
        let mut contiguous = mark;
        for seq in self.events.range((Bound::Excluded(mark), Bound::Unbounded)).map(|(seq, _)| *seq) {
            if seq > contiguous.next() {
                return Evidence::Visible { contiguous, next: Some(seq) };
            }
            contiguous = seq;
        }
        Evidence::Visible { contiguous, next: None }
    }

    pub(crate) fn explain(&self) -> Vec<Holder> {
        let now = self.clock.now();
        let mut holders: Vec<Holder> = self
            .open
            .values()
            .filter_map(|open| {
                Some(Holder {
                    floor: open.floor?,
                    pid: None,
                    application: open.application.clone(),
                    state: format!("open append of {} events", open.staged.len()),
                    age: now.duration_since(open.since).try_into().unwrap_or_default(),
                    query: None,
                })
            })
            .collect();
        holders.sort_by_key(|holder| holder.floor);
        holders
    }

    pub(crate) fn statistics(&self) -> Statistics {
        Statistics {
            events: self.events.len() as u64,
            streams: self.streams.len() as u64,
            highest: self.highest(),
        }
    }

    fn highest(&self) -> Seq {
        self.events.last_key_value().map_or(Seq::ZERO, |(seq, _)| *seq)
    }
}

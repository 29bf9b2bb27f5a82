use std::{num::NonZeroUsize, ops::Bound};

use ermine_core::{
    Admission, Error, Event, EventPage, EventRange, Evidence, Holder, HolderId, LogEntry, LogPoint,
    Observation, PageRequest, Result, Seq, SkippedEvent, SmolStr, Statistics, StreamId, StreamType, TenantId,
    UnknownEvent, Version,
};

use super::State;
use crate::EvidenceKind;

impl State {
    pub(crate) fn load_page(&self, request: &PageRequest) -> Result<EventPage> {
        if request.incarnation != self.data.incarnation {
            return Err(Error::rewound());
        }
        let (floor, ceiling) = (request.range.floor(), request.range.ceiling());
        let mut page = EventPage::empty(request.range);
        let mut bytes = 0;
        for (seq, event) in self.data.events.range((Bound::Excluded(floor), Bound::Included(ceiling))) {
            match (request.filter.admit(&event.type_name), self.data.skipped.get(seq)) {
                (Admission::Other, _) => continue,
                (Admission::Wanted, _) if !self.is_of(event, request.filter.stream_type()) => continue,
                (Admission::Wanted | Admission::Unknown, Some(reason)) => page.skipped.push(SkippedEvent {
                    seq: *seq,
                    stream: event.stream.clone(),
                    reason: reason.clone(),
                }),
                (Admission::Wanted, None) => {
                    bytes += event.body.len();
                    page.events.push(event.clone());
                }
                (Admission::Unknown, None) => page.unknown.push(UnknownEvent {
                    seq: *seq,
                    stream: event.stream.clone(),
                    type_name: event.type_name.clone(),
                }),
            }
            let count = page.events.len() + page.unknown.len() + page.skipped.len();
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
        let stored = self.data.stream(tenant, stream);
        let seqs = stored.into_iter().flat_map(|stored| &stored.seqs);
        let events = seqs.filter_map(|seq| self.data.events.get(seq));
        events.filter(|event| event.version > after).take(limit.get()).cloned().collect()
    }

    /// Whether the event belongs to a stream of that type, where one is asked for.
    fn is_of(&self, event: &Event, wanted: Option<&StreamType>) -> bool {
        let stored = || self.data.stream(&event.tenant, &event.stream)?.stream_type.as_ref();
        wanted.is_none_or(|wanted| stored() == Some(wanted))
    }

    pub(crate) fn locate(&self, point: LogPoint) -> Option<LogEntry> {
        let found = match point {
            LogPoint::After(seq) => self
                .data
                .events
                .range((Bound::Excluded(seq), Bound::Unbounded))
                .map(|(_, event)| event)
                .next(),
            LogPoint::Since(moment) => self.data.events.values().find(|event| event.recorded_at >= moment),
        };
        found.map(|event| LogEntry { seq: event.seq, recorded_at: event.recorded_at })
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
            incarnation: self.data.incarnation,
            last: self.data.last,
            evidence,
            last_again: self.data.last,
            highest_visible: self.highest(),
            at: self.clock.now(),
        }
    }

    fn visible(&self, mark: Seq) -> Evidence {
        let mut contiguous = mark;
        for seq in self.data.events.range((Bound::Excluded(mark), Bound::Unbounded)).map(|(seq, _)| *seq) {
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
                    state: format!("open append of {} events", open.staged.events.len()),
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
            events: self.data.events.len() as u64,
            streams: self.data.streams.len() as u64,
            highest: self.highest(),
        }
    }

    fn highest(&self) -> Seq {
        self.data.events.last_key_value().map_or(Seq::ZERO, |(seq, _)| *seq)
    }
}

use ermine_core::{
    Admission, Error, Event, EventPage, EventRange, PageRequest, Result, Seq, SkippedEvent, SmolStr,
    StreamId, UnknownEvent,
};

use super::{Raw, ReadFault};

/// Puts a page together, and knows when it is full.
pub(super) struct Builder<'a> {
    request: &'a PageRequest,
    events: Vec<Event>,
    unknown: Vec<UnknownEvent>,
    skipped: Vec<SkippedEvent>,
    seen: usize,
    bytes: usize,
    last: Seq,
    incarnation_holds: bool,
}

impl<'a> Builder<'a> {
    pub(super) fn new(request: &'a PageRequest) -> Self {
        Self {
            request,
            events: Vec::new(),
            unknown: Vec::new(),
            skipped: Vec::new(),
            seen: 0,
            bytes: 0,
            last: request.range.floor(),
            incarnation_holds: false,
        }
    }

    fn is_full(&self) -> bool {
        self.seen >= self.request.events_max.get() || (self.bytes >= self.request.bytes_max && self.seen > 0)
    }

    /// Takes a row (`None`: one that only proves the incarnation); whether there is room for another.
    pub(super) fn take(&mut self, raw: Option<Raw>) -> Result<bool, ReadFault> {
        self.incarnation_holds = true;
        let Some(Raw { event, has_body, skipped }) = raw else { return Ok(true) };
        if event.seq <= self.last || event.seq > self.request.range.ceiling() {
            return Err(ReadFault::Garbled(format!("event {} came after {}", event.seq, self.last)));
        }
        self.seen += 1;
        self.last = event.seq;
        match (self.request.filter.admit(&event.type_name), skipped) {
            (Admission::Wanted, Some(reason)) if has_body => self.skip(event.seq, event.stream, reason),
            (Admission::Unknown, Some(reason)) => self.skip(event.seq, event.stream, reason),
            (Admission::Wanted, None) if has_body => {
                self.bytes += event.body.len();
                self.events.push(event);
            }
            // The statement leaves these out; with every known type wanted there are none.
            (Admission::Wanted | Admission::Other, _) => {}
            (Admission::Unknown, None) => self.unknown.push(UnknownEvent {
                seq: event.seq,
                stream: event.stream,
                type_name: event.type_name,
            }),
        }
        Ok(!self.is_full())
    }

    fn skip(&mut self, seq: Seq, stream: StreamId, reason: SmolStr) {
        self.skipped.push(SkippedEvent { seq, stream, reason });
    }

    pub(super) fn finish(self) -> Result<EventPage> {
        if !self.incarnation_holds {
            return Err(Error::rewound());
        }
        let asked = self.request.range;
        // A page that did not fill up has seen everything up to the ceiling.
        let ceiling = if self.is_full() { self.last } else { asked.ceiling() };
        let range = EventRange::new(asked.floor(), ceiling)
            .ok_or_else(|| Error::fatal(format!("an event at {ceiling} in a page of {asked}")))?;
        Ok(EventPage { range, events: self.events, unknown: self.unknown, skipped: self.skipped })
    }
}

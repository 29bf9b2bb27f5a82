use std::num::NonZeroUsize;

use async_trait::async_trait;
use ermine_core::{
    Event, EventFilter, EventPage, EventRange, LogEntry, LogPoint, PageRequest, Result, Seq, StreamHeads,
    StreamId, TenantId, Version, ports::EventReader,
};

use super::{Flaw, Mutant};
use crate::support::observe;

#[async_trait]
impl EventReader for Mutant {
    async fn load_page(&self, mut request: PageRequest) -> Result<EventPage> {
        let asked = request.range;
        match self.flaw {
            Flaw::PageMindsNoBytes => request.bytes_max = usize::MAX,
            Flaw::PageMindsNoIncarnation => request.incarnation = observe(&self.inner).await.incarnation,
            Flaw::PageHoldsOtherTypes => {
                request.filter = EventFilter::new(request.filter.known().to_vec(), []);
            }
            Flaw::PageMindsNoStreamType => request.filter = request.filter.for_streams_of(None),
            _ => {}
        }
        let of_type = request.filter.stream_type().is_some();
        let mut page = self.inner.load_page(request).await?;
        match self.flaw {
            Flaw::PageIsNotInOrder => page.events.reverse(),
            Flaw::PageLeavesOutItsCeiling => page.events.retain(|event| event.seq < asked.ceiling()),
            Flaw::FullPageClaimsTheCeiling => page.range = asked,
            Flaw::PageHidesSkippedEvents => page.skipped.clear(),
            Flaw::PageHidesUnknownEventsOfOtherStreams if of_type => page.unknown.clear(),
            Flaw::PageHidesUnknownEvents => page.unknown.clear(),
            _ => {}
        }
        Ok(page)
    }

    async fn read_stream(
        &self,
        tenant: &TenantId,
        stream: &StreamId,
        after: Version,
        limit: NonZeroUsize,
    ) -> Result<Vec<Event>> {
        let after = if self.flaw == Flaw::StreamIsReadFromTheStart { Version::ZERO } else { after };
        let mut events = self.inner.read_stream(tenant, stream, after, limit).await?;
        if self.flaw == Flaw::NumbersStreamsFromTwo {
            events.iter_mut().for_each(|event| event.version = event.version.plus(1));
        }
        if self.flaw == Flaw::SkippedEventsLeaveTheirStreams {
            let skipped = self.skipped(&events).await?;
            events.retain(|event| !skipped.contains(&event.seq));
        }
        Ok(events)
    }

    async fn read_heads(&self, streams: &[(TenantId, StreamId)]) -> Result<StreamHeads> {
        let mut streams = streams.to_vec();
        if self.flaw == Flaw::ReadsHeadsInTheOrderOfIds {
            streams.sort_unstable();
        }
        self.inner.read_heads(&streams).await
    }

    async fn locate(&self, point: LogPoint) -> Result<Option<LogEntry>> {
        let point = match (self.flaw, point) {
            (Flaw::LocatesTheNumberItself, LogPoint::After(seq)) => {
                LogPoint::After(Seq::new(seq.get().saturating_sub(1)))
            }
            (Flaw::LocatesByNumberAlone, LogPoint::Since(_)) => LogPoint::After(Seq::ZERO),
            (_, point) => point,
        };
        self.inner.locate(point).await
    }
}

impl Mutant {
    /// The numbers of marked events of the types that these have.
    pub(super) async fn skipped(&self, events: &[Event]) -> Result<Vec<Seq>> {
        let request = PageRequest {
            range: EventRange::new(Seq::ZERO, Seq::MAX).unwrap(),
            filter: EventFilter::new(events.iter().map(|event| event.type_name.clone()), []),
            events_max: NonZeroUsize::MAX,
            bytes_max: usize::MAX,
            incarnation: observe(&self.inner).await.incarnation,
        };
        Ok(self.inner.load_page(request).await?.skipped.iter().map(|skipped| skipped.seq).collect())
    }
}

use async_trait::async_trait;
use ermine_core::{
    AppendBatch, Appended, Body, Error, ErrorKind, NewEvent, Result, Seq, StreamAppend, StreamId, TenantId,
    ports::{EventAppender, StreamAdmin, archived_type},
};

use super::{Flaw, Mutant};

#[async_trait]
impl StreamAdmin for Mutant {
    async fn archive_stream(&self, tenant: &TenantId, stream: &StreamId) -> Result<Appended> {
        if self.flaw == Flaw::ArchivedStreamsGoOn {
            return self.append_the_end(tenant, stream).await;
        }
        match (self.flaw, self.inner.archive_stream(tenant, stream).await) {
            (Flaw::ArchivingAgainIsRefused, Ok(appended)) if appended.repeated => {
                Err(Error::archived(stream.clone()))
            }
            (Flaw::ArchivesWhatIsNotThere, Err(error)) if *error.kind() == ErrorKind::NotFound => {
                self.append_the_end(tenant, stream).await
            }
            (_, archived) => archived,
        }
    }

    async fn skip_events(&self, events: &[Seq], reason: &str) -> Result<u64> {
        if self.flaw == Flaw::SkipsNothing {
            return Ok(events.len() as u64);
        }
        let marked = self.inner.skip_events(events, reason).await?;
        Ok(if self.flaw == Flaw::CountsEventsThatAreNotThere { events.len() as u64 } else { marked })
    }
}

impl Mutant {
    /// The event that ends a stream, and no end.
    async fn append_the_end(&self, tenant: &TenantId, stream: &StreamId) -> Result<Appended> {
        let end = NewEvent::new(archived_type(), Body::from_json("{}")?);
        let append = StreamAppend::new(stream.clone(), vec![end]).for_tenant(tenant.clone());
        self.inner.append(AppendBatch::new().stream(append)).await
    }
}

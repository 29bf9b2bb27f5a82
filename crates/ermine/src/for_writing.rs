use ermine_core::{Appended, DomainEvent, ExpectedVersion, Result, StreamId, Version};
use ermine_daemon::Current;

use crate::Ermine;

/// The current state of a stream, and the right to append what follows from it: see [`Ermine::fetch_for_writing`].
#[derive(Debug)]
pub struct ForWriting<'e, A> {
    ermine: &'e Ermine,
    stream: StreamId,
    current: Current<A>,
}

impl<'e, A> ForWriting<'e, A> {
    pub(crate) const fn new(ermine: &'e Ermine, stream: StreamId, current: Current<A>) -> Self {
        Self { ermine, stream, current }
    }

    /// The state; `None` where there is none, or not any more.
    #[must_use]
    pub const fn state(&self) -> Option<&A> {
        self.current.state.as_ref()
    }

    /// The version of the stream that the state was made of.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.current.version
    }

    /// The state alone.
    #[must_use]
    pub fn into_state(self) -> Option<A> {
        self.current.state
    }

    /// Appends events, if nobody has appended to the stream since the state was fetched.
    ///
    /// # Errors
    ///
    /// [`VersionConflict`](ermine_core::ErrorKind::VersionConflict) when somebody has: fetch again. And those of
    /// [`Ermine::append`].
    ///
    /// # Cancellation
    ///
    /// As [`Ermine::append`].
    pub async fn append<E: DomainEvent>(self, events: impl IntoIterator<Item = E>) -> Result<Appended> {
        let expected = ExpectedVersion::Exact(self.current.version);
        self.ermine.append_expecting(self.stream, expected, events).await
    }
}

use std::error::Error as StdError;

use crate::{ApplyError, Error, ErrorKind, Event, Seq, StreamId, TypeName, Version};

/// An event that a projection could not take.
#[derive(Debug)]
pub struct Failure {
    /// Which event.
    pub seq: Seq,
    /// Its stream.
    pub stream: StreamId,
    /// Its number in the stream.
    pub version: Version,
    /// Its type.
    pub type_name: TypeName,
    /// What was wrong.
    pub kind: FailureKind,
    /// Why.
    pub source: Box<dyn StdError + Send + Sync>,
}

/// What was wrong with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// User code refused it.
    Apply,
    /// Its body, or the state that it should be folded onto, could not be decoded or encoded.
    Serialization,
}

impl Failure {
    /// The refusal of `event` by user code.
    #[must_use]
    pub fn apply(event: &Event, error: ApplyError) -> Self {
        Self::new(event, FailureKind::Apply, error.into_inner())
    }

    /// A body or state that could not be decoded or encoded at `event`.
    #[must_use]
    pub fn serialization(event: &Event, error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(event, FailureKind::Serialization, error.into())
    }

    fn new(event: &Event, kind: FailureKind, source: Box<dyn StdError + Send + Sync>) -> Self {
        Self {
            seq: event.seq,
            stream: event.stream.clone(),
            version: event.version,
            type_name: event.type_name.clone(),
            kind,
            source,
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let kind = match failure.kind {
            FailureKind::Apply => ErrorKind::Apply { seq: failure.seq },
            FailureKind::Serialization => ErrorKind::Serialization { seq: Some(failure.seq) },
        };
        let verb = match failure.kind {
            FailureKind::Apply => "the projection refused",
            FailureKind::Serialization => "cannot decode or encode at",
        };
        // An event that is being appended has no number yet.
        let event =
            if failure.seq == Seq::ZERO { "an event".to_owned() } else { format!("event {}", failure.seq) };
        Self::new(
            kind,
            format!(
                "{verb} {event} ({}, version {} of stream \"{}\")",
                failure.type_name, failure.version, failure.stream
            ),
        )
        .with_source(failure.source)
    }
}

/// Why user code refuses a page: the error, and which event of the page it is about.
#[derive(Debug)]
pub struct PageError {
    at: usize,
    error: ApplyError,
}

impl PageError {
    /// An error about event number `at` of the page, counted from 0. Any other error is put down to the first event.
    #[must_use]
    pub fn at(at: usize, error: impl Into<ApplyError>) -> Self {
        Self { at, error: error.into() }
    }

    /// The failure of the event of `page` that the error is about.
    #[must_use]
    pub fn into_failure(self, page: &[Event]) -> Option<Failure> {
        page.get(self.at).or(page.first()).map(|event| Failure::apply(event, self.error))
    }
}

impl<E: Into<ApplyError>> From<E> for PageError {
    fn from(error: E) -> Self {
        Self { at: 0, error: error.into() }
    }
}

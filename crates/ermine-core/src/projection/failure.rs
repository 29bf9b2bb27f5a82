use std::error::Error as StdError;

use crate::{ApplyError, Error, ErrorKind, Event, Seq, StreamId, TypeName, Version, ViewKey};

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
    /// Whether it is this event; otherwise it is one of a page that begins with it.
    pub is_exact: bool,
    /// The view that was being folded, where it is known.
    pub view: Option<Box<ViewKey>>,
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
            is_exact: true,
            view: None,
        }
    }

    /// The same failure, of some event of the page that begins with this one.
    #[must_use]
    pub const fn of_page(mut self) -> Self {
        self.is_exact = false;
        self
    }

    /// The same failure, of a view.
    #[must_use]
    pub fn in_view(mut self, key: &ViewKey) -> Self {
        self.view = Some(Box::new(key.clone()));
        self
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
        let event = if failure.is_exact { event } else { format!("a page that begins with {event}") };
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
    at: Option<usize>,
    error: ApplyError,
}

impl PageError {
    /// An error about event number `at` of the page, counted from 0. Any other error is put down to the first event.
    #[must_use]
    pub fn at(at: usize, error: impl Into<ApplyError>) -> Self {
        Self { at: Some(at), error: error.into() }
    }

    /// The failure of the event of `page` that the error is about.
    #[must_use]
    pub fn into_failure(self, page: &[Event]) -> Option<Failure> {
        match self.at.and_then(|at| page.get(at)) {
            Some(event) => Some(Failure::apply(event, self.error)),
            None => page.first().map(|first| Failure::apply(first, self.error).of_page()),
        }
    }
}

impl<E: Into<ApplyError>> From<E> for PageError {
    fn from(error: E) -> Self {
        Self { at: None, error: error.into() }
    }
}

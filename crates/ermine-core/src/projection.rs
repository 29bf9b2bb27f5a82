//! The kinds of projections: user code as a function from events and current views to operations.

mod aggregate;
mod grouped;
mod multi_stream;
mod single_stream;

use std::{error::Error as StdError, fmt, sync::Arc};

pub use aggregate::Aggregate;
pub use multi_stream::{MultiStream, ViewIds, multi_stream};
pub use single_stream::{SingleStream, single_stream};

use crate::{
    ApplyError, Error, ErrorKind, Event, EventPage, Operation, ProjectionName, Result, Seq, ShardName,
    StoredView, StreamId, TypeName, Version, ViewKey, ViewTable,
};

/// Turns events into views: what the engine sees of user code. It does no I/O and holds no transaction.
///
/// Applications do not implement it; they make one with [`single_stream`] or [`multi_stream`].
pub trait Projection: Send + Sync + fmt::Debug {
    /// What it is called, what it reads and where its views go.
    ///
    /// # Errors
    ///
    /// [`Configuration`](ErrorKind::Configuration) when the name cannot be a projection's.
    fn definition(&self) -> Result<Definition>;

    /// Groups the events of a page by the view in `table` that they belong to.
    ///
    /// # Errors
    ///
    /// The event whose view could not be told.
    fn plan(&self, page: Arc<EventPage>, table: &ViewTable) -> std::result::Result<Arc<dyn Plan>, Failure>;
}

/// A page of events, grouped by view. Each view can be folded on its own, in any order, on any thread.
pub trait Plan: Send + Sync {
    /// The views that the page touches, each once, in the order of their first event.
    fn views(&self) -> &[PlannedView];

    /// Folds the events of the view number `index` onto its current state. `None` when nothing has to change.
    ///
    /// # Errors
    ///
    /// The event that was refused.
    fn fold(
        &self,
        index: usize,
        current: Option<&StoredView>,
    ) -> std::result::Result<Option<Operation>, Failure>;
}

/// One view that a page touches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedView {
    /// Which view.
    pub key: ViewKey,
    /// Whether the events themselves prove that no such view is stored, so that it need not be looked up.
    pub fresh: bool,
}

/// What a projection says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// Its name.
    pub name: ProjectionName,
    /// Its version, 1 or higher; each version has views and progress of its own.
    pub version: u32,
    /// When it runs.
    pub lifecycle: Lifecycle,
    /// The types of events that it wants.
    pub types: Vec<TypeName>,
    /// The Rust type of its views, for reading them back by type.
    pub view_type: std::any::TypeId,
    /// The name of that type.
    pub view_type_name: &'static str,
}

impl Definition {
    /// The table of its views.
    #[must_use]
    pub fn table(&self) -> ViewTable {
        ViewTable::new(self.name.clone(), self.version)
    }

    /// The shard that is all of it.
    #[must_use]
    pub fn shard(&self) -> ShardName {
        ShardName::all(self.name.clone(), self.version)
    }
}

/// When a projection's views are brought up to date.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Lifecycle {
    /// By the daemon, soon after the append.
    #[default]
    Async,
}

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
        Self::new(
            kind,
            format!(
                "{verb} event {} ({}, version {} of stream \"{}\")",
                failure.seq, failure.type_name, failure.version, failure.stream
            ),
        )
        .with_source(failure.source)
    }
}

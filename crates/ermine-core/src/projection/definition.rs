use std::num::NonZeroUsize;

use jiff::Timestamp;
use smol_str::SmolStr;

use crate::{
    ErrorHandling, EventFilter, FieldIndex, Layout, ProjectionName, Seq, ShardName, StreamType, TypeName,
    ViewTable,
    ports::{TableSpec, archived_type},
};

/// What a projection or subscription says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Definition {
    /// Its name.
    pub name: ProjectionName,
    /// Its version, 1 or higher; each version has views and progress of its own.
    pub version: u32,
    /// What kind it is, in words: `single-stream aggregate`.
    pub kind: &'static str,
    /// When it runs.
    pub lifecycle: Lifecycle,
    /// The types of events that it wants.
    pub types: Vec<TypeName>,
    /// The type of streams that it is limited to.
    pub stream_type: Option<StreamType>,
    /// The Rust type of its views, for reading them back by type; `None` where it keeps none, or not of one type.
    pub view_type: Option<ViewType>,
    /// Whether each view is the state of one stream: the fold of its events.
    pub is_stream_state: bool,
    /// Whether it has a table of its own.
    pub has_views: bool,
    /// How its views are kept.
    pub layout: Layout,
    /// The indexes on its views.
    pub indexes: Vec<FieldIndex>,
    /// The projections whose views it reads, and that it never runs ahead of.
    pub after: Vec<ProjectionName>,
    /// Those of them whose views it looks up.
    pub looks_up: Vec<ProjectionName>,
    /// The kind of store whose native statements it makes.
    pub native: Option<SmolStr>,
    /// What becomes of views when their stream is archived.
    pub archived: Archived,
    /// What it does about failures.
    pub errors: ErrorHandling,
    /// Where it starts when it has no progress yet.
    pub start: Start,
    /// How it spends memory, where it differs from the daemon's settings.
    pub options: Options,
}

impl Definition {
    /// The table of its views.
    #[must_use]
    pub fn table(&self) -> ViewTable {
        ViewTable::new(self.name.clone(), self.version).with_layout(self.layout.clone())
    }

    /// What a store has to make for it.
    #[must_use]
    pub fn table_spec(&self) -> Option<TableSpec> {
        self.has_views.then(|| TableSpec { table: self.table(), indexes: self.indexes.clone() })
    }

    /// The shard that is all of it.
    #[must_use]
    pub fn shard(&self) -> ShardName {
        ShardName::all(self.name.clone(), self.version)
    }

    /// Which events it is given, out of all the types that are `known`.
    #[must_use]
    pub fn filter(&self, known: &[TypeName]) -> EventFilter {
        let known = known.iter().cloned().chain([archived_type()]);
        EventFilter::new(self.types.iter().cloned(), known).for_streams_of(self.stream_type.clone())
    }
}

/// The Rust type of a projection's views.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ViewType {
    /// The type.
    pub id: std::any::TypeId,
    /// Its name.
    pub name: &'static str,
}

impl ViewType {
    /// That of `T`.
    #[must_use]
    pub fn of<T: 'static>() -> Self {
        Self { id: std::any::TypeId::of::<T>(), name: std::any::type_name::<T>() }
    }
}

/// When a projection's views are brought up to date.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Lifecycle {
    /// In the transaction of the append.
    Inline,
    /// By the daemon, soon after the append.
    #[default]
    Async,
    /// When somebody asks, out of the events of the stream; nothing is stored.
    Live,
}

/// Where a shard starts that has no progress yet. Once it has, stored progress wins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Start {
    /// At the first event.
    #[default]
    Beginning,
    /// At the mark of the moment it starts: only what is appended from then on.
    Present,
    /// Above this number; progress that is stored below it is moved up.
    After(Seq),
    /// At the first event that was recorded at this moment or later, at the mark where there is none yet; progress that is
    /// stored before it is moved up.
    Since(Timestamp),
}

/// What becomes of a view when the stream that it belongs to is archived.
///
/// Archiving is an event of its own, so it takes effect at its place in the log: whatever was appended before is applied
/// before, also by a projection that lags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Archived {
    /// It stays as it is, and is folded from the archived events again whenever the projection starts afresh.
    #[default]
    Replay,
    /// It stays as it is; a rebuild takes it over from the generation before instead of folding the archived events.
    Keep,
    /// It is deleted. Only for projections with one view per stream.
    Drop,
}

/// How one projection spends memory. `None` is the daemon's setting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The most events in a page.
    pub page_events_max: Option<NonZeroUsize>,
    /// How many events it holds between loading and the answer to their commit; at least one page's.
    pub in_flight_events_max: Option<usize>,
    /// How many bytes of views it remembers.
    pub cache_bytes_max: Option<usize>,
}

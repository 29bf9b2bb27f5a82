use std::{fmt, num::NonZeroUsize};

use crate::{Body, ProjectionName, Seq, TenantId, Version, ViewId};

/// Where the views of one version of a projection are kept.
///
/// How an adapter names the table is its own affair; two different values never share one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ViewTable {
    projection: ProjectionName,
    version: u32,
    generation: u32,
}

impl ViewTable {
    /// The table of the first generation of `version` (1 or higher) of a projection.
    #[must_use]
    pub fn new(projection: ProjectionName, version: u32) -> Self {
        Self { projection, version: version.max(1), generation: 1 }
    }

    /// The projection that owns it.
    #[must_use]
    pub const fn projection(&self) -> &ProjectionName {
        &self.projection
    }

    /// The projection's version.
    #[must_use]
    pub const fn version(&self) -> u32 {
        self.version
    }

    /// Which copy of the table: a rebuild fills the next one beside the one that is read.
    #[must_use]
    pub const fn generation(&self) -> u32 {
        self.generation
    }
}

impl fmt::Display for ViewTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} version {} generation {}", self.projection, self.version, self.generation)
    }
}

/// Names one view in its table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ViewKey {
    /// Whose view.
    pub tenant: TenantId,
    /// Which one.
    pub id: ViewId,
}

impl ViewKey {
    /// The view `id` of the default tenant.
    #[must_use]
    pub fn new(id: ViewId) -> Self {
        Self { tenant: TenantId::default(), id }
    }
}

/// A view as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredView {
    /// Its document.
    pub body: Body,
    /// Single-stream: the version of the last event applied. Otherwise how many events have been applied.
    pub version: Version,
    /// The last event applied.
    pub seq: Seq,
}

/// Asks for the views of a table, ordered by id bytewise.
#[derive(Clone, Debug)]
pub struct ViewQuery {
    /// Which table.
    pub table: ViewTable,
    /// Whose views.
    pub tenant: TenantId,
    /// Only ids after this one.
    pub after: Option<ViewId>,
    /// The most views to give.
    pub limit: NonZeroUsize,
}

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
};

use crate::{Body, Layout, ProjectionName, Seq, TenantId, Version, ViewId};

/// Where the views of one version of a projection are kept.
///
/// How an adapter names the table is its own affair; two different values never share one. The layout is not part of the
/// name: tables are equal when projection, version and generation are.
#[derive(Clone, Debug)]
pub struct ViewTable {
    projection: ProjectionName,
    version: u32,
    generation: u32,
    layout: Layout,
}

impl ViewTable {
    /// The table of the first generation of `version` (1 or higher) of a projection.
    #[must_use]
    pub fn new(projection: ProjectionName, version: u32) -> Self {
        Self { projection, version: version.max(1), generation: 1, layout: Layout::Document }
    }

    /// The same table with its views kept as `layout` says.
    #[must_use]
    pub fn with_layout(mut self, layout: Layout) -> Self {
        self.layout = layout;
        self
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

    /// How its views are kept.
    #[must_use]
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    fn name(&self) -> (&ProjectionName, u32, u32) {
        (&self.projection, self.version, self.generation)
    }
}

impl PartialEq for ViewTable {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for ViewTable {}

impl PartialOrd for ViewTable {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ViewTable {
    fn cmp(&self, other: &Self) -> Ordering {
        self.name().cmp(&other.name())
    }
}

impl Hash for ViewTable {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl fmt::Display for ViewTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} version {} generation {}", self.projection, self.version, self.generation)
    }
}

/// Names one view in its table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
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

use std::sync::Arc;

use smol_str::SmolStr;

use super::{Definition, Lifecycle, Options, Projection};
use crate::{Error, ProjectionName, Result, ShardName};

/// Puts projections together that run over one read of the log, in stages: members of a stage side by side, a later stage
/// after the earlier ones, all in one commit, so that their progress is one.
///
/// Members of later stages see what earlier stages have changed: events of the types `updated:<projection>` and
/// `deleted:<projection>`, with [`Updated`](super::Updated) and [`Deleted`](super::Deleted) as their bodies, once per page and
/// view. What a look-up of an earlier member finds is what it is after the page. Views that a member deletes by a filter are told
/// only where the page has touched them, and are found until the page is committed.
pub fn composite(name: impl Into<SmolStr>) -> Composite {
    Composite { name: name.into(), version: 1, stages: Vec::new(), options: Options::default() }
}

/// Projections in stages: see [`composite`].
#[derive(Clone, Debug)]
#[must_use = "a composite does nothing until it is registered"]
pub struct Composite {
    name: SmolStr,
    version: u32,
    stages: Vec<Vec<Arc<dyn Projection>>>,
    options: Options,
}

impl Composite {
    /// Adds a stage: `.stage([single_stream::<Trip>("Trip").into(), ..])`.
    pub fn stage(mut self, members: impl IntoIterator<Item = Arc<dyn Projection>>) -> Self {
        self.stages.push(members.into_iter().collect());
        self
    }

    /// Its version, 1 or higher: a new version has progress of its own. The views are those of the members' versions.
    pub fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// How it spends memory; what members say of it does not count.
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Its members, by stage.
    #[must_use]
    pub fn stages(&self) -> &[Vec<Arc<dyn Projection>>] {
        &self.stages
    }

    /// How it spends memory.
    #[must_use]
    pub const fn spends(&self) -> Options {
        self.options
    }

    /// The shard that is all of it.
    ///
    /// # Errors
    ///
    /// [`Configuration`](crate::ErrorKind::Configuration) when the name cannot be a projection's.
    pub fn shard(&self) -> Result<ShardName> {
        if self.version == 0 {
            return Err(Error::configuration(format!(
                "composite \"{}\": its version is 0: versions begin with 1",
                self.name
            )));
        }
        Ok(ShardName::all(ProjectionName::new(self.name.clone())?, self.version))
    }

    /// What its members say of themselves, by stage; all faults in one error.
    ///
    /// # Errors
    ///
    /// [`Configuration`](crate::ErrorKind::Configuration) with everything that cannot work.
    pub fn definitions(&self) -> Result<Vec<Vec<Definition>>> {
        let mut faults = Vec::new();
        let mut stages = Vec::with_capacity(self.stages.len());
        for members in &self.stages {
            let mut stage = Vec::with_capacity(members.len());
            for member in members {
                match member.definition() {
                    Ok(definition) if definition.lifecycle != Lifecycle::Async => faults.push(format!(
                        "projection \"{}\" is {:?}: members of composite \"{}\" are async",
                        definition.name, definition.lifecycle, self.name
                    )),
                    Ok(definition) => stage.push(definition),
                    Err(error) => faults.push(error.chain()),
                }
            }
            stages.push(stage);
        }
        if stages.iter().all(Vec::is_empty) && faults.is_empty() {
            faults.push(format!("composite \"{}\" has no members: add a stage", self.name));
        }
        if faults.is_empty() { Ok(stages) } else { Err(Error::configuration(faults.join("; "))) }
    }
}

use std::sync::Arc;

use smol_str::SmolStr;

use super::{Definition, Lifecycle, Options, Projection};
use crate::{Error, ErrorHandling, ProjectionName, Result, ShardName};

/// Puts projections together that run over one read of the log, in stages: members of a stage side by side, a later stage
/// after the earlier ones, all in one commit, so that their progress is one.
///
/// Members of later stages see what earlier stages have changed: events of the types `updated:<projection>` and
/// `deleted:<projection>`, with [`Updated`](super::Updated) and [`Deleted`](super::Deleted) as their bodies, once per page and
/// view. What a look-up of an earlier member finds is what it is after the page. Views that a member deletes by a filter are told
/// only where the page has touched them, and are found until the page is committed.
pub fn composite(name: impl Into<SmolStr>) -> Composite {
    Composite {
        name: name.into(),
        version: 1,
        stages: Vec::new(),
        options: Options::default(),
        errors: ErrorHandling::default(),
    }
}

/// Projections in stages: see [`composite`].
#[derive(Clone, Debug)]
#[must_use = "a composite does nothing until it is registered"]
pub struct Composite {
    name: SmolStr,
    version: u32,
    stages: Vec<Vec<Arc<dyn Projection>>>,
    options: Options,
    errors: ErrorHandling,
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

    /// What it does about failures; its members do not say anything about that. A view is not known for an event that fails
    /// here, so that with [`DeadLetters::park`](crate::DeadLetters::park) the later events of its stream wait.
    pub fn errors(mut self, errors: ErrorHandling) -> Self {
        self.errors = errors;
        self
    }

    /// What it does about failures.
    #[must_use]
    pub const fn handles_errors(&self) -> &ErrorHandling {
        &self.errors
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
                    Ok(definition) if !definition.errors.is_default() => faults.push(format!(
                        "projection \"{}\" has rules about errors: they belong to composite \"{}\", of which it is a member",
                        definition.name, self.name
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
        faults.extend(
            self.errors.faults().into_iter().map(|fault| format!("composite \"{}\": {fault}", self.name)),
        );
        if faults.is_empty() { Ok(stages) } else { Err(Error::configuration(faults.join("; "))) }
    }
}

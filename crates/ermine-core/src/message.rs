use std::fmt;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use uuid::Uuid;

use crate::{Body, EventId, ProjectionName, Seq, TenantId, ViewKey};

/// A message in the outbox: written with the batch that wants it sent, delivered afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Names the effect; a store keeps one message of each id, for ever.
    pub id: EffectId,
    /// Which projection wants it sent.
    pub projection: ProjectionName,
    /// The event that caused it.
    pub seq: Seq,
    /// Whose it is.
    pub tenant: TenantId,
    /// Where it goes: the sink's affair.
    pub topic: SmolStr,
    /// What it says.
    pub body: Body,
}

/// Names one effect of one event in one projection, whatever the projection's version: the same effect has the same id
/// when it is raised again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EffectId(pub Uuid);

impl EffectId {
    /// The id of effect number `index` that the event `seq` has in `projection`, through `view` where it is one of an
    /// aggregate.
    #[must_use]
    pub fn derive(projection: &ProjectionName, seq: Seq, view: Option<&ViewKey>, index: usize) -> Self {
        let mut name = format!("{projection}\0{seq}\0{index}");
        if let Some(view) = view {
            name.push('\0');
            name.push_str(view.tenant.as_str());
            name.push('\0');
            name.push_str(view.id.as_str());
        }
        Self(Uuid::new_v5(&NAMESPACE, name.as_bytes()))
    }
}

/// Of our own, drawn once.
const NAMESPACE: Uuid = Uuid::from_u128(0x5f1c_27a9_63d4_4b0e_9b7e_0c52_d3a8_e1f4);

impl From<EffectId> for EventId {
    fn from(id: EffectId) -> Self {
        Self::from(id.0)
    }
}

impl fmt::Display for EffectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::{Error, Result, TenantId};

/// Names a projection: 1 to 100 bytes of UTF-8 without `:` or NUL, and not `HighWaterMark`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "SmolStr", into = "SmolStr")]
pub struct ProjectionName(SmolStr);

impl ProjectionName {
    /// Checks `name` and takes it.
    ///
    /// # Errors
    ///
    /// [`Configuration`](crate::ErrorKind::Configuration) that quotes the name and the rule.
    pub fn new(name: impl Into<SmolStr>) -> Result<Self> {
        let name = name.into();
        if name.is_empty() || name.len() > 100 || name.contains([':', '\0']) || name == "HighWaterMark" {
            return Err(Error::configuration(format!(
                "projection name {:?} must have 1 to 100 bytes, no ':' and no NUL, and must not be HighWaterMark",
                name.as_str()
            )));
        }
        Ok(Self(name))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProjectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for ProjectionName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::new(name)
    }
}

impl TryFrom<SmolStr> for ProjectionName {
    type Error = Error;

    fn try_from(name: SmolStr) -> Result<Self> {
        Self::new(name)
    }
}

impl From<ProjectionName> for SmolStr {
    fn from(name: ProjectionName) -> Self {
        name.0
    }
}

/// Names one separately executed segment of a projection: `name[:V<n>]:key[:tenant]`.
///
/// ```
/// use ermine_core::ShardName;
///
/// let shard: ShardName = "Trip:V2:1of4:acme".parse()?;
/// assert_eq!(shard.projection().as_str(), "Trip");
/// assert_eq!(shard.version(), 2);
/// assert_eq!(shard.to_string(), "Trip:V2:1of4:acme");
/// # Ok::<(), ermine_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ShardName {
    projection: ProjectionName,
    version: u32,
    key: ShardKey,
    tenant: Option<TenantId>,
}

/// Which part of its projection a shard is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ShardKey {
    /// All of it.
    All,
    /// Part `part` of `of`, counted from 1.
    Part {
        /// `1..=of`.
        part: u16,
        /// How many parts there are.
        of: u16,
    },
}

impl ShardName {
    /// The shard that is all of version `version` (1 or higher) of a projection.
    #[must_use]
    pub fn all(projection: ProjectionName, version: u32) -> Self {
        Self { projection, version: version.max(1), key: ShardKey::All, tenant: None }
    }

    /// The projection.
    #[must_use]
    pub const fn projection(&self) -> &ProjectionName {
        &self.projection
    }

    /// The projection's version, 1 or higher; version 1 is not written.
    #[must_use]
    pub const fn version(&self) -> u32 {
        self.version
    }

    /// Which part of the projection.
    #[must_use]
    pub const fn key(&self) -> ShardKey {
        self.key
    }

    /// The tenant it is limited to.
    #[must_use]
    pub const fn tenant(&self) -> Option<&TenantId> {
        self.tenant.as_ref()
    }
}

impl fmt::Display for ShardName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.projection)?;
        if self.version > 1 {
            write!(f, ":V{}", self.version)?;
        }
        match self.key {
            ShardKey::All => f.write_str(":All")?,
            ShardKey::Part { part, of } => write!(f, ":{part}of{of}")?,
        }
        match &self.tenant {
            Some(tenant) => write!(f, ":{tenant}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for ShardName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for ShardName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let malformed = || {
            Error::configuration(format!(
                "\"{text}\" is not a shard name: expected name[:V<n>]:key[:tenant] with key All or <i>of<n>, as in Trip:All"
            ))
        };
        let (name, mut rest) = text.split_once(':').ok_or_else(malformed)?;
        let mut version = 1;
        if let Some(versioned) = rest.strip_prefix('V') {
            let (digits, tail) = versioned.split_once(':').ok_or_else(malformed)?;
            version = canonical::<u32>(digits).filter(|v| *v > 1).ok_or_else(malformed)?;
            rest = tail;
        }
        let (key, tenant) = match rest.split_once(':') {
            Some((key, tenant)) => (key, Some(TenantId::new(tenant)?)),
            None => (rest, None),
        };
        let key = ShardKey::parse(key).ok_or_else(malformed)?;
        Ok(Self { projection: ProjectionName::new(name)?, version, key, tenant })
    }
}

impl ShardKey {
    fn parse(text: &str) -> Option<Self> {
        if text == "All" {
            return Some(Self::All);
        }
        let (part, of) = text.split_once("of")?;
        let (part, of) = (canonical::<u16>(part)?, canonical::<u16>(of)?);
        (1 <= part && part <= of).then_some(Self::Part { part, of })
    }
}

/// A number written as we would write it, so that every name has one spelling.
fn canonical<N: FromStr + ToString>(digits: &str) -> Option<N> {
    digits.parse::<N>().ok().filter(|n| n.to_string() == digits)
}

impl TryFrom<String> for ShardName {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<ShardName> for String {
    fn from(shard: ShardName) -> Self {
        shard.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shard() -> impl Strategy<Value = ShardName> {
        let key = prop_oneof![
            Just(ShardKey::All),
            (1u16..=64).prop_flat_map(|of| (1..=of).prop_map(move |part| ShardKey::Part { part, of })),
        ];
        ("[^:\0]{1,20}", 1u32..1000, key, proptest::option::of("[^\0]{0,20}")).prop_map(
            |(name, version, key, tenant)| ShardName {
                projection: ProjectionName::new(name).unwrap(),
                version,
                key,
                tenant: tenant.map(|t| TenantId::new(t).unwrap()),
            },
        )
    }

    proptest! {
        #[test]
        fn every_shard_name_reads_back_as_it_was_written(shard in shard()) {
            let text = shard.to_string();
            prop_assert_eq!(text.parse::<ShardName>().unwrap(), shard);
        }

        #[test]
        fn whatever_parses_is_spelled_in_one_way_only(text in "[a-zA-Z]{1,3}(:V[0-9]{0,3})?:(All|[0-9]{0,2}of[0-9]{0,2})(:[a:]{0,3})?") {
            if let Ok(shard) = text.parse::<ShardName>() {
                prop_assert_eq!(shard.to_string(), text);
            }
        }
    }

    #[test]
    fn a_malformed_shard_name_is_refused_with_the_grammar() {
        for text in
            ["Trip", "Trip:", "Trip:V1:All", "Trip:V02:All", "Trip:0of4", "Trip:5of4", ":All", "Trip:all"]
        {
            assert!(text.parse::<ShardName>().is_err(), "{text}");
        }
        let refused = "Trip".parse::<ShardName>().unwrap_err().to_string();
        assert!(refused.starts_with("\"Trip\" is not a shard name: expected name[:V<n>]:key"), "{refused}");
        assert!("HighWaterMark:All".parse::<ShardName>().is_err());
    }
}

//! The steps that bring a file to this version, in their order. Never change one that was released.

use ermine_core::{Error, ErrorKind, Result, Uuid};

/// One step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Migration {
    pub(crate) number: i64,
    pub(crate) name: &'static str,
    pub(crate) sql: &'static str,
}

macro_rules! migrations {
    ($($number:literal $name:literal,)*) => {
        &[$(Migration {
            number: $number,
            name: $name,
            sql: include_str!(concat!("../migrations/", $name, ".sql")),
        },)*]
    };
}

pub(crate) const ALL: &[Migration] = migrations! {
    1 "0001_tables",
    2 "0002_dead_letters",
};

impl Migration {
    /// Tells this text from every other.
    pub(crate) fn checksum(&self) -> Uuid {
        Uuid::new_v5(&Uuid::NAMESPACE_OID, self.sql.as_bytes())
    }
}

/// A step as the store remembers it.
#[derive(Clone, Debug)]
pub(crate) struct Applied {
    pub(crate) number: i64,
    pub(crate) name: String,
    pub(crate) checksum: Uuid,
}

/// The steps that are still to do.
pub(crate) fn missing(applied: &[Applied]) -> Result<&'static [Migration]> {
    let refused = |told: String| Err(Error::new(ErrorKind::Refused, told));
    if let Some(newer) = applied.get(ALL.len()) {
        return refused(format!(
            "the store is newer than this version of Ermine, which knows nothing of migration {} ({}): update the application",
            newer.number, newer.name
        ));
    }
    for (ours, theirs) in ALL.iter().zip(applied) {
        if ours.number != theirs.number || ours.checksum() != theirs.checksum {
            return refused(format!(
                "migration {} ({}) of the store differs from the one this version of Ermine knows ({}): was the file made by an unreleased version, or by hand?",
                theirs.number, theirs.name, ours.name
            ));
        }
    }
    Ok(&ALL[applied.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied() -> Vec<Applied> {
        let all =
            ALL.iter().map(|m| Applied { number: m.number, name: m.name.into(), checksum: m.checksum() });
        all.collect()
    }

    #[test]
    fn numbers_ascend_from_1_without_holes() {
        for (n, migration) in (1..).zip(ALL) {
            assert_eq!(migration.number, n);
            assert!(migration.name.starts_with(&format!("{n:04}_")));
        }
    }

    #[test]
    fn a_store_that_is_newer_or_different_is_refused() {
        assert_eq!(missing(&[]).unwrap().len(), ALL.len());
        let mut newer = applied();
        newer.push(Applied { number: 99, name: "later".into(), checksum: Uuid::nil() });
        assert!(missing(&newer).unwrap_err().to_string().contains("99 (later): update the application"));
        let mut different = applied();
        different[0].checksum = Uuid::nil();
        assert!(missing(&different).unwrap_err().to_string().contains("differs from the one"));
    }
}

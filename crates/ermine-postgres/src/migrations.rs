//! The steps that bring a schema to this version, in their order. Never change one that was released.

use ermine_core::{Error, ErrorKind, Result, Uuid};

/// One step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Migration {
    pub(crate) number: i32,
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
    2 "0002_floor_lock",
    3 "0003_append_stream",
    4 "0004_append_events",
    5 "0005_high_water",
    6 "0006_progress",
    7 "0007_streams",
    8 "0008_append_events",
    9 "0009_progress",
    10 "0010_outbox",
    11 "0011_grants",
    12 "0012_recorded_at",
    13 "0013_append_with_view",
    14 "0014_dead_letters",
};

/// Steps that take long on a large store, each in a transaction of its own: so nobody waits for more than it locks itself.
const ALONE: &[i32] = &[12];

/// How many of `steps` go into one transaction.
pub(crate) fn together(steps: &[Migration]) -> usize {
    let is_alone = |step: &Migration| ALONE.contains(&step.number);
    match steps.iter().position(is_alone) {
        Some(0) => 1,
        Some(place) => place,
        None => steps.len(),
    }
}

impl Migration {
    /// Tells this text from every other.
    pub(crate) fn checksum(&self) -> Uuid {
        Uuid::new_v5(&Uuid::NAMESPACE_OID, self.sql.as_bytes())
    }
}

/// A step as the store remembers it.
#[derive(Clone, Debug)]
pub(crate) struct Applied {
    pub(crate) number: i32,
    pub(crate) name: String,
    pub(crate) checksum: Uuid,
}

/// The steps that are still to do.
pub(crate) fn missing(applied: &[Applied]) -> Result<&'static [Migration]> {
    let newest = ALL.len();
    if let Some(newer) = applied.get(newest) {
        return Err(Error::new(
            ErrorKind::Refused,
            format!(
                "the store is newer than this version of Ermine, which knows nothing of migration {} ({}): update the application",
                newer.number, newer.name
            ),
        ));
    }
    for (ours, theirs) in ALL.iter().zip(applied) {
        if ours.number != theirs.number || ours.checksum() != theirs.checksum {
            return Err(Error::new(
                ErrorKind::Refused,
                format!(
                    "migration {} ({}) of the store differs from the one this version of Ermine knows ({}): was the schema made by an unreleased version, or by hand?",
                    theirs.number, theirs.name, ours.name
                ),
            ));
        }
    }
    Ok(&ALL[applied.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(count: usize) -> Vec<Applied> {
        let all =
            ALL.iter().map(|m| Applied { number: m.number, name: m.name.into(), checksum: m.checksum() });
        all.take(count).collect()
    }

    #[test]
    fn numbers_ascend_from_1_without_holes() {
        for (n, migration) in ALL.iter().enumerate() {
            assert_eq!(migration.number, i32::try_from(n + 1).unwrap());
            assert!(migration.name.starts_with(&format!("{:04}_", migration.number)));
        }
    }

    #[test]
    fn a_long_step_is_on_its_own() {
        assert_eq!(together(ALL), 11);
        assert_eq!(together(&ALL[11..]), 1);
        assert_eq!(together(&[]), 0);
    }

    #[test]
    fn a_store_that_is_newer_or_different_is_refused() {
        assert_eq!(missing(&applied(2)).unwrap().len(), ALL.len() - 2);
        let mut newer = applied(ALL.len());
        let number = i32::try_from(ALL.len() + 1).unwrap();
        newer.push(Applied { number, name: "later".into(), checksum: Uuid::nil() });
        assert!(missing(&newer).unwrap_err().to_string().contains("(later): update the application"));
        let mut different = applied(1);
        different[0].checksum = Uuid::nil();
        assert!(missing(&different).unwrap_err().to_string().contains("differs from the one"));
    }
}

//! One life of the store between losses.

use ermine_core::Uuid;
use rusqlite::{Connection, OptionalExtension, params};

use crate::{
    Synchronous,
    error::{Fault, Outcome},
    statements as sql,
};

/// Stands for a boot on systems that do not name theirs.
const UNNAMED_BOOT: &str = "unnamed";

/// Sees to it that the incarnation changes when commits may have been lost.
///
/// The end of a process takes nothing away that was committed; a power loss takes what did not wait for the disk. So a store
/// in which everybody waits keeps its token for ever, and one in which somebody does not keeps it until the machine is
/// booted again. Where boots have no names, each opening by somebody who does not wait draws a new token: that
/// costs the others a look at their progress, and nothing else.
#[derive(Debug)]
pub(crate) struct Lifetime {
    synchronous: Synchronous,
    settled: bool,
}

impl Lifetime {
    pub(crate) const fn new(synchronous: Synchronous) -> Self {
        Self { synchronous, settled: false }
    }

    /// Says in the file, before the first commit that does not wait for the disk, that there will be such ones; draws a new
    /// token when there were any in an earlier boot. Outside of transactions. Does nothing once it is done, and nothing
    /// while there is no store.
    pub(crate) fn settle(&mut self, connection: &Connection) -> Outcome<()> {
        if self.settled {
            return Ok(());
        }
        let Some(stored) = stored_boot(connection)? else { return Ok(()) };
        let plan = Plan::of(self.synchronous, stored.as_deref(), boot().as_deref());
        if plan != Plan::Keep {
            // The note must not be lost with the commits that it speaks of.
            connection.pragma_update(None, "synchronous", Synchronous::Full.name())?;
            let noted = self.note(connection);
            connection.pragma_update(None, "synchronous", self.synchronous.name())?;
            noted?;
        }
        self.settled = true;
        Ok(())
    }

    fn note(&self, connection: &Connection) -> Outcome<()> {
        let transaction =
            rusqlite::Transaction::new_unchecked(connection, rusqlite::TransactionBehavior::Immediate)?;
        let (token, stored): ([u8; 16], Option<String>) =
            transaction.query_row(sql::META_READ, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        // Another process may have done it meanwhile.
        match Plan::of(self.synchronous, stored.as_deref(), boot().as_deref()) {
            Plan::Keep => {}
            Plan::Note(boot) => {
                transaction.execute(sql::META_RENEW, params![token, boot])?;
            }
            Plan::Renew(boot) => {
                transaction.execute(sql::META_RENEW, params![Uuid::new_v4().as_bytes(), boot])?;
            }
        }
        transaction.commit()?;
        Ok(())
    }
}

/// What a new store is to note of its maker.
pub(crate) fn first_boot(synchronous: Synchronous) -> Option<String> {
    synchronous.is_lossy().then(|| boot().unwrap_or_else(|| UNNAMED_BOOT.into()))
}

/// What to do about the boot that stands in the file.
#[derive(Debug, PartialEq, Eq)]
enum Plan {
    Keep,
    /// The same token, with another note.
    Note(Option<String>),
    /// A new token.
    Renew(Option<String>),
}

impl Plan {
    fn of(synchronous: Synchronous, stored: Option<&str>, now: Option<&str>) -> Self {
        let mine = synchronous.is_lossy().then(|| now.unwrap_or(UNNAMED_BOOT).to_owned());
        match (stored, &mine) {
            (None, None) => Self::Keep,
            (None, Some(_)) => Self::Note(mine),
            (Some(stored), _) if Some(stored) == now => Self::Keep,
            // Nobody knows whether the one that is noted has ended: it may lose more.
            (Some(stored), None) if now.is_none() => Self::Renew(Some(stored.to_owned())),
            (Some(_), _) => Self::Renew(mine),
        }
    }
}

/// The boot that the file speaks of; `None` when there is no store in it.
fn stored_boot(connection: &Connection) -> Outcome<Option<Option<String>>> {
    let read = connection.prepare_cached(sql::META_READ).map_err(Fault::from);
    match read {
        Ok(mut statement) => Ok(statement.query_row([], |row| row.get(1)).optional()?),
        Err(fault) if fault.is_missing() => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// Names this boot of the machine, where the system does.
fn boot() -> Option<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let id = id.trim();
    (!id.is_empty()).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: Synchronous = Synchronous::Full;
    const NORMAL: Synchronous = Synchronous::Normal;

    fn name(boot: &str) -> Option<String> {
        Some(boot.into())
    }

    #[test]
    fn whoever_waits_for_the_disk_keeps_the_token_for_ever() {
        assert_eq!(Plan::of(FULL, None, Some("monday")), Plan::Keep);
        assert_eq!(Plan::of(FULL, None, None), Plan::Keep);
    }

    #[test]
    fn whoever_does_not_is_noted_and_costs_the_token_at_the_next_boot() {
        assert_eq!(Plan::of(NORMAL, None, Some("monday")), Plan::Note(name("monday")));
        assert_eq!(Plan::of(NORMAL, Some("monday"), Some("monday")), Plan::Keep);
        assert_eq!(
            Plan::of(FULL, Some("monday"), Some("monday")),
            Plan::Keep,
            "the other one may still be there"
        );
        assert_eq!(Plan::of(NORMAL, Some("monday"), Some("tuesday")), Plan::Renew(name("tuesday")));
        assert_eq!(Plan::of(FULL, Some("monday"), Some("tuesday")), Plan::Renew(None));
    }

    #[test]
    fn without_names_for_boots_every_opening_may_follow_a_power_loss() {
        assert_eq!(Plan::of(NORMAL, None, None), Plan::Note(name(UNNAMED_BOOT)));
        assert_eq!(Plan::of(NORMAL, Some(UNNAMED_BOOT), None), Plan::Renew(name(UNNAMED_BOOT)));
        assert_eq!(Plan::of(FULL, Some(UNNAMED_BOOT), None), Plan::Renew(name(UNNAMED_BOOT)));
        assert_eq!(Plan::of(FULL, Some("monday"), None), Plan::Renew(name("monday")));
    }
}

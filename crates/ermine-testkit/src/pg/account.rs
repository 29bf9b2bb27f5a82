//! Whom the server runs as.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::{
        fs::{DirBuilderExt, chown},
        process::CommandExt,
    },
    path::Path,
    process::Command,
};

use crate::sys;

/// The user that a server started by root drops to, because PostgreSQL refuses to run as root.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl Account {
    /// `None` when this process is not root and the server can simply run as the same user.
    pub(crate) fn for_server() -> io::Result<Option<Self>> {
        if sys::effective_uid() != 0 {
            return Ok(None);
        }
        let found = ["postgres", "nobody"].into_iter().find_map(Self::named);
        let missing = || {
            io::Error::other(
                "PostgreSQL refuses to run as root, and neither the user postgres nor nobody exists to run it: \
                 add one of them or run the tests as an ordinary user",
            )
        };
        found.ok_or_else(missing).map(Some)
    }

    fn named(name: &str) -> Option<Self> {
        let id = |flag: &str| {
            let output = Command::new("id").args([flag, name]).output().ok()?;
            String::from_utf8_lossy(&output.stdout).trim().parse().ok()
        };
        Some(Self { uid: id("-u")?, gid: id("-g")? })
    }

    /// Makes the command run as this user; std empties the list of further groups as well.
    pub(crate) fn run(self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }
}

/// Makes the empty directory `dir`, reachable by the server's user (and root) alone.
pub(crate) fn create_private_dir(dir: &Path, account: Option<Account>) -> io::Result<()> {
    // Fails where somebody else has made it: every user may write to /tmp.
    DirBuilder::new().mode(0o700).create(dir).map_err(|err| {
        io::Error::new(err.kind(), format!("cannot create {}, remove what is there: {err}", dir.display()))
    })?;
    match account {
        Some(account) => chown(dir, Some(account.uid), Some(account.gid)),
        None => Ok(()),
    }
}

/// Removes `dir` and all that is in it, if it is there.
pub(crate) fn remove_dir(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(err) if err.kind() != io::ErrorKind::NotFound => Err(err),
        _ => Ok(()),
    }
}

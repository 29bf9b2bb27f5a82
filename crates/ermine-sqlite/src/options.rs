use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use ermine_core::{Error, Result};

use crate::{Store, location};

/// How a store in an SQLite file is opened.
///
/// ```
/// use ermine_sqlite::{SqliteOptions, Synchronous};
///
/// let options = SqliteOptions::new("trips.db").synchronous(Synchronous::Normal).readers(2);
/// let same = SqliteOptions::parse("sqlite:trips.db?synchronous=normal&readers=2")?;
/// assert_eq!(options, same);
/// # Ok::<(), ermine_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "nothing happens before `open`"]
pub struct SqliteOptions {
    pub(crate) path: PathBuf,
    pub(crate) synchronous: Synchronous,
    pub(crate) busy_timeout: Duration,
    pub(crate) readers: usize,
}

/// What a commit waits for.
///
/// A commit survives the end of the process in every mode, kill -9 included; the modes differ in what a power loss or a
/// crash of the operating system can take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Synchronous {
    /// That the disk has it. Nothing that was answered is ever lost.
    #[default]
    Full,
    /// Nothing; the disk is waited for now and then. A power loss can take the last commits, whole and from the end.
    Normal,
    /// Nothing, ever. A power loss can damage the file: for data that can be made again.
    Off,
}

impl Synchronous {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Normal => "normal",
            Self::Off => "off",
        }
    }

    /// Whether a power loss can take commits that have been answered.
    pub(crate) const fn is_lossy(self) -> bool {
        !matches!(self, Self::Full)
    }
}

impl SqliteOptions {
    /// A store in the file at `path`, which is made when it is not there.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            synchronous: Synchronous::default(),
            busy_timeout: Duration::from_secs(10),
            readers: 4,
        }
    }

    /// Reads a URL, or takes a plain path: `trips.db`, `sqlite:trips.db`, `sqlite:/var/lib/trips.db`,
    /// `sqlite:trips.db?synchronous=normal&busy_timeout_ms=10000&readers=4`.
    ///
    /// In a URL `%20` stands for a blank, `%3F` for a question mark and `%25` for a percent sign.
    ///
    /// # Errors
    ///
    /// [`Configuration`](ermine_core::ErrorKind::Configuration) for another scheme, an unknown parameter or a value that
    /// cannot work, with what would.
    pub fn parse(url_or_path: &str) -> Result<Self> {
        location::parse(url_or_path)
    }

    /// What a commit waits for; the disk unless told otherwise.
    pub fn synchronous(mut self, synchronous: Synchronous) -> Self {
        self.synchronous = synchronous;
        self
    }

    /// How long to wait while another process keeps the file locked; 10 s unless told otherwise.
    pub fn busy_timeout(mut self, limit: Duration) -> Self {
        self.busy_timeout = limit;
        self
    }

    /// How many threads read at the same time, 1 to 64; 4 unless told otherwise. As many again answer queries, one more
    /// writes, and another waits for what other processes append.
    pub fn readers(mut self, threads: usize) -> Self {
        self.readers = threads;
        self
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the store: checks the settings and opens the file, or makes it. The store need not be migrated yet.
    ///
    /// # Errors
    ///
    /// [`Configuration`](ermine_core::ErrorKind::Configuration) for a path or setting that cannot work;
    /// [`Refused`](ermine_core::ErrorKind::Refused) for a file that is not an SQLite database or may not be written to;
    /// [`Transient`](ermine_core::ErrorKind::Transient) when another process keeps it locked. Each names the file and
    /// the way out.
    pub async fn open(self) -> Result<Store> {
        Store::open_with(self).await
    }

    /// The same options if they can work, with an absolute path: the process may change its directory later.
    pub(crate) fn checked(mut self) -> Result<Self> {
        if !(1..=READERS_MAX).contains(&self.readers) {
            let given = self.readers;
            return Err(Error::configuration(format!(
                "readers is {given}: the store needs 1 to {READERS_MAX} threads that read"
            )));
        }
        location::check_path(&self.path)?;
        self.path = std::path::absolute(&self.path).map_err(|err| {
            Error::configuration(format!("finding the file {}", self.path.display())).with_source(err)
        })?;
        Ok(self)
    }
}

const READERS_MAX: usize = 64;

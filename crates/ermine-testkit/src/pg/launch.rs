//! The command lines of `initdb` and `postgres`.

use std::{
    fs::File,
    io,
    path::PathBuf,
    process::{Command, Stdio},
};

use super::account::Account;
use crate::sys;

/// Speed over safety, for data that nobody needs after a power cut.
///
/// What a test can see (isolation, visibility, notifications) keeps its defaults.
pub(crate) const FAST: &[(&str, &str)] =
    &[("fsync", "off"), ("full_page_writes", "off"), ("synchronous_commit", "off"), ("max_wal_size", "4GB")];

const ALWAYS: &[(&str, &str)] = &[
    ("max_connections", "300"),
    ("max_prepared_transactions", "20"),
    ("shared_buffers", "128MB"),
    ("checkpoint_timeout", "1d"),
    ("log_line_prefix", "%m [%p] %d "),
    ("logging_collector", "off"),
    ("jit", "off"),
];

/// One server: its programs, its directory and its user. The data is in `run/data`, the socket and the log in `run`.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    pub(crate) bin: PathBuf,
    pub(crate) run: PathBuf,
    pub(crate) account: Option<Account>,
}

impl Launch {
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.run.join("data")
    }

    /// Creates the data directory. The socket trusts everybody who can reach it; TCP connections must know a password.
    pub(crate) fn initdb(&self) -> io::Result<()> {
        let mut command = self.command("initdb");
        command
            .args(["--no-sync", "--no-instructions", "--encoding=UTF8", "--locale=C", "--username=postgres"])
            .args(["--auth-local=trust", "--auth-host=scram-sha-256", "--pgdata"])
            .arg(self.data_dir());
        let output = command.output().map_err(|err| self.error(&format!("initdb cannot be run: {err}")))?;
        if output.status.success() {
            return Ok(());
        }
        Err(self.error(&format!("initdb failed:\n{}", String::from_utf8_lossy(&output.stderr))))
    }

    /// The server, writing its log to `run/log` and ending with the thread that starts it. Later settings win.
    pub(crate) fn postgres<'a>(
        &self,
        settings: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> io::Result<Command> {
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data_dir()).arg("-k").arg(&self.run);
        for (name, value) in ALWAYS.iter().copied().chain(settings) {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        let log = File::options().create(true).append(true).open(self.log())?;
        command.stdout(log.try_clone()?).stderr(log);
        sys::dies_with_parent(&mut command);
        Ok(command)
    }

    /// Where the server, and whoever starts it, tells what went wrong.
    pub(crate) fn log(&self) -> PathBuf {
        self.run.join("log")
    }

    /// A program of PostgreSQL as the right user, free of the caller's environment (PGPORT, LANG and the like).
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command
            .env_clear()
            .envs([("LC_ALL", "C"), ("TZ", "UTC"), ("PATH", "/usr/bin:/bin")])
            .current_dir(&self.run)
            .stdin(Stdio::null());
        if let Some(account) = self.account {
            account.run(&mut command);
        }
        command
    }

    fn error(&self, what: &str) -> io::Error {
        io::Error::other(format!("{what} (programs from {})", self.bin.display()))
    }
}

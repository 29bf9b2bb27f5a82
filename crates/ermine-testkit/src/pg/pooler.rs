//! PgBouncer between a test and a server.

use std::{
    env,
    fs::{self, File},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::{
    Address,
    account::{self, Account},
    server,
};
use crate::sys::{self, Signal};

const DEADLINE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(5);
const PROGRAM: &str = "pgbouncer";

/// A PgBouncer that belongs to one test. Dropping it stops it.
#[derive(Debug)]
pub struct Pooler {
    run: PathBuf,
    address: Address,
    process: Child,
}

impl Pooler {
    /// Whether there is a PgBouncer on this machine; a test without one prints that it is skipped.
    pub fn is_installed() -> bool {
        program().is_some()
    }

    /// Starts one before all databases of `target`, with these settings of its section `[pgbouncer]`.
    ///
    /// # Panics
    ///
    /// When it is not installed, or does not start (the message has its log).
    pub async fn start(target: &Address, settings: &[(&str, &str)]) -> Self {
        let program = program().expect("a test without PgBouncer is skipped");
        let account = Account::for_server().unwrap_or_else(|err| panic!("PgBouncer: {err}"));
        let run = server::own_dir(account).unwrap_or_else(|err| panic!("PgBouncer: {err}"));
        let mut address = Address::socket(&run);
        address.user.clone_from(&target.user);
        let file = run.join("pgbouncer.ini");
        fs::write(&file, configuration(target, &address, settings)).expect("the directory is ours");
        let log = File::create(run.join("log")).expect("the directory is ours");
        let mut command = Command::new(&program);
        command.arg(&file).env_clear().env("TZ", "UTC").current_dir(&run).stdin(Stdio::null());
        command.stdout(log.try_clone().expect("a file can be opened twice")).stderr(log);
        if let Some(account) = account {
            account.run(&mut command);
        }
        sys::dies_with_parent(&mut command);
        let process = sys::spawn_for_life(command)
            .unwrap_or_else(|err| panic!("cannot start {}: {err}", program.display()));
        let mut pooler = Self { run, address, process };
        pooler.wait_until_ready().await;
        pooler
    }

    async fn wait_until_ready(&mut self) {
        let socket = self.run.join(format!(".s.PGSQL.{}", self.address.port));
        let began = Instant::now();
        while UnixStream::connect(&socket).is_err() {
            let ended = self.process.try_wait().expect("the process is ours").is_some();
            let log = || fs::read_to_string(self.run.join("log")).unwrap_or_default();
            let in_time = !ended && began.elapsed() < DEADLINE;
            assert!(in_time, "PgBouncer does not come up; its log says:\n{}", log());
            sleep(LOOK_EVERY).await;
        }
    }

    /// A database of the server behind as a `postgres://` URL.
    pub fn url(&self, database: &str) -> String {
        self.address.url(database)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        // Either fails only when it has ended by itself.
        let _ = sys::send(sys::id_of(self.process.id()), Signal::Kill);
        let _ = self.process.wait();
        if let Err(err) = account::remove_dir(&self.run) {
            eprintln!("cannot remove {}: {err}", self.run.display());
        }
    }
}

/// Whoever reaches the socket comes in, as whom the server knows.
fn configuration(target: &Address, own: &Address, settings: &[(&str, &str)]) -> String {
    let quote = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let password = target.password().map(|it| format!(" password={}", quote(it))).unwrap_or_default();
    let (host, user) = (quote(&target.host), quote(&target.user));
    let mut text = format!(
        "[databases]\n* = host={host} port={} user={user}{password}\n[pgbouncer]\nlisten_port = {}\n\
         unix_socket_dir = {}\nauth_type = any\n",
        target.port, own.port, own.host
    );
    for (name, value) in settings {
        text.push_str(&format!("{name} = {value}\n"));
    }
    text
}

/// Ordinary users have no `sbin` in their `PATH`.
fn program() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin"].map(PathBuf::from);
    let mut places = env::split_paths(&path).chain(usual).map(|dir: PathBuf| dir.join(PROGRAM));
    places.find(|file: &PathBuf| Path::is_file(file))
}

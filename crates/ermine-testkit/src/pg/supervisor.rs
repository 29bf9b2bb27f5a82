//! The supervisor: the shared server's parent, which stops it when no test process is left.
//!
//! It is the test binary itself, started again with an environment variable that [`enter`] sees before `main` runs. So
//! there is nothing to build, install or find, whatever starts the tests.

use std::{
    env,
    ffi::OsStr,
    fs::{self, File},
    io,
    os::{fd::AsFd, unix::process::CommandExt},
    path::{Path, PathBuf},
    process::{self, Child, Command},
    thread,
    time::{Duration, Instant},
};

use super::{
    account::{self, Account},
    launch::{self, Launch},
};
use crate::sys::{self, Signal};

/// How long the server outlives its last user: bridges the time between two test processes.
const GRACE: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(200);

const RUN: &str = "ERMINE_PG_SUPERVISE_RUN";
const BIN: &str = "ERMINE_PG_SUPERVISE_BIN";
const LOCKS: &str = "ERMINE_PG_SUPERVISE_LOCKS";
const ACCOUNT: &str = "ERMINE_PG_SUPERVISE_ACCOUNT";

/// The lock files of a cluster, in a directory that all test processes agree on.
///
/// The kernel drops a lock when its last holder ends, however it ends. So the locks tell the truth after every crash.
#[derive(Clone, Debug)]
pub(crate) struct Locks(PathBuf);

impl Locks {
    pub(crate) fn in_dir(dir: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&dir)?;
        Ok(Self(dir))
    }

    /// Whoever holds it decides about the cluster: a test process that starts or joins it, the supervisor on its way out.
    pub(crate) fn gate(&self) -> io::Result<File> {
        let gate = self.open("gate")?;
        gate.lock()?;
        Ok(gate)
    }

    /// Held shared by every test process that uses the cluster.
    pub(crate) fn users(&self) -> io::Result<File> {
        self.open("users")
    }

    /// Held by the supervisor while it lives.
    pub(crate) fn alive(&self) -> io::Result<File> {
        self.open("alive")
    }

    fn open(&self, name: &str) -> io::Result<File> {
        File::create(self.0.join(name))
    }
}

/// Starts the supervisor, which takes over the lock of `alive`.
///
/// The lock comes to it as its standard input, so there is no moment in which a cluster is starting and nobody holds it.
pub(crate) fn spawn(launch: &Launch, locks: &Locks, alive: File) -> io::Result<Child> {
    sys::keep_entry();
    let log = File::create(launch.log())?;
    let mut command = Command::new(own_program()?);
    command
        .arg0("ermine-testkit supervisor")
        .env(RUN, &launch.run)
        .env(BIN, &launch.bin)
        .env(LOCKS, &locks.0)
        .current_dir("/")
        .stdin(alive)
        .stdout(log.try_clone()?)
        .stderr(log);
    if let Some(Account { uid, gid }) = launch.account {
        command.env(ACCOUNT, format!("{uid}:{gid}"));
    }
    sys::in_own_session(&mut command);
    command.spawn()
}

/// The file of this program, also when a build has replaced it meanwhile.
fn own_program() -> io::Result<PathBuf> {
    if cfg!(target_os = "linux") { Ok("/proc/self/exe".into()) } else { env::current_exe() }
}

/// Becomes the supervisor where the environment says so; otherwise returns at once.
pub(crate) fn enter() {
    let Some(run) = env::var_os(RUN) else { return };
    let outcome = supervise(&run);
    if let Err(err) = &outcome {
        eprintln!("{err}");
        // Whoever waits for the server gives up when it sees this. Should the write fail, it runs into its deadline.
        let _ = fs::write(failure_mark(Path::new(&run)), "");
    }
    process::exit(i32::from(outcome.is_err()));
}

/// The file that says that the server in `run` will not come up, or has ended.
pub(crate) fn failure_mark(run: &Path) -> PathBuf {
    run.join("failed")
}

fn supervise(run: &OsStr) -> io::Result<()> {
    let alive = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let required =
        |name: &str| env::var_os(name).ok_or_else(|| io::Error::other(format!("{name} is not set")));
    let locks = Locks(required(LOCKS)?.into());
    let launch = Launch { bin: required(BIN)?.into(), run: run.into(), account: account_from_environment() };

    launch.initdb()?;
    // Unix socket only: no port to pick, none to collide on.
    let settings = launch::FAST.iter().copied().chain([("listen_addresses", ""), ("autovacuum", "off")]);
    let mut server = launch.postgres(settings)?.spawn()?;
    let _gate = wait_for_last_user(&locks, &mut server)?;
    // The data is about to be deleted, so there is nothing to flush.
    sys::send(sys::id_of(server.id()), Signal::Quit)?;
    server.wait()?;
    account::remove_dir(&launch.run)?;
    alive.unlock() // before the gate opens: the next to come must see that nothing runs
}

fn account_from_environment() -> Option<Account> {
    let text = env::var(ACCOUNT).ok()?;
    let (uid, gid) = text.split_once(':')?;
    Some(Account { uid: uid.parse().ok()?, gid: gid.parse().ok()? })
}

/// Returns when nobody has used the server for [`GRACE`], with the gate closed to newcomers.
fn wait_for_last_user(locks: &Locks, server: &mut Child) -> io::Result<File> {
    let users = locks.users()?;
    let mut idle_since = None;
    loop {
        thread::sleep(LOOK_EVERY);
        if let Some(status) = server.try_wait()? {
            return Err(io::Error::other(format!("the server ended by itself: {status}")));
        }
        if users.try_lock().is_err() {
            idle_since = None;
            continue;
        }
        users.unlock()?;
        if idle_since.get_or_insert_with(Instant::now).elapsed() < GRACE {
            continue;
        }
        let gate = locks.gate()?;
        if users.try_lock().is_ok() {
            return Ok(gate);
        }
        idle_since = None; // somebody came in before the gate closed
    }
}

//! One cluster, shared by every test process that asks for it.

use std::{
    env,
    fs::{self, File, TryLockError},
    hash::{DefaultHasher, Hash, Hasher},
    io,
    path::{Path, PathBuf},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use super::{
    Address,
    account::{self, Account},
    install,
    launch::Launch,
    supervisor::{self, Locks},
};
use crate::sys;

/// Covers `initdb` on a machine that is busy compiling.
const START_DEADLINE: Duration = Duration::from_secs(120);

/// The server that all tests of a run share; it stays up while any test process holds one of these.
#[derive(Debug)]
pub struct Cluster {
    address: Address,
    _lease: Option<File>,
}

impl Cluster {
    /// The cluster of this process, started or joined by the first call, which blocks for about a second.
    ///
    /// # Panics
    ///
    /// When there is no PostgreSQL (the message says how to get one) or it does not start (the message has its log).
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(|| match env::var("ERMINE_TEST_PG") {
            Ok(conninfo) => {
                let address = Address::parse(&conninfo).unwrap_or_else(|err| {
                    panic!("ERMINE_TEST_PG is not a connection string of PostgreSQL: {err}")
                });
                Self { address, _lease: None }
            }
            Err(_) => Self::join().unwrap_or_else(|err| panic!("PostgreSQL for tests: {err}")),
        })
    }

    /// Where the cluster listens.
    pub fn address(&self) -> &Address {
        &self.address
    }

    fn join() -> Result<Self, Box<dyn std::error::Error>> {
        let (locks, run) = places();
        let locks = Locks::in_dir(locks)?;
        let gate = locks.gate()?;
        let lease = locks.users()?;
        lease.lock_shared()?;
        let alive = locks.alive()?;
        match alive.try_lock() {
            Ok(()) => {
                account::remove_dir(&run)?; // left by a supervisor that was killed
                let launch =
                    Launch { bin: install::find()?, run: run.clone(), account: Account::for_server()? };
                account::create_private_dir(&run, launch.account)?;
                supervisor::spawn(&launch, &locks, alive)?;
            }
            Err(TryLockError::WouldBlock) => (), // it runs, or is about to
            Err(TryLockError::Error(err)) => return Err(err.into()),
        }
        wait_until_ready(&run)?;
        drop(gate);
        Ok(Self { address: Address::socket(&run), _lease: Some(lease) })
    }
}

/// The directories of the locks and of the server: the same for all processes with one target directory, one user and
/// one `ERMINE_PG_BIN`, so that servers of several versions can run side by side.
///
/// The server is not under `target/`: the path of a unix socket has at most 107 bytes, and the user it runs as may be
/// unable to reach the checkout.
fn places() -> (PathBuf, PathBuf) {
    let program = env::current_exe().unwrap_or_default();
    let target = program.ancestors().find(|dir| dir.join("CACHEDIR.TAG").exists());
    let target = target.map_or_else(env::temp_dir, Path::to_owned);
    let mut hasher = DefaultHasher::new();
    (&target, env::var_os("ERMINE_PG_BIN")).hash(&mut hasher);
    let name = format!("ermine-pg-{}-{:016x}", sys::effective_uid(), hasher.finish());
    (target.join(format!("{name}.locks")), Path::new("/tmp").join(name))
}

/// Waits for the eighth line of `postmaster.pid` to say `ready`, as `pg_ctl` does.
fn wait_until_ready(run: &Path) -> io::Result<()> {
    let began = Instant::now();
    let pid_file = run.join("data/postmaster.pid");
    let is_ready = || {
        fs::read_to_string(&pid_file).is_ok_and(|it| it.lines().nth(7).is_some_and(|l| l.trim() == "ready"))
    };
    while !is_ready() {
        if began.elapsed() > START_DEADLINE || supervisor::failure_mark(run).exists() {
            let log = fs::read_to_string(run.join("log")).unwrap_or_default();
            return Err(io::Error::other(format!("the server did not start; its log says:\n{log}")));
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

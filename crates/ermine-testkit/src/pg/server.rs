//! A server that belongs to one test.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{self, Child},
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use tokio::time::{Instant, sleep, timeout};

use super::{
    Address, OwnedClient,
    account::{self, Account},
    install,
    launch::{self, Launch},
};
use crate::{
    port,
    sys::{self, Signal},
};

/// Covers recovery after a crash on a machine that is busy compiling.
const DEADLINE: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(5);
const PASSWORD: &str = "open sesame";

/// How an [`OwnServer`] is to be started.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings<'a> {
    /// Whether commits survive a power cut; `false` is several times faster. A crash of the server loses no commit
    /// in either case, as long as `extra` turns `synchronous_commit` on.
    pub fsync: bool,
    /// Listens on 127.0.0.1 as well, where it asks for a password.
    pub tcp: bool,
    /// Any further settings of `postgresql.conf`; these win over all others.
    pub extra: &'a [(&'a str, &'a str)],
}

/// How a server is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Open transactions are rolled back and everything is written: `pg_ctl stop -m fast`.
    Fast,
    /// As in a crash; the next start recovers: `pg_ctl stop -m immediate`.
    Immediate,
}

/// A server of its own, for a test that crashes, stops or configures it. Dropping it stops it and removes its data.
///
/// It ends as well when the test process is killed (Linux), and the next one to start then removes what it left behind.
#[derive(Debug)]
pub struct OwnServer {
    launch: Launch,
    settings: Vec<(String, String)>,
    /// What tests are told.
    address: Address,
    /// Where the server can always be asked.
    socket: Address,
    process: Option<Child>,
}

impl OwnServer {
    /// Creates and starts a server, which takes about a second.
    ///
    /// # Panics
    ///
    /// When there is no PostgreSQL (the message says how to get one) or it does not start (the message has its log).
    pub async fn start(settings: Settings<'_>) -> Self {
        let create = tokio::task::spawn_blocking(create_data_dir);
        let launch =
            create.await.expect("initdb is not cancelled").unwrap_or_else(|err| panic!("own server: {err}"));
        let port = settings.tcp.then(port::free);
        let mut socket = Address::socket(&launch.run);
        socket.port = port.unwrap_or(socket.port); // it names the socket as well
        let settings = with_defaults(settings, port);
        let mut server = Self { launch, settings, address: socket.clone(), socket, process: None };
        server.start_again().await;
        if port.is_some() {
            let sql = format!("alter user postgres password '{PASSWORD}'");
            server
                .connect("postgres")
                .await
                .batch_execute(&sql)
                .await
                .expect("a superuser may set a password");
            server.address.host = "127.0.0.1".into();
            server.address.password = Some(PASSWORD.into());
        }
        server
    }

    /// Where the server listens: on TCP when it was asked to, else on its socket.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// A database of the server as a `postgres://` URL. `postgres` is there from the start.
    pub fn url(&self, database: &str) -> String {
        self.address.url(database)
    }

    /// A connection as superuser.
    ///
    /// # Panics
    ///
    /// When the server refuses it.
    pub async fn connect(&self, database: &str) -> OwnedClient {
        let url = self.url(database);
        OwnedClient::connect(&url).await.unwrap_or_else(|err| panic!("cannot connect to {url}: {err:?}"))
    }

    /// Whether the server answers a statement now.
    pub async fn is_ready(&self) -> bool {
        let url = self.socket.url("postgres");
        let ask = async { OwnedClient::connect(&url).await?.batch_execute("select 1").await };
        matches!(timeout(Duration::from_secs(1), ask).await, Ok(Ok(())))
    }

    /// Stops the server; returns when its last process has ended.
    ///
    /// # Panics
    ///
    /// When it is not running, or does not end within two minutes.
    pub async fn stop(&mut self, how: Stop) {
        let mut process = self.process.take().expect("the server is not running: call start_again first");
        let signal = match how {
            Stop::Fast => Signal::Interrupt,
            Stop::Immediate => Signal::Quit,
        };
        sys::send(sys::id_of(process.id()), signal).expect("the process is ours and has not been waited for");
        let began = Instant::now();
        while process.try_wait().expect("the process is ours").is_none() {
            assert!(began.elapsed() < DEADLINE, "the server does not stop; its log says:\n{}", self.log());
            sleep(LOOK_EVERY).await;
        }
    }

    /// Starts a server that was stopped, at the same address; returns when it answers.
    ///
    /// # Panics
    ///
    /// When it is running, or does not come up within two minutes.
    pub async fn start_again(&mut self) {
        assert!(self.process.is_none(), "the server is running: call stop first");
        let settings = self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let started = self.launch.postgres(settings).and_then(sys::spawn_for_life);
        self.process =
            Some(started.unwrap_or_else(|err| panic!("cannot start {}: {err}", self.launch.bin.display())));
        self.wait_until_ready().await;
    }

    /// Stops the server in an orderly way and starts it again.
    ///
    /// # Panics
    ///
    /// As [`stop`](Self::stop) and [`start_again`](Self::start_again).
    pub async fn restart(&mut self) {
        self.stop(Stop::Fast).await;
        self.start_again().await;
    }

    /// Kills one backend without warning. The server takes that for a crash: it ends all connections and recovers.
    ///
    /// # Panics
    ///
    /// When there is no such process.
    pub fn kill_backend_9(&self, pid: i32) {
        sys::send(pid, Signal::Kill).unwrap_or_else(|err| panic!("cannot kill backend {pid}: {err}"));
    }

    /// Waits until the server answers a statement, for instance after its recovery from a crash.
    ///
    /// # Panics
    ///
    /// When it has ended, or does not answer within two minutes.
    pub async fn wait_until_ready(&mut self) {
        let began = Instant::now();
        while !self.is_ready().await {
            let process = self.process.as_mut().expect("the server is not running: call start_again first");
            let ended = process.try_wait().expect("the process is ours").is_some();
            let in_time = !ended && began.elapsed() < DEADLINE;
            assert!(in_time, "the server does not come up; its log says:\n{}", self.log());
            sleep(LOOK_EVERY).await;
        }
    }

    /// What the server has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.launch.log()).unwrap_or_default()
    }

    /// The data directory. An empty file `standby.signal` in it, made while the server is stopped, turns the server into
    /// a standby.
    pub fn data_dir(&self) -> PathBuf {
        self.launch.data_dir()
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // Either fails only when the server has ended by itself.
            let _ = sys::send(sys::id_of(process.id()), Signal::Quit);
            let _ = process.wait();
        }
        if let Err(err) = account::remove_dir(&self.launch.run) {
            eprintln!("cannot remove {}: {err}", self.launch.run.display());
        }
    }
}

fn with_defaults(settings: Settings<'_>, port: Option<u16>) -> Vec<(String, String)> {
    let fast = if settings.fsync { &[] } else { launch::FAST };
    let tcp: Vec<(&str, String)> = match port {
        Some(port) => vec![("listen_addresses", "127.0.0.1".into()), ("port", port.to_string())],
        None => vec![("listen_addresses", String::new())],
    };
    let extra = settings.extra.iter().map(|(name, value)| (*name, (*value).to_owned()));
    let all = fast.iter().map(|(name, value)| (*name, (*value).to_owned())).chain(tcp).chain(extra);
    all.map(|(name, value)| (name.to_owned(), value)).collect()
}

fn create_data_dir() -> Result<Launch, Box<dyn std::error::Error + Send + Sync>> {
    let (bin, account) = (install::find()?, Account::for_server()?);
    let launch = Launch { bin, run: own_dir(account)?, account };
    launch.initdb()?;
    Ok(launch)
}

/// An empty directory that nobody else uses; the next test process removes it if this one cannot.
pub(super) fn own_dir(account: Option<Account>) -> io::Result<PathBuf> {
    static COUNT: AtomicU16 = AtomicU16::new(0);
    let prefix = format!("ermine-pg-own-{}-", sys::effective_uid());
    remove_leftovers(&prefix);
    let name = format!("{prefix}{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let dir = Path::new("/tmp").join(name);
    account::create_private_dir(&dir, account)?;
    Ok(dir)
}

/// Removes the directories of test processes that were killed: their names end in `<process id>-<count>`.
fn remove_leftovers(prefix: &str) {
    for entry in fs::read_dir("/tmp").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name
            .to_str()
            .and_then(|it| it.strip_prefix(prefix))
            .and_then(|it| it.split('-').next()?.parse().ok());
        if owner.is_some_and(|pid| !sys::is_running(pid)) {
            // Another test process may be removing it as well.
            let _ = account::remove_dir(&entry.path());
        }
    }
}

//! A disk that is full for a while.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use ermine_testkit::{
    Proxy, becomes,
    pg::{OwnServer, OwnedClient, Settings, Stop},
};
use tokio::time::{Instant, sleep, timeout};

use super::{DEADLINE, PROMISE, Report, end, is_well, projections, start_host, writers::Writers};

/// A server starts in it, and a few minutes of appends fit.
const SIZE: &str = "size=256m";
/// How long appends go on before that.
const CALM: Duration = Duration::from_secs(4);
/// How long nothing more fits.
const FULL: Duration = Duration::from_secs(10);

/// What of a server is on a disk that is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// All of it: tables cannot grow, and the server says so.
    Data,
    /// The write-ahead log: the server ends at once, and again when it tries to recover.
    Log,
}

/// Fills the disk of a server while a daemon follows it, makes room again, and looks what has become of the events; so many
/// times. `None` where this process may not mount a file system.
///
/// # Panics
///
/// When server or host cannot be started.
pub async fn fill_disk(full: Full, times: usize) -> Option<Report> {
    let mut report = Report::new(0);
    let small_wal = [("max_wal_size", "64MB"), ("min_wal_size", "32MB"), ("synchronous_commit", "on")];
    let mut server = OwnServer::start(Settings { extra: &small_wal, ..Settings::default() }).await;
    projections::prepare(&server.connect("postgres").await).await;
    let disk = Disk::under(&mut server, full).await?;
    let proxy = Proxy::start(server.address()).await;
    let tasks_before = super::tasks();
    let host = Arc::new(start_host(&proxy).await);
    let writers = Writers::start(&server.url("postgres"), &host);
    for nth in 0..times {
        if let Err(missing) = is_well(&server, &host, DEADLINE).await {
            report.violations.push(format!("before the disk was full: {missing}"));
        }
        sleep(CALM).await;
        let logged = server.log().len();
        let ballast = disk.fill();
        match full {
            Full::Data => sleep(FULL).await,
            Full::Log => drop(timeout(FULL, use_up_log(&server.url("postgres"))).await),
        }
        let said = server.log()[logged..].to_owned();
        let count = |what: &str| said.matches(what).count();
        report.tell(format!(
            "{full:?}, round {}: the server said \"No space left\" {} times, and PANIC {} times",
            nth + 1,
            count("No space left"),
            count("PANIC")
        ));
        fs::remove_file(&ballast).expect("what was written can be removed");
        report.faults += 1;
        // A server that cannot recover for want of room ends, and somebody starts it again.
        if becomes(PROMISE, || server.is_ready()).await.is_err() {
            server.stop(Stop::Immediate).await;
            server.start_again().await;
        }
        let back = Instant::now();
        match is_well(&server, &host, PROMISE).await {
            Ok(()) => {
                report.tell(format!("         all is well {:.1?} after the server was back", back.elapsed()));
            }
            Err(missing) => report.violations.push(format!("{PROMISE:?} after there was room: {missing}")),
        }
    }
    let acknowledged = writers.stop().await;
    super::settle(&server, &host, &acknowledged, &mut report).await;
    end(&server, host, tasks_before, &mut report).await;
    server.stop(Stop::Fast).await;
    drop(disk); // before the server, which removes the directory
    Some(report)
}

/// A small file system in place of a directory of a server.
struct Disk {
    at: PathBuf,
}

impl Disk {
    async fn under(server: &mut OwnServer, full: Full) -> Option<Self> {
        let data = server.data_dir();
        let aside = data.with_extension("aside");
        let at = match full {
            Full::Data => data,
            Full::Log => data.join("pg_wal"),
        };
        server.stop(Stop::Fast).await;
        run("cp", &["-a", path(&at), path(&aside)]).then_some(())?;
        if !run("mount", &["-t", "tmpfs", "-o", SIZE, "ermine-chaos", path(&at)]) {
            return None;
        }
        let disk = Self { at };
        let kept = run("cp", &["-a", &format!("{}/.", path(&aside)), path(&disk.at)]);
        assert!(kept, "the data fit into a disk of {SIZE}");
        server.start_again().await;
        Some(disk)
    }

    /// Writes until nothing more fits.
    fn fill(&self) -> PathBuf {
        let ballast = self.at.join("ballast");
        let mut file = fs::File::create(&ballast).expect("the disk is not full yet");
        while file.write_all(&[0; 4096]).is_ok() {}
        ballast
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if !run("umount", &["--lazy", path(&self.at)]) {
            eprintln!("cannot unmount {}", self.at.display());
        }
    }
}

/// Asks for new files of the log, until somebody stops it: the server makes some in advance.
async fn use_up_log(url: &str) {
    loop {
        if let Ok(client) = OwnedClient::connect(url).await {
            while client.batch_execute("select pg_switch_wal()").await.is_ok() {
                sleep(Duration::from_millis(100)).await;
            }
        }
        sleep(Duration::from_millis(100)).await;
    }
}

fn path(path: &Path) -> &str {
    path.to_str().expect("directories of tests have plain names")
}

fn run(program: &str, args: &[&str]) -> bool {
    Command::new(program).args(args).status().is_ok_and(|status| status.success())
}

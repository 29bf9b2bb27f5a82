//! A server that goes away and comes back, and connections that are cut: the daemon goes on by itself.

use std::{fmt, time::Duration};

use ermine::{
    Ermine,
    core::{DaemonMode, Position, Seq},
    daemon::ShardState,
};
use ermine_testkit::{
    eventually,
    pg::{OwnServer, OwnedClient, Settings, Stop},
};
use tokio::time::Instant;

use crate::trail::{self, Log};

/// How soon after the server accepts connections again a new event must be applied.
pub const PROMISE: Duration = Duration::from_secs(5);
const DEADLINE: Duration = Duration::from_secs(60);

/// What a run came to.
#[derive(Debug)]
pub struct Report {
    /// Until a new event was applied, for each thing that was taken away.
    pub recovered: Vec<(String, Duration)>,
    /// What must not happen and did.
    pub violations: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, took) in &self.recovered {
            writeln!(f, "{what}: a new event was applied {took:?} after the server accepted connections")?;
        }
        for violation in &self.violations {
            writeln!(f, "VIOLATION: {violation}")?;
        }
        Ok(())
    }
}

/// Which connections of the host are cut.
#[derive(Clone, Copy, Debug)]
pub enum Cut {
    /// The one that observes and listens.
    Control,
    /// Those of the pool.
    Pool,
    /// Every one.
    All,
}

impl Cut {
    /// All kinds.
    pub const EACH: [Self; 3] = [Self::Control, Self::Pool, Self::All];

    /// A condition on `pg_stat_activity`.
    fn condition(self) -> &'static str {
        match self {
            Self::Control => "query like '%high_water%'",
            Self::Pool => "query not like '%high_water%'",
            Self::All => "true",
        }
    }
}

/// A host whose daemon lives through whatever happens to its server.
pub struct Host {
    server: OwnServer,
    ermine: Ermine,
    report: Report,
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("ermine", &self.ermine).finish_non_exhaustive()
    }
}

impl Host {
    /// A host that has applied its first event.
    ///
    /// # Panics
    ///
    /// When server or host do not start.
    pub async fn start() -> Self {
        let server = OwnServer::start(Settings::default()).await;
        let builder = trail::project(Ermine::open(server.url("postgres")), "").daemon(DaemonMode::Solo);
        let ermine = builder.start().await.unwrap_or_else(|err| panic!("the host starts: {err:?}"));
        let host = Self { server, ermine, report: Report { recovered: Vec::new(), violations: Vec::new() } };
        let first = append(&host.server.connect("postgres").await).await;
        host.ermine.wait_for(first).await.unwrap_or_else(|err| panic!("the first event: {err:?}"));
        host
    }

    /// Takes the server away for `lasts`, at least until the host has noticed, and asserts that a new event is applied
    /// soon after it is back.
    ///
    /// # Panics
    ///
    /// When it is not.
    pub async fn survive_outage(&mut self, lasts: Duration, how: Stop) {
        self.server.stop(how).await;
        let gone = Instant::now();
        let handle = self.ermine.daemon().expect("it runs a daemon");
        eventually(lasts + DEADLINE, || async {
            let trouble = handle.trouble().ok_or("the host does not say what is wrong")?;
            if gone.elapsed() < lasts { Err("the outage is not over") } else { Ok(trouble) }
        })
        .await;
        self.server.start_again().await;
        self.goes_on(format!("{how:?} stop, {lasts:?} away")).await;
    }

    /// Cuts connections and asserts that a new event is applied soon.
    ///
    /// # Panics
    ///
    /// When it is not, or when there is nothing to cut.
    pub async fn survive_cut(&mut self, cut: Cut) {
        let client = self.server.connect("postgres").await;
        let sql = format!(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = 'ermine' and {}",
            cut.condition()
        );
        // A connection is told by its last statement, and the control connection does other things at times.
        let cut_off = eventually(DEADLINE, || async {
            let row = client.query_one(&sql, &[]).await.expect("a superuser may");
            Some(row.get::<_, i64>(0)).filter(|cut_off| *cut_off > 0)
        })
        .await;
        self.goes_on(format!("{cut:?} connections terminated ({cut_off})")).await;
    }

    async fn goes_on(&mut self, what: String) {
        let back = Instant::now();
        let client = self.server.connect("postgres").await;
        let position = append(&client).await;
        let ermine = &self.ermine;
        eventually(PROMISE, || async {
            let status = ermine.status();
            let done = status.iter().all(|s| s.progress >= position.seq() && s.state == ShardState::Running);
            let trouble = ermine.daemon().and_then(ermine::daemon::Handle::trouble);
            if done { Ok(()) } else { Err(format!("{what}: {}, {}, {trouble:?}", status[0], status[1])) }
        })
        .await;
        self.report.recovered.push((what, back.elapsed()));
    }

    /// Compares all views with the log.
    ///
    /// # Panics
    ///
    /// When they cannot be read.
    pub async fn finish(mut self) -> Report {
        let log = Log::read(&self.server.connect("postgres").await).await;
        self.report.violations.extend(log.compare(&self.ermine).await);
        if let Err(err) = self.ermine.stop().await {
            self.report.violations.push(err.chain());
        }
        self.report
    }
}

/// By somebody else's connection, because those of the host are what is tested.
async fn append(client: &OwnedClient) -> Position {
    let sql = "select ermine.append('outage', null, array['note.noted'], array['{\"bucket\":0}'::json])";
    let row = client.query_one(sql, &[]).await.expect("the server answers");
    Position::new(Seq::from_i64(row.get(0)))
}

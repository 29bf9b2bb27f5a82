//! What the daemon has to live through.

use std::{fmt, time::Duration};

use ermine_testkit::{
    Fault, Proxy, Way, eventually,
    pg::{OwnServer, OwnedClient, Stop},
};
use rand::{RngExt, rngs::StdRng, seq::IndexedRandom};
use tokio::{task::JoinSet, time::sleep};

use super::projections::{TARGETS, table_of};

/// How long things take at most that are no part of what is tested.
const DEADLINE: Duration = Duration::from_secs(60);

/// One thing that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blow {
    /// The network.
    Wire(Fault),
    /// The server ends some of the daemon's sessions, and then more of them.
    Terminate,
    /// The server is stopped, and started when it is over.
    Restart(Stop),
    /// Sessions lock rows of views in the order opposite to the daemon's.
    Deadlocks,
    /// Every other row of a view that is written fails as if transactions had got in each other's way.
    Serialization(&'static str),
    /// The daemon loses its sessions, and somebody else has taken all that the server allows.
    TooManyConnections,
}

/// What blows fall on.
pub(super) struct Victim<'a> {
    pub(super) server: &'a mut OwnServer,
    pub(super) proxy: &'a Proxy,
    /// What the daemon's sessions call themselves.
    pub(super) application: &'static str,
}

impl Blow {
    /// One of every kind.
    pub(super) fn deck(rng: &mut StdRng) -> Vec<Self> {
        let mut way = || *Way::ALL.choose(rng).expect("there are three");
        let (stall, hole, half) = (Fault::Stall(way()), Fault::BlackHole(way()), Fault::HalfClose(way()));
        let delay = Fault::Delay(Duration::from_millis(rng.random_range(1..150)));
        let wire = [delay, stall, hole, half, Fault::Close, Fault::Reset, Fault::Refuse].map(Self::Wire);
        let target = TARGETS.choose(rng).expect("there are some");
        let server = [
            Self::Terminate,
            Self::Restart(Stop::Fast),
            Self::Restart(Stop::Immediate),
            Self::Deadlocks,
            Self::Serialization(target),
            Self::TooManyConnections,
        ];
        [&wire[..], &server[..]].concat()
    }

    /// Falls for so long, or once, and is over when this returns.
    pub(super) async fn fall(self, on: &mut Victim<'_>, lasts: Duration, rng: &mut StdRng) {
        match self {
            Self::Wire(fault) => {
                on.proxy.strike(fault);
                sleep(lasts).await;
                on.proxy.pass();
            }
            Self::Terminate => {
                let client = connect(on.server).await;
                for _ in 0..rng.random_range(1..4) {
                    terminate(&client, on.application, rng.random_range(0.2..=1.0)).await;
                    sleep(lasts / 4).await;
                }
            }
            Self::Restart(how) => {
                on.server.stop(how).await;
                sleep(lasts).await;
                on.server.start_again().await;
            }
            Self::Deadlocks => {
                let mut storm = JoinSet::new();
                for target in TARGETS {
                    storm.spawn(lock_rows(on.server.url("postgres"), target));
                }
                sleep(lasts).await;
                storm.shutdown().await;
            }
            Self::Serialization(target) => {
                change(on.server, target, REFUSE).await;
                sleep(lasts).await;
                change(on.server, target, "drop function public.refuse cascade").await;
            }
            Self::TooManyConnections => take_all(on, lasts).await,
        }
    }
}

impl fmt::Display for Blow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wire(fault) => fault.fmt(f),
            Self::Terminate => f.write_str("sessions terminated"),
            Self::Restart(how) => write!(f, "a restart of the server ({how:?})"),
            Self::Deadlocks => f.write_str("a storm of deadlocks"),
            Self::Serialization(target) => write!(f, "serialization failures in {target}"),
            Self::TooManyConnections => f.write_str("no connection left"),
        }
    }
}

/// A session that is there as soon as the server has room for it.
pub(super) async fn connect(server: &OwnServer) -> OwnedClient {
    let url = server.url("postgres");
    eventually(DEADLINE, || OwnedClient::connect(&url)).await
}

async fn terminate(client: &OwnedClient, application: &str, share: f64) {
    let sql = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1 and random() < $2";
    client.query(sql, &[&application, &share]).await.expect("a superuser may end sessions");
}

/// Takes locks on the rows of a table from the last to the first, again and again.
async fn lock_rows(url: String, target: &str) {
    loop {
        let Ok(mut client) = OwnedClient::connect(&url).await else { continue };
        // It ends at the first deadlock of which it is the victim.
        let storm = async {
            let table = table_of(&client, target).await?;
            let ids = format!("select id from {table} order by id desc limit 12");
            let lock = format!("select 1 from {table} where id = $1 for update");
            loop {
                let ids = client.query(&ids, &[]).await?;
                let transaction = client.transaction().await?;
                for row in &ids {
                    transaction.query(&lock, &[&row.get::<_, &str>(0)]).await?;
                }
                transaction.commit().await?;
            }
        };
        let _: Result<(), tokio_postgres::Error> = storm.await;
    }
}

const REFUSE: &str = "
    create function public.refuse() returns trigger language plpgsql as $$
    begin
      if random() < 0.5 then
        raise exception 'could not serialize access' using errcode = '40001';
      end if;
      return new;
    end $$;
    create trigger refuse before insert or update on {table} for each row execute function public.refuse()";

/// Changes a table that is in use.
async fn change(server: &OwnServer, target: &str, sql: &str) {
    let client = connect(server).await;
    let said =
        |err: tokio_postgres::Error| err.as_db_error().map_or_else(|| err.to_string(), ToString::to_string);
    eventually(DEADLINE, || async {
        let table = table_of(&client, target).await.map_err(said)?;
        client.batch_execute(&sql.replace("{table}", &table)).await.map_err(said)
    })
    .await;
}

async fn take_all(on: &mut Victim<'_>, lasts: Duration) {
    let ours = connect(on.server).await;
    let url = on.server.url("postgres");
    let mut taken = Vec::new();
    let hold = async {
        loop {
            terminate(&ours, on.application, 1.0).await;
            while let Ok(client) = OwnedClient::connect(&url).await {
                taken.push(client);
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    let _ = tokio::time::timeout(lasts, hold).await;
}

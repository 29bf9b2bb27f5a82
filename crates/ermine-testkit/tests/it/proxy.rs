use std::time::{Duration, Instant};

use ermine_testkit::{
    Fault, Proxy, Schedule, Way, eventually,
    pg::{OwnedClient, TestDatabase},
};
use tokio::time::timeout;

const LONG: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(100);

async fn through_proxy(database: &TestDatabase) -> (Proxy, OwnedClient) {
    let proxy = Proxy::start(database.address()).await;
    let client = OwnedClient::connect(&proxy.url(database.name())).await.unwrap();
    (proxy, client)
}

async fn connects(proxy: &Proxy, database: &TestDatabase) -> Result<OwnedClient, String> {
    let connected = timeout(SHORT * 10, OwnedClient::connect(&proxy.url(database.name()))).await;
    connected.map_err(|_| "nobody answers".to_owned())?.map_err(|err| err.to_string())
}

async fn answers(client: &OwnedClient) {
    timeout(LONG, client.batch_execute("select 1")).await.unwrap().unwrap();
}

async fn fails(client: &OwnedClient) {
    assert!(timeout(LONG, client.batch_execute("select 1")).await.unwrap().is_err());
}

async fn is_silent(client: &OwnedClient) {
    assert!(timeout(SHORT, client.batch_execute("select 1")).await.is_err());
}

/// How many sessions the server has in the database, beside the one that asks.
async fn sessions(database: &TestDatabase, witness: &OwnedClient) -> i64 {
    let sql = "select count(*) from pg_stat_activity where datname = $1 and pid <> pg_backend_pid()";
    witness.query_one(sql, &[&database.name()]).await.unwrap().get(0)
}

#[tokio::test]
async fn a_delay_is_felt() {
    let database = TestDatabase::create().await;
    let (proxy, client) = through_proxy(&database).await;
    client.batch_execute("select 1").await.unwrap();
    proxy.strike(Fault::Delay(SHORT));
    let began = Instant::now();
    client.batch_execute("select 1").await.unwrap();
    assert!(began.elapsed() >= 2 * SHORT, "both directions are slow: {:?}", began.elapsed());
}

#[tokio::test]
async fn what_was_sent_while_nothing_passed_arrives_afterwards() {
    let database = TestDatabase::create().await;
    for way in Way::ALL {
        let (proxy, client) = through_proxy(&database).await;
        proxy.strike(Fault::Stall(way));
        let mut answer = Box::pin(client.batch_execute("select 1"));
        assert!(timeout(SHORT, &mut answer).await.is_err(), "{way}");
        proxy.pass();
        timeout(LONG, answer).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_connection_that_has_lost_bytes_in_a_black_hole_stays_silent_and_a_new_one_works() {
    let database = TestDatabase::create().await;
    for way in Way::ALL {
        let (proxy, client) = through_proxy(&database).await;
        let idle = connects(&proxy, &database).await.unwrap();
        proxy.strike(Fault::BlackHole(way));
        is_silent(&client).await;
        assert_eq!(connects(&proxy, &database).await.unwrap_err(), "nobody answers", "{way}");
        proxy.pass();
        is_silent(&client).await;
        answers(&idle).await;
        answers(&connects(&proxy, &database).await.unwrap()).await;
    }
}

#[tokio::test]
async fn a_client_that_gives_up_in_a_black_hole_is_noticed_by_the_server_when_it_is_over() {
    let database = TestDatabase::create().await;
    let witness = database.connect().await;
    let (proxy, client) = through_proxy(&database).await;
    proxy.strike(Fault::BlackHole(Way::ToServer));
    is_silent(&client).await;
    drop(client);
    assert_eq!(sessions(&database, &witness).await, 1, "nobody has told the server");
    proxy.pass();
    eventually(LONG, || async { sessions(&database, &witness).await == 0 }).await;
}

#[tokio::test]
async fn cut_connections_end_and_new_ones_work_at_once() {
    let database = TestDatabase::create().await;
    let witness = database.connect().await;
    for fault in [Fault::Close, Fault::Reset] {
        let (proxy, client) = through_proxy(&database).await;
        let mut answer = Box::pin(client.batch_execute("select pg_sleep(100)"));
        assert!(timeout(SHORT, &mut answer).await.is_err());
        proxy.strike(fault);
        assert!(timeout(LONG, answer).await.unwrap().is_err(), "{fault}");
        answers(&connects(&proxy, &database).await.unwrap()).await;
        fails(&client).await;
    }
    // The server looks at its connection only when the statement is over.
    let sql = "select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_sleep%' and pid <> pg_backend_pid()";
    witness.query(sql, &[]).await.unwrap();
    eventually(LONG, || async { sessions(&database, &witness).await == 0 }).await;
}

#[tokio::test]
async fn a_connection_that_is_closed_one_way_ends() {
    let database = TestDatabase::create().await;
    for way in Way::ALL {
        let (proxy, client) = through_proxy(&database).await;
        proxy.strike(Fault::HalfClose(way));
        fails(&client).await;
        answers(&connects(&proxy, &database).await.unwrap()).await;
    }
}

#[tokio::test]
async fn new_connections_are_refused_while_old_ones_go_on() {
    let database = TestDatabase::create().await;
    let (proxy, client) = through_proxy(&database).await;
    proxy.strike(Fault::Refuse);
    eventually(LONG, || async { connects(&proxy, &database).await.is_err() }).await;
    answers(&client).await;
    proxy.pass();
    eventually(LONG, || async { connects(&proxy, &database).await.map(drop) }).await;
}

#[tokio::test]
async fn a_schedule_is_the_same_for_the_same_seed() {
    let schedule = |seed| Schedule::new(seed, Duration::ZERO..SHORT, SHORT..LONG).take(50);
    assert!(schedule(1).eq(schedule(1)));
    assert!(!schedule(1).eq(schedule(2)));
    let kinds = schedule(1).map(|spell| std::mem::discriminant(&spell.fault));
    assert_eq!(kinds.collect::<std::collections::HashSet<_>>().len(), 7, "all kinds of faults");
}

#[tokio::test]
async fn everything_passes_after_any_series_of_faults() {
    let database = TestDatabase::create().await;
    let (proxy, _client) = through_proxy(&database).await;
    let short = Duration::from_millis(1)..Duration::from_millis(20);
    proxy.suffer(Schedule::new(7, short.clone(), short).take(40)).await;
    let client = eventually(LONG, || connects(&proxy, &database)).await;
    answers(&client).await;
}

#[tokio::test]
async fn a_dropped_proxy_leaves_no_task_no_port_and_no_session_behind() {
    let database = TestDatabase::create().await;
    let witness = database.connect().await;
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    for fault in [None, Some(Fault::Stall(Way::Both)), Some(Fault::BlackHole(Way::Both)), Some(Fault::Refuse)]
    {
        let (proxy, client) = through_proxy(&database).await;
        let port = proxy.url(database.name());
        if let Some(fault) = fault {
            proxy.strike(fault);
            let _ = timeout(SHORT, client.batch_execute("select 1")).await;
        }
        drop(proxy);
        fails(&client).await;
        assert!(OwnedClient::connect(&port).await.is_err(), "nobody listens any more");
        eventually(LONG, || async { sessions(&database, &witness).await == 0 }).await;
        drop(client);
        eventually(LONG, || async {
            let now = tasks();
            if now <= before { Ok(()) } else { Err(format!("{now} tasks, and {before} before")) }
        })
        .await;
    }
}

//! PgBouncer in front of the server.

use std::time::Duration;

use ermine_core::{
    Bell, Error, ErrorKind, EventFilter, ExpectedVersion, Observe, Result, Seq, Version,
    ports::{EventAppender, HighWaterSource, SchemaAdmin, ViewStore, WakeReason, Wakeup},
};
use ermine_postgres::{PostgresOptions, Store};
use ermine_testkit::pg::{Pooler, TestDatabase};

use crate::{
    common::{DEADLINE, append, batch, key, names, observe, page, registration, table},
    worker::{Worker, put},
};

/// PgBouncer knows none of the settings that our sessions begin with.
const LENIENT: (&str, &str) = ("ignore_startup_parameters", "options");

struct Scene {
    database: TestDatabase,
    pooler: Pooler,
}

impl Scene {
    /// `None` where there is no PgBouncer.
    async fn new(settings: &[(&str, &str)]) -> Option<Self> {
        if !Pooler::is_installed() {
            println!("skipped: there is no pgbouncer");
            return None;
        }
        let database = TestDatabase::create().await;
        let pooler = Pooler::start(database.address(), settings).await;
        Some(Self { database, pooler })
    }

    fn pooled(&self) -> PostgresOptions {
        Store::builder(self.pooler.url(self.database.name()))
    }

    async fn direct(&self) -> Store {
        let store = Store::connect(self.database.url()).await.unwrap();
        store.migrate(&registration()).await.unwrap();
        store
    }
}

fn refused(kind: &ErrorKind, answer: Result<impl Sized>) -> Error {
    let Err(error) = answer else { panic!("it was not refused") };
    assert_eq!(error.kind(), kind, "{}", error.chain());
    assert!(error.chain().contains("give a direct URL as `control`"), "{}", error.chain());
    error
}

/// Appends, projects, and reads back what both have made.
async fn is_of_use(store: &Store) {
    let worker = Worker::take(store).await;
    for n in 1..=9 {
        append(store, "trip-1", ExpectedVersion::Exact(Version::new(n - 1)), 1).await.unwrap();
        worker.commit(vec![put(&table(), "trip-1", &format!("{{\"km\":{n}.25}}"))]).await.unwrap();
    }
    let conflict = append(store, "trip-1", ExpectedVersion::NoStream, 1).await.unwrap_err();
    assert_eq!(conflict.as_conflict().unwrap().actual, Version::new(9));
    store.append(batch("trip-2", 2000)).await.unwrap();
    let events = page(store, 0, 2009, 5000, EventFilter::new(names(&["Travelled"]), [])).await.events;
    assert_eq!(events.len(), 2009);
    let view = store.load_views(&table(), &[key("trip-1")]).await.unwrap().remove(0).unwrap();
    assert_eq!(view.body.decode::<serde_json::Value>().unwrap(), serde_json::json!({"km": 9.25}));
}

/// Another process rings when it appends, and whoever waits hears that.
async fn hears_the_bell(store: &Store, other: &Store) {
    let last = observe(store).await.last;
    let arm = Observe { mark: last, bell: Bell::Arm(DEADLINE) };
    store.observe(arm).await.unwrap();
    while store.wait(Duration::ZERO).await == WakeReason::Rang {}
    append(other, "bell", ExpectedVersion::Any, 1).await.unwrap();
    assert_eq!(store.wait(DEADLINE).await, WakeReason::Rang);
    assert!(observe(store).await.last > last);
}

#[tokio::test]
async fn sessions_whose_settings_the_pooler_does_not_take_are_refused_with_the_way_out() {
    let Some(it) = Scene::new(&[("pool_mode", "transaction")]).await else { return };
    let said = refused(&ErrorKind::Configuration, it.pooled().connect().await);
    assert!(said.chain().contains("unsupported startup parameter"), "{}", said.chain());
    let direct = it.direct().await;
    let data = it.pooled().control(it.database.url()).connect().await.unwrap();
    refused(&ErrorKind::Configuration, append(&data, "trip-1", ExpectedVersion::Any, 1).await);
    assert_eq!(observe(&direct).await.last, Seq::ZERO);
}

#[tokio::test]
async fn a_control_connection_through_a_pooler_in_transaction_mode_is_refused_with_the_way_out() {
    let Some(it) = Scene::new(&[("pool_mode", "transaction"), LENIENT]).await else { return };
    it.direct().await;
    let all = it.pooled().transaction_pooler(true).connect().await.unwrap();
    refused(&ErrorKind::Refused, all.check(&registration()).await);
    let control = Store::builder(it.database.url()).control(it.pooler.url(it.database.name()));
    let control = control.connect().await.unwrap();
    refused(&ErrorKind::Refused, control.check(&registration()).await);
}

#[tokio::test]
async fn data_goes_through_a_pooler_in_transaction_mode_beside_a_direct_control_connection() {
    let Some(it) = Scene::new(&[("pool_mode", "transaction")]).await else { return };
    let options = it.pooled().transaction_pooler(true).control(it.database.url());
    let store = options.connect().await.unwrap();
    store.migrate(&registration()).await.unwrap();
    store.check(&registration()).await.unwrap();
    is_of_use(&store).await;
    hears_the_bell(&store, &store).await;
}

#[tokio::test]
async fn a_pooler_in_session_mode_carries_everything() {
    let Some(it) = Scene::new(&[("pool_mode", "session"), LENIENT]).await else { return };
    let store = it.pooled().connect().await.unwrap();
    store.migrate(&registration()).await.unwrap();
    store.check(&registration()).await.unwrap();
    is_of_use(&store).await;
    hears_the_bell(&store, &it.direct().await).await;
}

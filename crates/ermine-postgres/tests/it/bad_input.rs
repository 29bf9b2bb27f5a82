//! What is said to somebody who got something wrong.

use std::time::Duration;

use ermine_core::{
    Error, ErrorKind, Operation, ProjectionName, Seq, TenantId, ViewTable, field,
    ports::{EventAppender, HighWaterSource, SchemaAdmin, ViewStore},
};
use ermine_postgres::Store;
use ermine_testkit::pg::{OwnServer, Settings, TestDatabase};

use crate::{
    common::{Fixture, LEAVE, batch, key, registration, table},
    worker::{Worker, put},
};

async fn refused(url: &str) -> Error {
    let options = Store::builder(url).connect_timeout(Duration::from_secs(2));
    options.connect().await.unwrap_err()
}

#[tokio::test]
async fn an_unknown_scheme_is_refused() {
    let error = refused("mysql://ada:sesame@localhost/trips").await;
    assert_eq!(*error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().ends_with("this one has the scheme \"mysql\""), "{error}");
}

#[tokio::test]
async fn an_unknown_host_is_named() {
    let error = refused("postgres://ada:sesame@no-such-host.invalid/trips").await;
    assert_eq!(*error.kind(), ErrorKind::Transient, "it may come up later");
    let told = error.chain();
    assert!(told.contains("no-such-host.invalid:5432, user \"ada\", database \"trips\""), "{told}");
    assert!(told.contains("the host is unknown or cannot be reached") && !told.contains("sesame"), "{told}");
}

#[tokio::test]
async fn a_host_without_a_server_is_told_at_once() {
    for url in ["postgres://ada@127.0.0.1:1/trips", "postgres://ada@%2Ftmp%2Fno-such-directory/trips"] {
        let error = refused(url).await;
        assert_eq!(*error.kind(), ErrorKind::Transient);
        assert!(error.to_string().ends_with("nobody listens there: is the server running?"), "{error}");
    }
}

#[tokio::test]
async fn a_wrong_password_or_database_is_named_and_the_password_is_not() {
    let server = OwnServer::start(Settings { tcp: true, ..Settings::default() }).await;
    let wrong = server.address().with_login("postgres", Some("open barley")).url("postgres");
    let error = refused(&wrong).await;
    assert_eq!(*error.kind(), ErrorKind::Configuration);
    let told = error.chain();
    assert!(told.contains("user \"postgres\", database \"postgres\": the password is wrong"), "{told}");
    assert!(!told.contains("barley"), "{told}");
    let error = refused(&server.url("nowhere")).await;
    assert_eq!(*error.kind(), ErrorKind::Configuration);
    assert!(
        error.to_string().contains("database \"nowhere\": there is no such database: create it"),
        "{error}"
    );
    let error = refused(&format!("{}?sslmode=require", server.url("postgres"))).await;
    assert_eq!(*error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("TLS failed: see sslmode"), "{}", error.chain());
    let plain = Store::connect(format!("{}?sslmode=prefer", server.url("postgres"))).await.unwrap();
    let shown =
        format!("{plain:?} {:?}", Store::builder(server.url("postgres")).control(server.url("postgres")));
    assert!(!shown.contains("sesame"), "{shown}");
}

#[tokio::test]
async fn a_schema_name_with_quotes_is_refused() {
    let database = TestDatabase::create().await;
    let error = Store::builder(database.url()).schema("my\"schema").connect().await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Configuration);
    assert!(
        error.to_string().starts_with("schema name \"my\\\"schema\" holds the character '\"'"),
        "{error}"
    );
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused() {
    let database = TestDatabase::create().await;
    let error = Store::builder(database.url()).pool_size(0).connect().await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Configuration);
    let error = Store::builder(database.url()).statement_timeout(Duration::ZERO).connect().await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Configuration);
}

#[tokio::test]
async fn a_store_that_is_not_migrated_says_so_everywhere() {
    let database = TestDatabase::create().await;
    let store = Store::connect(database.url()).await.unwrap();
    let told = [
        store.check(&registration()).await.unwrap_err(),
        store.observe(LEAVE).await.unwrap_err(),
        crate::common::append(&store, "trip-1", ermine_core::ExpectedVersion::Any, 1).await.unwrap_err(),
        ermine_core::ports::ProgressStore::read_progress(&store).await.unwrap_err(),
    ];
    for error in told {
        assert_eq!(*error.kind(), ErrorKind::Refused, "{}", error.chain());
        assert!(error.to_string().contains("migrat"), "{error}");
    }
    // Another node migrates; this one finds out by itself.
    Store::connect(database.url()).await.unwrap().migrate(&registration()).await.unwrap();
    store.observe(LEAVE).await.unwrap();
    store.check(&registration()).await.unwrap();
}

#[tokio::test]
async fn an_odd_but_harmless_schema_name_works() {
    let database = TestDatabase::create().await;
    let store = Store::builder(database.url()).schema("Mein Schäma; drop").connect().await.unwrap();
    store.migrate(&registration()).await.unwrap();
    store.check(&registration()).await.unwrap();
    crate::common::append(&store, "trip-1", ermine_core::ExpectedVersion::Any, 3).await.unwrap();
    assert_eq!(crate::common::observe(&store).await.highest_visible.get(), 3);
}

/// Whose table it is the store cannot know, and the engine looks; one that was never registered it refuses.
#[tokio::test]
async fn an_operation_on_a_table_that_is_not_there_is_refused_with_its_batch() {
    let it = Fixture::new().await;
    let worker = Worker::take(&it.store).await;
    let strange = ViewTable::new(ProjectionName::new("Nobody").unwrap(), 1);
    let filter = field("km").unwrap().ge(7);
    for operation in [
        put(&strange, "a", "{}"),
        Operation::Delete { table: strange.clone(), key: key("a") },
        Operation::DeleteWhere { table: strange.clone(), tenant: TenantId::default(), filter },
    ] {
        let refused = worker.commit(vec![put(&table(), "a", "{}"), operation.clone()]).await.unwrap_err();
        assert_eq!(*refused.kind(), ErrorKind::Refused, "{operation:?}: {}", refused.chain());
        let inline = batch("s", 1).with_operations(Vec::new(), vec![operation.clone()]);
        let refused = it.store.append(inline).await.unwrap_err();
        assert_eq!(*refused.kind(), ErrorKind::Refused, "{operation:?}: {}", refused.chain());
    }
    assert_eq!(it.store.load_views(&table(), &[key("a")]).await.unwrap(), [None]);
    assert_eq!(it.observe().await.highest_visible, Seq::ZERO);
}

use ermine_core::{
    ErrorKind, LetterQuery, ProjectionName, Uuid, ViewTable,
    ports::{DeadLetterStore, EventAppender, SchemaAdmin, WishStore},
};
use tokio::task::JoinSet;

use crate::common::{Place, batch, log, registration};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_nodes_open_and_migrate_at_once() {
    let place = std::sync::Arc::new(Place::new());
    let mut nodes = JoinSet::new();
    for node in 0..20 {
        let place = std::sync::Arc::clone(&place);
        nodes.spawn(async move {
            let store = place.open().await;
            let mut registration = registration();
            let name = ProjectionName::new(format!("node {}", node % 3)).unwrap();
            registration.tables.push(ViewTable::new(name, 1).into());
            store.migrate(&registration).await.unwrap();
            store.check(&registration).await.unwrap();
        });
    }
    nodes.join_all().await;
    let counts = "select (select count(*) from migrations), (select count(*) from projections), (select count(*) from meta)";
    let counts = place.sql().query_row(counts, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    assert_eq!(counts.unwrap(), (2, 4, 1));
}

#[tokio::test]
async fn a_store_that_is_up_to_date_is_not_written_to() {
    let place = Place::new();
    let store = place.store().await;
    let other = place.sql();
    other.execute_batch("begin immediate").unwrap();
    // Would wait for the lock if it wanted to write.
    store.migrate(&registration()).await.unwrap();
    store.check(&registration()).await.unwrap();
}

#[tokio::test]
async fn a_store_newer_than_the_code_is_refused() {
    let place = Place::new();
    let store = place.store().await;
    let later = "insert into migrations values (99, '0099_later', zeroblob(16), 0)";
    place.sql().execute_batch(later).unwrap();
    for refused in [store.migrate(&registration()).await, store.check(&registration()).await.map(drop)] {
        let refused = refused.unwrap_err();
        assert_eq!(*refused.kind(), ErrorKind::Refused);
        assert!(
            refused.to_string().contains("migration 99 (0099_later): update the application"),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn a_file_of_the_first_version_gets_what_it_lacks_and_keeps_what_it_has() {
    let place = Place::new();
    let store = place.open().await;
    // As the first version has made it.
    let connection = place.sql();
    connection.execute_batch(include_str!("../../migrations/0001_tables.sql")).unwrap();
    let made = "create table migrations (
          number integer primary key, name text not null, checksum blob not null, applied_at integer not null) strict;
        insert into meta (only_row, token, created_at) values (1, zeroblob(16), 0);
        pragma application_id = 1165127022";
    connection.execute_batch(made).unwrap();
    let checksum = Uuid::new_v5(&Uuid::NAMESPACE_OID, include_bytes!("../../migrations/0001_tables.sql"));
    let applied = "insert into migrations values (1, '0001_tables', ?1, 0)";
    connection.execute(applied, [checksum.as_bytes()]).unwrap();
    store.append(batch("trip-1", 2)).await.unwrap();
    assert!(
        store
            .check(&registration())
            .await
            .unwrap_err()
            .to_string()
            .contains("migration 2 (0002_dead_letters)")
    );
    store.migrate(&registration()).await.unwrap();
    store.check(&registration()).await.unwrap();
    assert_eq!(log(&store).await.len(), 2);
    assert_eq!(store.count_letters(LetterQuery::default()).await.unwrap(), 0);
    assert_eq!(store.wishes().await.unwrap(), []);
}

#[tokio::test]
async fn a_step_that_somebody_has_changed_is_refused() {
    let place = Place::new();
    let store = place.store().await;
    place.sql().execute_batch("update migrations set checksum = zeroblob(16)").unwrap();
    let refused = store.migrate(&registration()).await.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::Refused);
    let words = "migration 1 (0001_tables) of the store differs from the one this version of Ermine knows";
    assert!(refused.to_string().starts_with(words), "{refused}");
}

#[tokio::test]
async fn a_failed_migration_leaves_nothing_behind() {
    let place = Place::new();
    let store = place.store().await;
    store.append(batch("trip-1", 2)).await.unwrap();
    // In the way of a table for views.
    place.sql().execute_batch("create table view_balance_v1_g1 (mine integer)").unwrap();
    let mut more = registration();
    for name in ["another", "balance"] {
        more.tables.push(ViewTable::new(ProjectionName::new(name).unwrap(), 1).into());
    }
    let refused = store.migrate(&more).await.unwrap_err();
    assert!(refused.chain().contains("view_balance_v1_g1 already exists"), "{}", refused.chain());
    let tables = "select count(*) from sqlite_schema where name like 'view_another%'";
    assert_eq!(place.sql().query_row(tables, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
    place.sql().execute_batch("drop table view_balance_v1_g1").unwrap();
    store.migrate(&more).await.unwrap();
    store.check(&more).await.unwrap();
    assert_eq!(log(&store).await.len(), 2);
}

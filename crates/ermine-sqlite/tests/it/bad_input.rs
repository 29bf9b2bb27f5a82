//! What is said to somebody who got something wrong.

use std::{fs, path::Path, time::Duration};

use ermine_core::{
    Error, ErrorKind, Operation, ProjectionName, Seq, TenantId, ViewTable, field,
    ports::{EventAppender, HighWaterSource, ProgressStore, SchemaAdmin, ViewStore},
};
use ermine_sqlite::{SqliteOptions, Store, Synchronous};

use crate::common::{LEAVE, Place, batch, key, next_batch, put, registration, table};

async fn refused(url: &str) -> Error {
    Store::open(url).await.unwrap_err()
}

/// Expects this kind of refusal, in these words.
fn told(error: &Error, kind: &ErrorKind, words: &str) {
    assert_eq!((error.kind(), error.to_string().as_str()), (kind, words), "{}", error.chain());
}

#[tokio::test]
async fn every_spelling_of_a_url_means_the_same_file() {
    let place = Place::new();
    let file = place.file();
    let shown = file.display();
    for url in [
        format!("sqlite:{shown}"),
        format!("sqlite://{shown}"),
        format!("{shown}"),
        format!("sqlite:{shown}?"),
    ] {
        let store = Store::open(&url).await.unwrap();
        assert_eq!(store.path(), file, "{url}");
        store.migrate(&registration()).await.unwrap();
    }
    let blank = place.file().with_file_name("my trips?.db");
    let url = format!("sqlite:{}", blank.display()).replace(' ', "%20").replace('?', "%3F");
    assert_eq!(Store::open(&url).await.unwrap().path(), blank);
    let relative = SqliteOptions::parse("sqlite:trips.db").unwrap();
    assert_eq!(relative.path(), Path::new("trips.db"));
}

#[tokio::test]
async fn parameters_are_settings() {
    let parsed = SqliteOptions::parse("sqlite:a.db?synchronous=OFF&busy_timeout_ms=250&readers=1").unwrap();
    let made = SqliteOptions::new("a.db").synchronous(Synchronous::Off).readers(1);
    assert_eq!(parsed, made.busy_timeout(Duration::from_millis(250)));
}

#[tokio::test]
async fn wrong_parameters_are_refused_with_the_right_ones() {
    let known = "in an SQLite URL; the parameters are: synchronous=full|normal|off, busy_timeout_ms=<milliseconds>, readers=<threads>";
    for (query, what) in [
        ("mode=rwc", "unknown parameter \"mode\""),
        ("synchronous=sometimes", "\"synchronous=sometimes\" names no mode"),
        ("readers=many", "\"readers=many\" gives no number"),
        ("busy_timeout_ms=-1", "\"busy_timeout_ms=-1\" gives no number"),
    ] {
        let error = refused(&format!("sqlite:trips.db?{query}")).await;
        told(&error, &ErrorKind::Configuration, &format!("{what} {known}"));
    }
    let error = refused("sqlite:trips.db?readers=0").await;
    told(&error, &ErrorKind::Configuration, "readers is 0: the store needs 1 to 64 threads that read");
}

#[tokio::test]
async fn what_is_no_file_is_refused() {
    let error = refused("mysql://localhost/trips").await;
    let words = "an SQLite URL looks like sqlite:trips.db; this one has the scheme \"mysql\"";
    told(&error, &ErrorKind::Configuration, words);
    for nothing in ["", "sqlite:", "sqlite:?readers=2"] {
        let words = "an SQLite URL looks like sqlite:trips.db; this one names no file";
        told(&refused(nothing).await, &ErrorKind::Configuration, words);
    }
    for memory in [":memory:", "sqlite::memory:"] {
        let words = "this store keeps its events in a file, and \":memory:\" is none: name a file, or use the store \"memory:\"";
        told(&refused(memory).await, &ErrorKind::Configuration, words);
    }
    let error = refused("sqlite:%ff.db").await;
    told(&error, &ErrorKind::Configuration, "the path \"%ff.db\" is not UTF-8 when it is decoded");
}

#[tokio::test]
async fn a_directory_in_the_place_of_the_file_or_none_around_it_is_named() {
    let place = Place::new();
    let directory = place.file().parent().unwrap().to_owned();
    let shown = directory.display();
    let error = refused(&format!("sqlite:{shown}")).await;
    let words = format!("{shown} is a directory: name a file in it, such as {shown}/ermine.db");
    told(&error, &ErrorKind::Configuration, &words);
    let error = SqliteOptions::new(directory.join("nowhere/trips.db")).open().await.unwrap_err();
    let words = format!("there is no directory {shown}/nowhere for {shown}/nowhere/trips.db: create it");
    told(&error, &ErrorKind::Configuration, &words);
}

#[tokio::test]
async fn a_file_of_something_else_is_refused_and_left_alone() {
    let place = Place::new();
    let file = place.file();
    let shown = file.display();
    let letter = "Dear Ada, this is a letter and no database.\n".repeat(100);
    fs::write(&file, &letter).unwrap();
    let error = refused(&format!("sqlite:{shown}")).await;
    let words = format!("opening the store ({shown}): the file is not an SQLite database: name another file");
    told(&error, &ErrorKind::Refused, &words);
    assert_eq!(fs::read_to_string(&file).unwrap(), letter);

    fs::remove_file(&file).unwrap();
    place.sql().execute_batch("create table invoices (id integer)").unwrap();
    let before = fs::read(&file).unwrap();
    let error = refused(&format!("sqlite:{shown}")).await;
    let words =
        format!("{shown} holds \"invoices\", which is not Ermine's: give the store a file of its own");
    told(&error, &ErrorKind::Refused, &words);
    assert!(fs::read(&file).unwrap() == before, "not even its journal mode is changed");

    fs::remove_file(&file).unwrap();
    place.sql().execute_batch("pragma application_id = 7; create table migrations (id integer)").unwrap();
    let before = fs::read(&file).unwrap();
    let error = refused(&format!("sqlite:{shown}")).await;
    let words =
        format!("{shown} belongs to another application (its id is 7): give the store a file of its own");
    told(&error, &ErrorKind::Refused, &words);
    assert!(fs::read(&file).unwrap() == before);

    // Many an application keeps a table of its migrations.
    fs::remove_file(&file).unwrap();
    place.sql().execute_batch("create table migrations (id integer)").unwrap();
    let before = fs::read(&file).unwrap();
    let error = refused(&format!("sqlite:{shown}")).await;
    let words =
        format!("{shown} holds \"migrations\", which is not Ermine's: give the store a file of its own");
    told(&error, &ErrorKind::Refused, &words);
    assert!(fs::read(&file).unwrap() == before);
}

#[tokio::test]
async fn a_table_that_a_stranger_has_made_meanwhile_is_refused_as_well() {
    let place = Place::new();
    let store = place.open().await;
    place.sql().execute_batch("create table invoices (id integer)").unwrap();
    let error = store.migrate(&registration()).await.unwrap_err();
    let words = "the file holds \"invoices\", which is not Ermine's: give the store a file of its own";
    told(&error, &ErrorKind::Refused, words);
    let tables = "select group_concat(name) from sqlite_schema";
    assert_eq!(place.sql().query_row(tables, [], |row| row.get::<_, String>(0)).unwrap(), "invoices");
}

#[tokio::test]
async fn a_store_is_marked_as_one_and_known_without_the_mark() {
    let place = Place::new();
    place.store().await.close().await;
    let mark = |file: &rusqlite::Connection| {
        file.pragma_query_value(None, "application_id", |row| row.get::<_, i32>(0)).unwrap()
    };
    assert_eq!(mark(&place.sql()).to_be_bytes(), *b"Ermn");
    place.sql().pragma_update(None, "application_id", 0).unwrap();
    place.store().await.check(&registration()).await.unwrap();
}

/// The superuser may write to any file, so for him there is nothing to see here.
#[cfg(unix)]
#[tokio::test]
async fn a_file_that_may_only_be_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;

    let place = Place::new();
    place.store().await.close().await;
    let file = place.file();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o444)).unwrap();
    if fs::OpenOptions::new().write(true).open(&file).is_ok() {
        return;
    }
    let shown = file.display();
    let error = refused(&format!("sqlite:{shown}")).await;
    let words = format!(
        "{shown} may only be read: give this process the right to write to the file and its directory"
    );
    told(&error, &ErrorKind::Refused, &words);
}

#[tokio::test]
async fn a_damaged_file_is_refused_with_the_remedy() {
    let place = Place::new();
    let store = place.store().await;
    store.append(batch("trip-1", 500)).await.unwrap();
    store.close().await;
    let mut bytes = fs::read(place.file()).unwrap();
    bytes[4096..].fill(0xaa);
    fs::write(place.file(), bytes).unwrap();
    let shown = place.file().display().to_string();
    let error = match Store::open(&shown).await {
        Ok(store) => store.read_progress().await.unwrap_err(),
        Err(error) => error,
    };
    assert_eq!(*error.kind(), ErrorKind::Refused);
    let words = format!("({shown}): the file is damaged: restore it from a backup");
    assert!(error.to_string().ends_with(&words), "{}", error.chain());
}

#[tokio::test]
async fn a_file_that_another_process_keeps_locked_is_a_passing_fault() {
    let place = Place::new();
    let store = place.store().await;
    store.close().await;
    let store =
        SqliteOptions::new(place.file()).busy_timeout(Duration::from_millis(50)).open().await.unwrap();
    let other = place.sql();
    other.execute_batch("begin immediate").unwrap();
    let error = store.append(batch("trip-1", 1)).await.unwrap_err();
    let shown = place.file().display().to_string();
    let words =
        format!("appending 1 events to stream \"trip-1\" ({shown}): another process keeps the file locked");
    told(&error, &ErrorKind::Transient, &words);
    assert!(store.observe(LEAVE).await.is_ok(), "whoever only reads does not wait");
    other.execute_batch("rollback").unwrap();
    store.append(batch("trip-1", 1)).await.unwrap();
}

#[tokio::test]
async fn a_store_that_is_not_migrated_says_so_everywhere() {
    let place = Place::new();
    let store = place.open().await;
    let told = [
        store.check(&registration()).await.unwrap_err(),
        store.observe(LEAVE).await.unwrap_err(),
        store.append(batch("trip-1", 1)).await.unwrap_err(),
        store.read_progress().await.unwrap_err(),
        store.load_views(&table(), &[key("trip-1")]).await.unwrap_err(),
    ];
    for error in told {
        assert_eq!(*error.kind(), ErrorKind::Refused, "{}", error.chain());
        assert!(error.to_string().contains("migrat"), "{error}");
    }
    // Another process migrates; this one finds out by itself.
    place.store().await;
    store.check(&registration()).await.unwrap();
    store.append(batch("trip-1", 1)).await.unwrap();
}

#[tokio::test]
async fn views_of_a_table_that_nobody_registered_are_refused() {
    let place = Place::new();
    let store = place.store().await;
    let strange = ermine_core::ViewTable::new(ermine_core::ProjectionName::new("Strange").unwrap(), 2);
    let error = store.load_views(&strange, &[key("trip-1")]).await.unwrap_err();
    let words = "there is no table for views of Strange version 2 generation 1: migrate the store again";
    told(&error, &ErrorKind::Refused, words);
}

/// Whose table it is the store cannot know, and the engine looks; one that was never registered it refuses.
#[tokio::test]
async fn an_operation_on_a_table_that_is_not_there_is_refused_with_its_batch() {
    let place = Place::new();
    let store = place.store().await;
    let strange = ViewTable::new(ProjectionName::new("Nobody").unwrap(), 1);
    let filter = field("km").unwrap().ge(7);
    let Operation::Store { key: at, view, .. } = put("a", "{}") else { unreachable!() };
    for operation in [
        Operation::Store { table: strange.clone(), key: at, view },
        Operation::Delete { table: strange.clone(), key: key("a") },
        Operation::DeleteWhere { table: strange.clone(), tenant: TenantId::default(), filter },
    ] {
        let words = "there is no table for views of Nobody version 1 generation 1: migrate the store again";
        let both = next_batch(&store, vec![put("a", "{}"), operation.clone()]).await;
        told(&store.commit(both).await.unwrap_err(), &ErrorKind::Refused, words);
        let inline = batch("s", 1).with_operations(Vec::new(), vec![operation]);
        told(&store.append(inline).await.unwrap_err(), &ErrorKind::Refused, words);
    }
    assert_eq!(store.load_views(&table(), &[key("a")]).await.unwrap(), [None]);
    assert_eq!(store.observe(LEAVE).await.unwrap().highest_visible, Seq::ZERO);
}

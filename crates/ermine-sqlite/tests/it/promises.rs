//! `check` refuses a store whose promises do not hold, and names the remedy.

use ermine_core::{
    ErrorKind,
    ports::{EventAppender, ProgressStore, SchemaAdmin},
};

use crate::common::{Place, batch, log, registration, shard};

/// Breaks a store with `sql`, and expects `check` to say `told`.
async fn broken(sql: &str, told: &[&str]) {
    let place = Place::new();
    let store = place.store().await;
    store.append(batch("trip-1", 3)).await.unwrap();
    store.take_shards(&[shard()]).await.unwrap();
    place.sql().execute_batch(sql).unwrap();
    let error = store.check(&registration()).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Refused, "{error}");
    for told in told {
        assert!(error.to_string().contains(told), "{sql}: {error}");
    }
}

#[tokio::test]
async fn a_store_that_keeps_them_passes_with_what_was_seen() {
    let place = Place::new();
    let store = place.store().await;
    store.append(batch("trip-1", 3)).await.unwrap();
    let checks = store.check(&registration()).await.unwrap();
    assert_eq!(checks.len(), 8, "{checks:#?}");
    assert!(checks.iter().any(|check| check.detail == "last number 3, highest event 3"), "{checks:#?}");
}

#[tokio::test]
async fn numbers_that_would_be_given_again_are_refused() {
    let told = [
        "no event is above the last number (last number 1, highest event 3)",
        "update sqlite_sequence set seq",
    ];
    broken("update sqlite_sequence set seq = 1 where name = 'events'", &told).await;
}

#[tokio::test]
async fn progress_above_the_last_number_is_refused() {
    let told = ["progress is not above the last number (progress 7, last number 3)", "empty the views"];
    broken("update progress set seq = 7", &told).await;
}

#[tokio::test]
async fn a_store_without_its_incarnation_is_refused() {
    broken("delete from meta", &["the store knows its incarnation (0 rows in meta)", "restore the file"])
        .await;
}

#[tokio::test]
async fn a_missing_table_for_views_is_refused() {
    let told = ["the table for views of trip version 1 generation 1 is not there", "run the migration"];
    broken("drop table view_trip_v1_g1", &told).await;
}

#[tokio::test]
async fn another_file_in_the_same_place_is_refused() {
    let place = Place::new();
    let store = place.store().await;
    let away = place.file().with_extension("away");
    std::fs::rename(place.file(), &away).unwrap();
    let remedy = "the file was removed or another one was put in its place: start the application again";
    let error = store.check(&registration()).await.unwrap_err().to_string();
    assert!(error.contains("not so: the file is where it was opened") && error.ends_with(remedy), "{error}");
    std::fs::copy(&away, place.file()).unwrap();
    assert!(store.check(&registration()).await.unwrap_err().to_string().ends_with(remedy));
    std::fs::rename(&away, place.file()).unwrap();
    store.check(&registration()).await.unwrap();
}

#[tokio::test]
async fn nothing_is_written_to_a_file_that_is_no_longer_there() {
    let (place, other) = (Place::new(), Place::new());
    let store = place.store().await;
    store.append(batch("trip-1", 3)).await.unwrap();
    let away = place.file().with_extension("away");
    std::fs::hard_link(place.file(), &away).unwrap();
    other.store().await.close().await;
    std::fs::rename(other.file(), place.file()).unwrap();
    let error = store.append(batch("trip-1", 1)).await.unwrap_err();
    let words = format!(
        "{} was removed, or another file was put in its place: start the application again",
        place.file().display()
    );
    assert_eq!((error.kind(), error.to_string()), (&ErrorKind::Refused, words));
    std::fs::rename(&away, place.file()).unwrap();
    store.append(batch("trip-1", 1)).await.unwrap();
    assert_eq!(log(&store).await.len(), 4, "the one that was refused is not there");
}

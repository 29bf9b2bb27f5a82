//! What is left when everybody has gone.

use ermine_core::{
    ErrorKind, ExpectedVersion, Seq, Version,
    ports::{EventAppender, HighWaterSource, ProgressStore, SchemaAdmin, Store as _, ViewStore},
};

use crate::common::{
    LEAVE, Place, batch, batch_expecting, key, log, next_batch, observe, put, registration, table,
};

#[tokio::test]
async fn reopening_keeps_everything() {
    let place = Place::new();
    let store = place.store().await;
    store.append(batch("trip-1", 3)).await.unwrap();
    store.commit(next_batch(&store, vec![put("trip-1", "{\"km\":6}")]).await).await.unwrap();
    store
        .stream_admin()
        .unwrap()
        .archive_stream(&"".try_into().unwrap(), &"trip-1".try_into().unwrap())
        .await
        .unwrap();
    let before = (
        log(&store).await,
        store.read_progress().await.unwrap(),
        store.load_views(&table(), &[key("trip-1")]).await.unwrap(),
        observe(&store).await.incarnation,
    );
    store.close().await;

    let store = place.open().await;
    store.check(&registration()).await.unwrap();
    let after = (
        log(&store).await,
        store.read_progress().await.unwrap(),
        store.load_views(&table(), &[key("trip-1")]).await.unwrap(),
        observe(&store).await.incarnation,
    );
    assert_eq!(after, before);
    let refused = store.append(batch("trip-1", 1)).await.unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::Archived { .. }));
    assert_eq!(store.append(batch("trip-2", 1)).await.unwrap().position().seq(), Seq::new(5));
}

#[tokio::test]
async fn closing_leaves_one_file_that_can_be_copied() {
    let place = Place::new();
    let store = place.store().await;
    store.append(batch("trip-1", 3)).await.unwrap();
    store.close().await;
    let directory = place.file().parent().unwrap().to_owned();
    let files = std::fs::read_dir(directory).unwrap().map(|file| file.unwrap().file_name());
    assert_eq!(files.collect::<Vec<_>>(), ["trips.db"], "the write-ahead log is part of the file now");
}

#[tokio::test]
async fn closing_one_of_two_clones_leaves_the_other_at_work() {
    let place = Place::new();
    let store = place.store().await;
    store.clone().close().await;
    store.append(batch("trip-1", 1)).await.unwrap();
    assert_eq!(store.observe(LEAVE).await.unwrap().last, Seq::new(1));
}

#[tokio::test]
async fn numbers_are_not_given_again_although_the_last_events_are_gone() {
    let place = Place::new();
    let store = place.store().await;
    store.append(batch("trip-1", 3)).await.unwrap();
    store.close().await;
    place.sql().execute_batch("delete from events where seq > 1; update streams set version = 1").unwrap();
    let store = place.open().await;
    let seen = observe(&store).await;
    assert_eq!((seen.last, seen.highest_visible), (Seq::new(3), Seq::new(1)));
    let next = store.append(batch_expecting("trip-1", 1, ExpectedVersion::Exact(Version::new(1))));
    assert_eq!(next.await.unwrap().position().seq(), Seq::new(4));
}

//! When the store says that it may have lost something.

use ermine_core::{
    ErrorKind, Incarnation,
    ports::{EventAppender, ViewStore},
};
use ermine_sqlite::{SqliteOptions, Synchronous};

use crate::common::{Place, batch, next_batch, observe, registration};

/// The incarnation that a process sees which opens the file in this way.
async fn seen_with(place: &Place, synchronous: Synchronous) -> Incarnation {
    let store = SqliteOptions::new(place.file()).synchronous(synchronous).open().await.unwrap();
    ermine_core::ports::SchemaAdmin::migrate(&store, &registration()).await.unwrap();
    let incarnation = observe(&store).await.incarnation;
    store.close().await;
    incarnation
}

/// The machine loses its power and is started again.
fn boot_again(place: &Place) {
    let sql = "update meta set boot = 'the boot before' where boot is not null";
    place.sql().execute_batch(sql).unwrap();
}

#[tokio::test]
async fn a_power_loss_takes_nothing_from_whoever_waits_for_the_disk() {
    let place = Place::new();
    let first = seen_with(&place, Synchronous::Full).await;
    boot_again(&place);
    assert_eq!(seen_with(&place, Synchronous::Full).await, first);
    assert_eq!(seen_with(&place, Synchronous::Normal).await, first, "nobody has been at risk so far");
}

#[tokio::test]
async fn a_power_loss_begins_another_incarnation_where_somebody_did_not_wait() {
    for risky in [Synchronous::Normal, Synchronous::Off] {
        for next in [Synchronous::Full, Synchronous::Normal, Synchronous::Off] {
            let place = Place::new();
            let first = seen_with(&place, Synchronous::Full).await;
            assert_eq!(seen_with(&place, risky).await, first);
            assert_eq!(seen_with(&place, next).await, first, "in the same boot nothing can be lost");
            boot_again(&place);
            let after = seen_with(&place, next).await;
            assert_ne!(after, first, "{risky:?}, then {next:?}");
            assert_eq!(seen_with(&place, next).await, after, "it changes once");
        }
    }
}

#[tokio::test]
async fn the_risk_is_noted_before_the_first_commit_although_another_process_made_the_store() {
    let place = Place::new();
    let risky = place.open().await;
    let first = seen_with(&place, Synchronous::Full).await;
    risky.append(batch("trip-1", 1)).await.unwrap();
    risky.close().await;
    boot_again(&place);
    assert_ne!(seen_with(&place, Synchronous::Full).await, first);
}

#[tokio::test]
async fn whoever_knows_an_older_incarnation_is_sent_back() {
    let place = Place::new();
    let store = place.store().await;
    let batch = next_batch(&store, vec![]).await;
    store.close().await;
    boot_again(&place);
    let store = place.open().await;
    assert_eq!(*store.commit(batch).await.unwrap_err().kind(), ErrorKind::Rewound);
}

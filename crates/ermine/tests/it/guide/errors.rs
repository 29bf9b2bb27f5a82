//! The samples of `docs/src/errors.md`.

use std::{sync::Arc, time::Duration};

use ermine::{
    core::{LetterQuery, Projected, SingleStream},
    daemon::Retried,
    policy::{of_type, pause, retry_later, skip},
    prelude::*,
};
use ermine_memory::MemoryStore;

use super::{Trip, TripEvent, trips};

// ANCHOR: rules
/// A rate that nobody has quoted yet.
#[derive(Debug, thiserror::Error)]
#[error("there is no rate for {0}")]
struct NoRate(String);

fn patient_trips() -> Projected<SingleStream<Trip>> {
    let ms = Duration::from_millis;
    trips()
        .on_error(
            ErrorClass::Apply.and(of_type::<NoRate>()),
            retry_later([ms(50), ms(250), ms(500)]).then(pause(Duration::from_secs(60))),
        )
        .on_error(ErrorClass::Apply, skip())
}
// ANCHOR_END: rules

// ANCHOR: park
fn trips_in_order() -> Projected<SingleStream<Trip>> {
    trips().dead_letters(DeadLetters::park())
}
// ANCHOR_END: park

// ANCHOR: retry
async fn retry_all(ermine: &Ermine) -> ermine::Result<Retried> {
    let letters = ermine.dead_letters()?;
    for letter in letters.list(LetterQuery::default()).await? {
        println!("{}: {}", letter.id, letter.error);
    }
    let retry = letters.retry(LetterQuery::default(), "ada").await?;
    println!("{retry}"); // Trip:All: 1 parked events and what waits behind them, in order
    retry.run(Duration::from_secs(60)).await
}
// ANCHOR_END: retry

#[tokio::test]
async fn the_rules_of_a_projection_come_first() {
    let store = Arc::new(MemoryStore::new());
    let ermine = Ermine::with_store(store).project(patient_trips()).start().await.unwrap();
    let table = ermine.errors_of(&"Trip:All".parse().unwrap()).unwrap().to_string();
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("continuous: apply, of type "), "{table}");
    assert!(
        lines[0].ends_with("NoRate: retry after 50ms, 250ms, 500ms, then pause for 60s (projection)"),
        "{table}"
    );
    assert_eq!(lines[1], "continuous: apply: skip (projection)");
}

#[tokio::test]
async fn letters_are_listed_and_retried() {
    let store = Arc::new(MemoryStore::new());
    let host = Ermine::with_store(store).project(trips_in_order()).daemon(DaemonMode::Solo);
    let ermine = host.start().await.unwrap();
    let appended = ermine.append("trip-1", [TripEvent::Travelled { km: 1.0 }]).await.unwrap();
    ermine.wait_for(appended.position()).await.unwrap();
    assert_eq!(retry_all(&ermine).await.unwrap_err().to_string(), "no dead letter waits that matches");
    assert_eq!(NoRate("EUR".into()).to_string(), "there is no rate for EUR");
}

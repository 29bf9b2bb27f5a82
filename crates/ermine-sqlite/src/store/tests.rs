use std::{sync::mpsc, time::Duration};

use ermine_core::{
    Bell, Observe, Seq,
    ports::{HighWaterSource, Registration, SchemaAdmin},
};

use super::*;

#[tokio::test]
async fn a_query_that_takes_long_does_not_keep_the_daemon_waiting() {
    let directory = tempfile::tempdir().unwrap();
    let options = SqliteOptions::new(directory.path().join("trips.db")).readers(1);
    let store = options.open().await.unwrap();
    store.migrate(&Registration::default()).await.unwrap();
    let (end, ended) = mpsc::channel::<()>();
    let long = store.ask(String::new, move |_| Ok(ended.recv().is_err()));
    let look = async {
        let request = Observe { mark: Seq::ZERO, bell: Bell::Leave };
        let seen = tokio::time::timeout(Duration::from_secs(30), store.observe(request)).await;
        drop(end);
        seen.unwrap().unwrap();
    };
    let (long, ()) = tokio::join!(long, look);
    assert!(long.unwrap(), "it has waited until it was told to end");
}

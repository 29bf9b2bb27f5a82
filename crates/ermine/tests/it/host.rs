//! The host over a store in memory.

use std::{
    io::Write,
    sync::{Arc, Mutex},
    time::Duration,
};

use ermine::{Ermine, ErrorKind, prelude::*};
use ermine_memory::MemoryStore;

use crate::trips::{Trip, TripEvent, started, travelled, trip};

fn trips(store: &MemoryStore) -> ermine::ErmineBuilder {
    Ermine::with_store(Arc::new(store.clone())).project(single_stream::<Trip>("Trip"))
}

fn journey() -> [TripEvent; 2] {
    [started("ada"), travelled(12)]
}

#[tokio::test]
async fn what_was_appended_can_be_read_once_it_has_been_waited_for() {
    let ermine = trips(&MemoryStore::new()).daemon(DaemonMode::Solo).start().await.unwrap();
    let appended = ermine.append("trip-1", journey()).await.unwrap();
    ermine.wait_for(appended.position()).await.unwrap();
    assert_eq!(ermine.load::<Trip>("trip-1").await.unwrap(), Some(trip("ada", 12)));
    assert_eq!(ermine.load::<Trip>("trip-2").await.unwrap(), None);
    ermine.stop().await.unwrap();
}

#[tokio::test]
async fn the_daemon_is_opt_in_and_its_absence_is_warned_of_once() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).finish();
    let logging = tracing::subscriber::set_default(subscriber);
    let store = MemoryStore::new();
    let ermine = trips(&store).start().await.unwrap();
    let appended = ermine.append("trip-1", journey()).await.unwrap();
    let timed_out = ermine.wait_for_within(appended.position(), Duration::from_millis(20)).await.unwrap_err();
    drop(logging);

    assert_eq!(*timed_out.kind(), ErrorKind::TimedOut);
    let said = timed_out.to_string();
    assert_eq!(
        said,
        "waited 20ms for position 2: Trip:All is at 0; no daemon runs in this process, so another one has to"
    );
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert_eq!(log.matches("no daemon runs here").count(), 1, "{log}");
    assert!(log.contains("add .daemon(DaemonMode::Solo)"), "{log}");

    // Another process, so to speak, brings the views up to date.
    let other = trips(&store.node()).daemon(DaemonMode::Solo).start().await.unwrap();
    ermine.wait_for(appended.position()).await.unwrap();
    assert!(ermine.load::<Trip>("trip-1").await.unwrap().is_some());
    other.stop().await.unwrap();
}

/// Collects what is logged.
#[derive(Clone, Debug, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> tracing_subscriber::fmt::MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

//! kill -9 in the middle of the work, and what is left.

use std::{collections::HashMap, num::NonZeroUsize};

use ermine_core::{
    Event, LetterQuery, Seq, ViewQuery,
    ports::{DeadLetterStore, ProgressStore, SchemaAdmin, ViewStore},
};
use ermine_sqlite::{Store, Synchronous};
use ermine_testkit::eventually;

use crate::{
    child::{Child, Duty, acknowledged, is_refused},
    common::{DEADLINE, Place, behind, log, observe, registration, shard, table},
    nodes::is_without_holes,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_and_nothing_is_half_done_when_the_process_is_killed() {
    let place = Place::new();
    let first = place.store().await;
    let incarnation = observe(&first).await.incarnation;
    first.close().await;
    let mut events = 0;
    for round in 0..6 {
        let synchronous = if round % 2 == 0 { Synchronous::Full } else { Synchronous::Normal };
        let child = Child::start(&place, Duty::Work { synchronous });
        // Somebody else has the file open, or nobody has, so that the next one has to recover it.
        let witness = place.open().await;
        let goal = events + 40 + 7 * round;
        eventually(DEADLINE, || async { progress(&witness).await >= goal }).await;
        let witness = (round % 3 != 0).then_some(witness);
        child.kill();
        let store = place.open().await;
        events = agree(&store, &place).await;
        assert_eq!(observe(&store).await.incarnation, incarnation, "nothing was lost");
        drop(witness);
    }
}

async fn progress(store: &Store) -> u64 {
    let progress = store.read_progress().await.unwrap();
    progress.first().map_or(0, |progress| progress.seq.get())
}

/// Looks that log, streams, views, letters and progress say the same; how many events there are.
async fn agree(store: &Store, place: &Place) -> u64 {
    store.check(&registration()).await.unwrap();
    let found: String = place.sql().query_row("pragma integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(found, "ok");
    let log = log(store).await;
    is_without_holes(&log);
    let miscounted = "select count(*) from streams s where version <> (
                        select count(*) from events e where e.tenant = s.tenant and e.stream_id = s.stream_id)";
    assert_eq!(place.sql().query_row(miscounted, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
    for id in acknowledged(place) {
        assert!(log.iter().any(|event| *event.id.as_uuid() == id), "event {id} was acknowledged and is gone");
    }
    let progress = progress(store).await;
    let applied: HashMap<&str, &Event> = log
        .iter()
        .filter(|event| event.seq.get() <= progress)
        .map(|event| (event.stream.as_str(), event))
        .collect();
    let views = store.query(ViewQuery::new(table(), NonZeroUsize::MAX)).await.unwrap();
    assert_eq!(views.len(), applied.len(), "views at progress {progress}");
    for (id, view) in views {
        let last = applied[id.as_str()];
        assert_eq!((view.version, view.seq), (last.version, last.seq), "view {id} at progress {progress}");
    }
    let refused: Vec<Seq> =
        log.iter().map(|event| event.seq).filter(|seq| seq.get() <= progress && is_refused(*seq)).collect();
    let letters = store.letters(LetterQuery::default()).await.unwrap();
    let letters: Vec<Seq> = letters.into_iter().map(|letter| letter.id.seq).collect();
    assert_eq!(letters, refused, "letters at progress {progress}");
    let parked = store.parked(&shard(), &behind(), Seq::ZERO, NonZeroUsize::MAX).await.unwrap();
    assert_eq!(parked, refused, "parked events at progress {progress}");
    log.len() as u64
}

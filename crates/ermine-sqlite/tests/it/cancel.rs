//! Futures dropped at every point: nothing is half done, and nobody is in the way afterwards.

use ermine_core::{
    Error, Seq,
    ports::{EventAppender, EventReader, HighWaterSource, ProgressStore, SchemaAdmin, ViewStore},
};
use ermine_testkit::poll_times;

use crate::common::{LEAVE, Place, batch, key, log, next_batch, put, registration, shard, stream, table};

/// Enough for a call to be dropped before it was queued, before it was answered, and not at all.
const POLLS: usize = 6;

#[tokio::test]
async fn a_dropped_commit_is_done_as_a_whole_or_not_at_all() {
    let place = Place::new();
    let store = place.store().await;
    let mut finished = 0;
    for polls in (0..POLLS).cycle().take(60) {
        let mut batch = next_batch(&store, vec![]).await;
        let to = batch.to;
        batch.operations = vec![put("trip-1", &to.to_string()), put("trip-2", &to.to_string())];
        finished += usize::from(poll_times(polls, store.commit(batch)).await.is_some());
        // Waits for whatever is still on its way.
        store.take_shards(&[shard()]).await.unwrap();
        let progress = store.read_progress().await.unwrap().remove(0).seq;
        let views = store.load_views(&table(), &[key("trip-1"), key("trip-2")]).await.unwrap();
        for view in views {
            let shown: u64 = view.map_or(0, |view| view.body.decode().unwrap());
            assert_eq!(shown, progress.get(), "after {polls} polls");
        }
    }
    assert!(finished > 0);
}

#[tokio::test]
async fn a_dropped_append_is_recorded_as_a_whole_or_not_at_all() {
    let place = Place::new();
    let store = place.store().await;
    for nth in 0..60 {
        let id = format!("trip-{nth}");
        let finished = poll_times(nth % POLLS, store.append(batch(&id, 3))).await;
        store.append(batch("after", 1)).await.unwrap();
        let events = log(&store).await.iter().filter(|event| event.stream == stream(&id)).count();
        assert!(events == 0 || events == 3, "{events} after {} polls", nth % POLLS);
        assert!(events == 3 || finished.is_none());
    }
}

#[tokio::test]
async fn dropped_readings_leave_the_store_as_it_was() {
    let place = Place::new();
    let store = place.store().await;
    store.append(batch("trip-1", 2000)).await.unwrap();
    for polls in 0.. {
        let all = async {
            let events = log(&store).await.len();
            store
                .read_stream(
                    &"".try_into()?,
                    &stream("trip-1"),
                    ermine_core::Version::ZERO,
                    std::num::NonZeroUsize::MAX,
                )
                .await?;
            store.statistics().await?;
            store.migrate(&registration()).await?;
            Ok::<_, Error>((events, store.observe(LEAVE).await?.last))
        };
        if let Some(read) = poll_times(polls, all).await {
            assert_eq!(read.unwrap(), (2000, Seq::new(2000)));
            break;
        }
    }
}

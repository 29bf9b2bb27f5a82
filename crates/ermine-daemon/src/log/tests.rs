use ermine_core::{
    AppendBatch, Bell, Body, NewEvent, Observe, StreamAppend, TypeName,
    ports::{EventAppender, HighWaterSource},
};
use ermine_memory::{Call, MemoryStore};

use super::*;

/// More than anything here needs, on a clock that stands still while anybody works.
const FOR_EVER: Duration = Duration::from_secs(3600);

fn legs() -> TypeName {
    TypeName::new("legs").unwrap()
}

/// A log of `events` events in pages of at most `page_events`.
struct Fixture {
    store: MemoryStore,
    log: Arc<Log>,
    incarnation: Incarnation,
    page_events: NonZeroUsize,
}

impl Fixture {
    async fn new(events: u64, page_events: usize) -> Self {
        let store = MemoryStore::new();
        for n in 0..events {
            let event = NewEvent::new(legs(), Body::encode(&n).unwrap());
            let stream = StreamAppend::new("a".parse().unwrap(), vec![event]);
            store.append(AppendBatch::new().stream(stream)).await.unwrap();
        }
        let observation = store.observe(Observe { mark: Seq::ZERO, bell: Bell::Leave }).await.unwrap();
        let page_events = NonZeroUsize::new(page_events).unwrap();
        let settings = Settings { page_events_max: page_events, ..Settings::default() };
        let all = EventFilter::new([legs()], [legs()]);
        let log = Arc::new(Log::new(Arc::new(store.clone()), &settings, all));
        Self { store, log, incarnation: observation.incarnation, page_events }
    }

    fn reader(&self, position: u64) -> LogReader {
        self.log.reader(Seq::new(position))
    }

    /// Reads `(floor, ceiling]`, and says up to where it was read.
    async fn read(&self, reader: &LogReader, floor: u64, ceiling: u64) -> u64 {
        let request = PageRequest {
            range: EventRange::new(Seq::new(floor), Seq::new(ceiling)).unwrap(),
            filter: EventFilter::new([legs()], [legs()]),
            events_max: self.page_events,
            bytes_max: usize::MAX,
            incarnation: self.incarnation,
        };
        let page =
            tokio::time::timeout(FOR_EVER, reader.next(request)).await.expect("it does not wait for ever");
        page.unwrap().range.ceiling().get()
    }
}

#[tokio::test(start_paused = true)]
async fn a_shared_read_far_behind_does_not_hold_the_head() {
    let fixture = Fixture::new(100, 2).await;
    let (first, _second, head) = (fixture.reader(0), fixture.reader(0), fixture.reader(99));
    let stalled = fixture.store.faults().stall(Call::LoadPage, 1);
    let at_the_head = async {
        stalled.reached().await;
        assert!(fixture.log.state().reading.is_some(), "two that are far behind share a read");
        fixture.read(&head, 99, 100).await
    };
    tokio::select! {
        biased;
        _ = fixture.read(&first, 0, 100) => panic!("its read stands still"),
        read = at_the_head => assert_eq!(read, 100),
    }
}

#[tokio::test(start_paused = true)]
async fn small_pages_that_a_slow_shard_has_not_taken_do_not_hold_the_others() {
    let fixture = Fixture::new(40, 100).await;
    let (fast, slow) = (fixture.reader(0), fixture.reader(0));
    let began = Instant::now();
    for n in 0..40 {
        assert_eq!(fixture.read(&fast, n, n + 1).await, n + 1);
    }
    assert_eq!(Instant::now(), began, "it waited for a shard that does not come");
    assert_eq!(fixture.log.reads(), 40);
    for n in 0..40 {
        assert_eq!(fixture.read(&slow, n, 40).await, n + 1);
    }
    assert_eq!(fixture.log.reads(), 40, "the slow one still takes what has been read");
}

#[tokio::test(start_paused = true)]
async fn the_head_keeps_no_pages_for_a_shard_that_is_far_behind() {
    let fixture = Fixture::new(100, 2).await;
    // Nobody is ahead of the first, so it is not known to be behind.
    let _behind = fixture.reader(0);
    let head = [fixture.reader(60), fixture.reader(60)];
    let began = Instant::now();
    for n in (60..100).step_by(2) {
        for reader in &head {
            assert_eq!(fixture.read(reader, n, 100).await, n + 2);
        }
    }
    assert_eq!(Instant::now(), began, "the head waited for a shard that is far behind");
}

#[tokio::test(start_paused = true)]
async fn full_pages_are_kept_for_a_slow_shard_for_a_while_and_then_no_more() {
    let fixture = Fixture::new(40, 2).await;
    let (fast, slow) = (fixture.reader(0), fixture.reader(0));
    let began = Instant::now();
    for n in (0..40).step_by(2) {
        assert_eq!(fixture.read(&fast, n, 40).await, n + 2);
    }
    assert_eq!(Instant::now(), began + LEAVE_BEHIND, "it is waited for once");
    assert_eq!(fixture.read(&slow, 0, 40).await, 2);
}

//! Reading the log once for several shards.

use std::{
    collections::{HashMap, VecDeque},
    num::NonZeroUsize,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ermine_core::{
    Admission, EventFilter, EventPage, EventRange, Incarnation, PageRequest, Result, Seq, UnknownEvent,
    ports::Store,
};
use tokio::sync::Notify;

use crate::Settings;

/// How many pages are kept for shards that have not read them yet.
const PAGES_MAX: usize = 4;
/// How long the first shard waits for the others before it goes on without them.
const LEAVE_BEHIND: Duration = Duration::from_millis(100);

/// Reads pages for the shards of a daemon.
///
/// Shards that are close to each other share reads: the first to need a page reads it with the types that any of them
/// wants, and the others take their events out of it. A shard that is alone in its part of the log reads only what it wants.
#[derive(Debug)]
pub(crate) struct Log {
    store: Arc<dyn Store>,
    all: EventFilter,
    events_max: NonZeroUsize,
    bytes_max: usize,
    reads: AtomicU64,
    state: Mutex<State>,
    moved: Notify,
}

#[derive(Debug, Default)]
struct State {
    readers: HashMap<u64, Reader>,
    next_reader: u64,
    incarnation: Option<Incarnation>,
    pages: VecDeque<Arc<EventPage>>,
    /// Where a shared read that is under way begins.
    reading: Option<Seq>,
}

#[derive(Clone, Copy, Debug)]
struct Reader {
    /// Everything at or below it has been read.
    position: Seq,
    /// Whether the others wait for it.
    in_step: bool,
}

impl Log {
    pub(crate) fn new(store: Arc<dyn Store>, settings: &Settings, all: EventFilter) -> Self {
        Self {
            store,
            all,
            events_max: settings.page_events_max,
            bytes_max: settings.page_bytes_max,
            reads: AtomicU64::new(0),
            state: Mutex::default(),
            moved: Notify::new(),
        }
    }

    /// How many pages have been read from the store.
    pub(crate) fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    /// A shard begins to read.
    pub(crate) fn reader(self: &Arc<Self>, position: Seq) -> LogReader {
        let mut state = self.state();
        let id = state.next_reader;
        state.next_reader += 1;
        state.readers.insert(id, Reader { position, in_step: true });
        LogReader { log: self.clone(), id }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn load(&self, request: PageRequest) -> Result<EventPage> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.store.load_page(request).await
    }
}

/// One shard's way to the log. Dropping it lets the others go on without.
#[derive(Debug)]
pub(crate) struct LogReader {
    log: Arc<Log>,
    id: u64,
}

impl Drop for LogReader {
    fn drop(&mut self) {
        self.log.state().readers.remove(&self.id);
        self.log.moved.notify_waiters();
    }
}

/// What a reader does next.
enum Step {
    Take(Arc<EventPage>),
    /// Somebody else is about to read what it needs, or has not taken what was read.
    Wait {
        for_others: bool,
    },
    ReadShared,
    ReadAlone,
}

impl LogReader {
    /// The next page of the log for this shard.
    pub(crate) async fn next(&self, request: PageRequest) -> Result<EventPage> {
        let mut waited = false;
        loop {
            let moved = self.log.moved.notified();
            let mut moved = std::pin::pin!(moved);
            moved.as_mut().enable();
            match self.step(&request, waited) {
                Step::Take(page) => {
                    let page = match cut(&page, &request) {
                        Some(page) => page,
                        None => self.log.load(request).await?,
                    };
                    return Ok(self.read(page));
                }
                Step::Wait { for_others } => {
                    waited = tokio::time::timeout(LEAVE_BEHIND, moved).await.is_err() && for_others;
                }
                Step::ReadShared => self.read_shared(&request).await?,
                Step::ReadAlone => return self.log.load(request).await.map(|page| self.read(page)),
            }
        }
    }

    /// Lets the others know how far this shard has read.
    fn read(&self, page: EventPage) -> EventPage {
        if let Some(reader) = self.log.state().readers.get_mut(&self.id) {
            reader.position = page.range.ceiling();
        }
        self.log.moved.notify_waiters();
        page
    }

    fn step(&self, request: &PageRequest, waited: bool) -> Step {
        let mut state = self.log.state();
        let floor = request.range.floor();
        if state.incarnation != Some(request.incarnation) {
            state.incarnation = Some(request.incarnation);
            state.pages.clear();
        }
        if request.filter.stream_type().is_some() {
            return Step::ReadAlone; // events do not say what type their stream has
        }
        let covering =
            state.pages.iter().find(|p| p.range.floor() <= floor && floor < p.range.ceiling()).cloned();
        let is_ahead = state.readers.values().all(|other| other.position <= floor);
        if let Some(reader) = state.readers.get_mut(&self.id) {
            reader.position = floor;
            reader.in_step |= is_ahead || covering.is_some();
        }
        state.drop_read_pages();
        if let Some(page) = covering {
            return Step::Take(page);
        }
        if state.reading.is_some_and(|reading| reading <= floor) {
            return Step::Wait { for_others: false };
        }
        let window = u64::try_from(self.log.events_max.get() * PAGES_MAX).unwrap_or(u64::MAX);
        let others = state.readers.iter().filter(|(id, reader)| {
            **id != self.id
                && reader.in_step
                && reader.position <= floor
                && floor.since(reader.position) <= window
        });
        if others.count() == 0 {
            return Step::ReadAlone;
        }
        if state.pages.len() >= PAGES_MAX {
            if !waited {
                return Step::Wait { for_others: true };
            }
            state.leave_behind();
        }
        state.reading = Some(floor);
        Step::ReadShared
    }

    async fn read_shared(&self, request: &PageRequest) -> Result<()> {
        let under_way = UnderWay { log: &self.log };
        let shared = PageRequest {
            filter: self.log.all.clone(),
            events_max: self.log.events_max,
            bytes_max: self.log.bytes_max,
            ..request.clone()
        };
        let page = self.log.load(shared).await?;
        let mut state = self.log.state();
        if state.incarnation == Some(request.incarnation) {
            state.pages.push_back(Arc::new(page));
        }
        drop(state);
        drop(under_way);
        Ok(())
    }
}

/// A shared read; when it ends, however it does, the others look again.
struct UnderWay<'l> {
    log: &'l Log,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.log.state().reading = None;
        self.log.moved.notify_waiters();
    }
}

impl State {
    /// Drops pages that every reader in step has read.
    fn drop_read_pages(&mut self) {
        let readers = &self.readers;
        self.pages.retain(|page| {
            readers.values().any(|reader| reader.in_step && reader.position < page.range.ceiling())
        });
    }

    /// Goes on without the readers that have not read the oldest page.
    fn leave_behind(&mut self) {
        if let Some(oldest) = self.pages.pop_front() {
            for reader in self.readers.values_mut().filter(|r| r.position < oldest.range.ceiling()) {
                reader.in_step = false;
            }
        }
    }
}

/// The part of a shared page that was asked for; `None` where only the store can tell.
fn cut(page: &EventPage, request: &PageRequest) -> Option<EventPage> {
    let floor = request.range.floor();
    let ceiling = page.range.ceiling().min(request.range.ceiling());
    let covered = EventRange::new(floor, ceiling)?;
    if page.skipped.iter().any(|event| covered.contains(event.seq)) {
        return None; // it does not say which types were skipped
    }
    let inside = |seq: Seq| covered.contains(seq);
    let mut part = EventPage::empty(covered);
    let mut unknown = page.unknown.iter().filter(|event| inside(event.seq)).peekable();
    let mut bytes = 0;
    let is_full = |part: &EventPage, bytes: usize| {
        part.events.len() + part.unknown.len() >= request.events_max.get() || bytes >= request.bytes_max
    };
    for event in page.events.iter().filter(|event| inside(event.seq)) {
        while let Some(earlier) = unknown.next_if(|unknown| unknown.seq < event.seq) {
            take_unknown(&mut part, earlier);
            if is_full(&part, bytes) {
                return Some(ending_at(part, earlier.seq));
            }
        }
        if request.filter.admit(&event.type_name) == Admission::Wanted {
            bytes += event.body.len();
            part.events.push(event.clone());
            if is_full(&part, bytes) {
                return Some(ending_at(part, event.seq));
            }
        }
    }
    for later in unknown {
        take_unknown(&mut part, later);
        if is_full(&part, bytes) {
            return Some(ending_at(part, later.seq));
        }
    }
    Some(part)
}

fn take_unknown(part: &mut EventPage, event: &UnknownEvent) {
    part.unknown.push(event.clone());
}

fn ending_at(mut part: EventPage, last: Seq) -> EventPage {
    part.range = EventRange::new(part.range.floor(), last).unwrap_or(part.range);
    part
}

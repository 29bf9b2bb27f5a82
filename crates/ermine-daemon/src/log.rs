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
use tokio::{sync::Notify, time::Instant};

use crate::Settings;

/// How many full pages' events are kept for shards that have not read them yet. It is also how far a shard may be behind
/// another for the two to be in step.
const PAGES_MAX: usize = 4;
/// How many pages are kept at most, however small.
const SMALL_PAGES_MAX: usize = 64;
/// How long a page is kept for shards that do not come for it, when there are too many.
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
    pages: VecDeque<Kept>,
    /// Where a shared read that is under way begins.
    reading: Option<Seq>,
}

/// A page that several shards want.
#[derive(Debug)]
struct Kept {
    page: Arc<EventPage>,
    since: Instant,
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
        // One that is far behind the others is not waited for.
        let window = self.window();
        let is_near = |reader: &Reader| !reader.in_step || reader.position.since(position) <= window;
        let in_step = state.readers.values().all(is_near);
        state.readers.insert(id, Reader { position, in_step });
        LogReader { log: self.clone(), id }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many numbers apart two shards in step may be.
    fn window(&self) -> u64 {
        u64::try_from(self.events_max.get() * PAGES_MAX).unwrap_or(u64::MAX)
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
    /// Somebody else is about to read what it needs, or has not taken what was read: until then, at the latest.
    Wait(Instant),
    ReadShared,
    ReadAlone,
}

impl LogReader {
    /// The next page of the log for this shard.
    pub(crate) async fn next(&self, request: PageRequest) -> Result<EventPage> {
        loop {
            let moved = self.log.moved.notified();
            let mut moved = std::pin::pin!(moved);
            moved.as_mut().enable();
            match self.step(&request) {
                Step::Take(page) => {
                    let page = match cut(&page, &request) {
                        Some(page) => page,
                        None => self.log.load(request).await?,
                    };
                    return Ok(self.read(page));
                }
                Step::Wait(until) => {
                    // Late or not, it looks again.
                    let _ = tokio::time::timeout_at(until, moved).await;
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

    fn step(&self, request: &PageRequest) -> Step {
        let mut state = self.log.state();
        let (floor, window) = (request.range.floor(), self.log.window());
        if state.incarnation != Some(request.incarnation) {
            state.incarnation = Some(request.incarnation);
            state.pages.clear();
        }
        // Events do not say what type their stream has.
        let reads_alone = request.filter.stream_type().is_some();
        let covering = state.pages.iter().rev().find(|kept| kept.covers(floor)).map(|kept| kept.page.clone());
        let is_ahead = state.readers.values().all(|other| other.position <= floor);
        if let Some(reader) = state.readers.get_mut(&self.id) {
            reader.position = floor;
            reader.in_step = !reads_alone && (reader.in_step || is_ahead || covering.is_some());
        }
        state.drop_read_pages(window);
        match covering {
            _ if reads_alone => return Step::ReadAlone,
            Some(page) => return Step::Take(page),
            None => {}
        }
        let now = Instant::now();
        if state.reading.is_some_and(|reading| reading <= floor && floor.since(reading) <= window) {
            return Step::Wait(now + LEAVE_BEHIND);
        }
        let others = state.readers.iter().filter(|(id, reader)| {
            **id != self.id
                && reader.in_step
                && reader.position <= floor
                && floor.since(reader.position) <= window
        });
        if others.count() == 0 {
            return Step::ReadAlone;
        }
        while state.pages.len() >= SMALL_PAGES_MAX {
            state.leave_behind();
        }
        while state.events() >= self.log.events_max.get() * PAGES_MAX {
            let patience = state.pages.front().map_or(now, |oldest| oldest.since + LEAVE_BEHIND);
            if now < patience {
                return Step::Wait(patience);
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
            state.pages.push_back(Kept { page: Arc::new(page), since: Instant::now() });
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

impl Kept {
    fn covers(&self, floor: Seq) -> bool {
        self.page.range.floor() <= floor && floor < self.page.range.ceiling()
    }
}

impl State {
    /// How many events are kept.
    fn events(&self) -> usize {
        self.pages.iter().map(|kept| kept.page.events.len() + kept.page.unknown.len()).sum()
    }

    /// Drops pages that every reader in step has read, or is too far behind to come for.
    fn drop_read_pages(&mut self, window: u64) {
        let readers = &self.readers;
        self.pages.retain(|kept| {
            let (floor, ceiling) = (kept.page.range.floor(), kept.page.range.ceiling());
            readers.values().any(|r| r.in_step && r.position < ceiling && floor.since(r.position) <= window)
        });
    }

    /// Goes on without the readers that have not read the oldest page.
    fn leave_behind(&mut self) {
        if let Some(oldest) = self.pages.pop_front() {
            for reader in self.readers.values_mut().filter(|r| r.position < oldest.page.range.ceiling()) {
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

#[cfg(test)]
mod tests;

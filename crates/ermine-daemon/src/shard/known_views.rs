use std::collections::{HashMap, VecDeque};

use ermine_core::{Operation, StoredView, ViewKey};
use quick_cache::{Weighter, unsync::Cache};

/// What this shard knows of its views without asking the store: the results of pages still in flight, newest first,
/// then a cache of committed ones.
///
/// Views are kept as the JSON that was or will be stored. So folding on from here gives what folding on from the
/// store would give (but for the order of keys, which a store may change), user types need not be `Clone`, and the size
/// in bytes is known.
///
/// Only the holder of the newest epoch writes the views, so what is known stays true as long as commits succeed; after
/// any failure the whole value is dropped.
pub(super) struct KnownViews {
    in_flight: VecDeque<PageResults>,
    committed: Cache<ViewKey, StoredView, Bytes>,
}

struct PageResults {
    page: u64,
    /// `None` is a view that the page deletes.
    views: HashMap<ViewKey, Option<StoredView>>,
}

/// What is known of one view.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// It has this state.
    Stored(StoredView),
    /// It does not exist.
    Absent,
    /// The store has to be asked.
    Unknown,
}

#[derive(Clone)]
struct Bytes;

/// Bytes of an entry beside the document itself: key, versions, the cache's own links.
const ENTRY_BYTES: usize = 160;

impl Weighter<ViewKey, StoredView> for Bytes {
    fn weight(&self, key: &ViewKey, view: &StoredView) -> u64 {
        (ENTRY_BYTES + key.id.len() + key.tenant.len() + view.body.len()) as u64
    }
}

impl KnownViews {
    pub(super) fn new(bytes_max: usize) -> Self {
        let entries = (bytes_max / 512).max(16);
        Self { in_flight: VecDeque::new(), committed: Cache::with_weighter(entries, bytes_max as u64, Bytes) }
    }

    pub(super) fn get(&self, key: &ViewKey) -> Known {
        for page in self.in_flight.iter().rev() {
            match page.views.get(key) {
                Some(Some(view)) => return Known::Stored(view.clone()),
                Some(None) => return Known::Absent,
                None => {}
            }
        }
        self.committed.get(key).map_or(Known::Unknown, |view| Known::Stored(view.clone()))
    }

    /// Remembers what page number `page` is about to commit; pages come in ascending order.
    pub(super) fn fold(&mut self, page: u64, operations: &[Operation]) {
        let views =
            operations.iter().filter_map(|o| Some((o.view()?.1.clone(), o.result().cloned()))).collect();
        self.in_flight.push_back(PageResults { page, views });
    }

    /// Forgets what page number `page`, the last one, was about to commit.
    pub(super) fn undo(&mut self, page: u64) {
        while self.in_flight.back().is_some_and(|last| last.page == page) {
            self.in_flight.pop_back();
        }
    }

    /// Moves the results of all pages up to `page` to the cache: their commits have been answered.
    pub(super) fn commit(&mut self, page: u64) {
        while self.in_flight.front().is_some_and(|p| p.page <= page) {
            for (key, view) in self.in_flight.pop_front().into_iter().flat_map(|p| p.views) {
                match view {
                    Some(view) => self.committed.insert(key, view),
                    None => drop(self.committed.remove(&key)),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ermine_core::{Body, ProjectionName, Seq, Version, ViewId, ViewTable};

    use super::*;

    fn key(id: &str) -> ViewKey {
        ViewKey::new(ViewId::new(id).unwrap())
    }

    fn view(version: u64) -> StoredView {
        StoredView { body: Body::encode(&version).unwrap(), version: Version::new(version), seq: Seq::ZERO }
    }

    fn store(id: &str, version: u64) -> Operation {
        Operation::Store { table: table(), key: key(id), view: view(version) }
    }

    fn delete(id: &str) -> Operation {
        Operation::Delete { table: table(), key: key(id) }
    }

    fn table() -> ViewTable {
        ViewTable::new(ProjectionName::new("Trip").unwrap(), 1)
    }

    #[test]
    fn the_newest_page_in_flight_wins_over_older_ones_and_the_cache() {
        let mut known = KnownViews::new(1 << 20);
        known.fold(1, &[store("a", 1), store("b", 1)]);
        known.commit(1);
        known.fold(2, &[store("a", 2)]);
        known.fold(3, &[delete("a")]);
        assert_eq!(known.get(&key("a")), Known::Absent);
        assert_eq!(known.get(&key("b")), Known::Stored(view(1)));
        assert_eq!(known.get(&key("c")), Known::Unknown);
        known.commit(2);
        assert_eq!(known.get(&key("a")), Known::Absent, "page 3 is still in flight");
        known.commit(3);
        assert_eq!(known.get(&key("a")), Known::Unknown, "a deleted view is not remembered for ever");
    }

    #[test]
    fn the_cache_stays_within_its_bytes() {
        let mut known = KnownViews::new(100_000);
        for page in 0..10_000 {
            known.fold(page, &[store(&format!("v{page}"), page)]);
            known.commit(page);
        }
        assert!(known.committed.weight() <= 100_000);
    }
}

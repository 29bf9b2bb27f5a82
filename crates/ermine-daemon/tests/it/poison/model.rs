//! What must come out, as a plain fold.

use std::collections::{BTreeMap, BTreeSet};

use ermine_core::{ParkKey, StreamId, TenantId, ViewId, ViewKey};

use super::deeds::{Ill, Kinds};

/// One event as the model sees it; its number is also its place in the log.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) n: u64,
    pub(super) stream: u64,
    pub(super) groups: Vec<u64>,
    pub(super) ill: Option<Ill>,
}

/// The numbers in each view, by projection and id.
pub(super) type Folded = BTreeMap<(&'static str, String), Vec<u64>>;

/// What is to be seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) views: Folded,
    /// The letters, by event and the key that waits.
    pub(super) letters: BTreeSet<(u64, Option<ParkKey>)>,
    /// The events that a subscription has taken.
    pub(super) taken: BTreeSet<u64>,
}

impl Event {
    /// The views that it is in.
    pub(super) fn views(&self, kind: Kinds) -> Vec<(&'static str, String)> {
        let (stream, n) = (format!("s{}", self.stream), format!("n{}", self.n));
        let of_groups = |projection| self.groups.iter().map(move |group| (projection, format!("g{group}")));
        match kind {
            Kinds::Single => vec![("Single", stream)],
            Kinds::Multi => of_groups("Multi").collect(),
            Kinds::Flat => vec![("Flat", stream), ("Flat", n)],
            Kinds::Event => vec![("Event", stream), ("Event", n)],
            Kinds::Page => vec![("Page", stream)],
            Kinds::Composite => std::iter::once(("Trips", stream)).chain(of_groups("Boards")).collect(),
            Kinds::Subscription => Vec::new(),
        }
    }

    pub(super) fn stream_key(&self) -> ParkKey {
        let stream = StreamId::new(format!("s{}", self.stream)).unwrap();
        ParkKey::Stream { tenant: TenantId::default(), stream }
    }
}

fn view_key(id: &str) -> ParkKey {
    ParkKey::View(ViewKey::new(ViewId::new(id).unwrap()))
}

/// Whether it is known which views an ill event cannot go into.
fn names_views(kind: Kinds, ill: Ill) -> bool {
    match kind {
        Kinds::Single => true,
        Kinds::Multi => ill != Ill::Unreadable,
        _ => false,
    }
}

/// Ill events are left out.
pub(super) fn skipped(kind: Kinds, events: &[Event]) -> Seen {
    let mut seen = Seen::default();
    for event in events {
        if event.ill.is_some() {
            seen.letters.insert((event.n, None));
        } else {
            seen.apply(kind, event, |_| true);
        }
    }
    seen
}

/// Everything is there, in order.
pub(super) fn whole(kind: Kinds, events: &[Event]) -> Seen {
    let mut seen = Seen::default();
    events.iter().for_each(|event| seen.apply(kind, event, |_| true));
    seen
}

/// Behind an ill event its view or stream waits.
pub(super) fn parked(kind: Kinds, events: &[Event]) -> Seen {
    let mut seen = Seen::default();
    let mut frozen: BTreeSet<ParkKey> = BTreeSet::new();
    for event in events {
        if event.ill == Some(Ill::Unheard) {
            seen.letters.insert((event.n, None));
            continue;
        }
        if frozen.contains(&event.stream_key()) {
            continue;
        }
        let views = event.views(kind).into_iter().map(|(_, id)| view_key(&id));
        let open: Vec<ParkKey> = views.filter(|key| !frozen.contains(key)).collect();
        if let Some(ill) = event.ill
            && (!names_views(kind, ill) || !open.is_empty())
        {
            let is_one = open.len() == 1 || ill != Ill::Forbidden;
            let keys = if names_views(kind, ill) && is_one { open } else { vec![event.stream_key()] };
            seen.letters.extend(keys.iter().map(|key| (event.n, Some(key.clone()))));
            frozen.extend(keys);
            continue;
        }
        seen.apply(kind, event, |id| !frozen.contains(&view_key(id)));
    }
    seen
}

impl Seen {
    fn apply(&mut self, kind: Kinds, event: &Event, is_open: impl Fn(&str) -> bool) {
        self.taken.insert(event.n);
        for view in event.views(kind).into_iter().filter(|(_, id)| is_open(id)) {
            self.views.entry(view).or_default().push(event.n);
        }
    }
}

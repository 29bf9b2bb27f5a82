//! What happens: random events in random batches, and random ends of each round.

use ermine::{core::TenantId, prelude::*};
use ermine_memory::Call;
use proptest::{collection::vec, prelude::*, sample::select};

#[derive(Clone, Debug, DomainEvent)]
#[event(prefix = "entry")]
pub(super) enum Entry {
    Opened { owner: String },
    Added { n: i64, tags: Vec<u8> },
    Split { parts: Vec<i64> },
    Moved { to: Option<String> },
    Swept { above: i64 },
    Closed,
}

/// Events of one stream in one append.
#[derive(Clone, Debug)]
pub(super) struct Entries {
    pub(super) tenant: &'static str,
    pub(super) stream: String,
    pub(super) events: Vec<Entry>,
}

/// Appends, and then the projections are brought up to date.
#[derive(Clone, Debug)]
pub(super) struct Round {
    pub(super) batches: Vec<Vec<Entries>>,
    pub(super) page_events_max: usize,
    pub(super) caches: bool,
    pub(super) before: Before,
}

/// What goes wrong before they are up to date.
#[derive(Clone, Debug)]
pub(super) enum Before {
    Nothing,
    /// The process ends after this many steps.
    Killed(usize),
    /// A call of the store fails, or its answer is lost. Only in memory.
    Fault {
        call: Call,
        nth: u64,
        done: bool,
    },
    /// The server dies and comes back while the process is at this step. Only in memory.
    Crash(usize),
}

pub(super) const TENANTS: [&str; 2] = ["", "acme"];

pub(super) fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

pub(super) fn story() -> impl Strategy<Value = Vec<Round>> {
    vec(round(), 1..5)
}

fn round() -> impl Strategy<Value = Round> {
    let page = prop_oneof![3 => 1..4usize, 2 => 4..20usize, 1 => Just(5_000)];
    (vec(batch(), 0..8), page, any::<bool>(), before()).prop_map(
        |(batches, page_events_max, caches, before)| Round { batches, page_events_max, caches, before },
    )
}

fn before() -> impl Strategy<Value = Before> {
    let call = select(vec![Call::Commit, Call::LoadPage, Call::LoadViews, Call::TakeShards, Call::Append]);
    prop_oneof![
        3 => Just(Before::Nothing),
        3 => (0..120usize).prop_map(Before::Killed),
        3 => (call, 1..12u64, any::<bool>()).prop_map(|(call, nth, done)| Before::Fault { call, nth, done }),
        1 => (0..60usize).prop_map(Before::Crash),
    ]
}

/// One append to one or two streams.
fn batch() -> impl Strategy<Value = Vec<Entries>> {
    vec((select(TENANTS.to_vec()), 0..4u8, vec(entry(), 1..6)), 1..3).prop_map(|parts| {
        let mut batch: Vec<Entries> = Vec::new();
        for (tenant, stream, events) in parts {
            let stream = format!("s{stream}");
            match batch.iter_mut().find(|e| e.tenant == tenant && e.stream == stream) {
                Some(same) => same.events.extend(events),
                None => batch.push(Entries { tenant, stream, events }),
            }
        }
        batch
    })
}

fn entry() -> impl Strategy<Value = Entry> {
    let owner = select(vec!["ada", "Bob", "Ærmine", "🦦", ""]);
    prop_oneof![
        2 => owner.clone().prop_map(|owner| Entry::Opened { owner: owner.into() }),
        5 => (-9..10i64, vec(0..3u8, 0..4)).prop_map(|(n, tags)| Entry::Added { n, tags }),
        2 => vec(-9..10i64, 0..4).prop_map(|parts| Entry::Split { parts }),
        1 => proptest::option::of(owner).prop_map(|to| Entry::Moved { to: to.map(Into::into) }),
        1 => (-5..15i64).prop_map(|above| Entry::Swept { above }),
        1 => Just(Entry::Closed),
    ]
}

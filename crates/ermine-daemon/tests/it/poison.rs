//! Many events, some of them poison at random: what a plain fold says must come out, before and after they are cured, for
//! every kind of projection and every way to be poison.

mod deeds;
mod model;

use std::{collections::HashMap, num::NonZeroUsize, sync::Arc};

use ermine_core::{
    AppendBatch, Body, DeadLetters, DomainEvent, LetterQuery, LetterStatus, NewEvent, Operation, Position,
    ProjectionName, StreamAppend, StreamId, ViewId, ViewKey, ViewTable,
    ports::{EventAppender, Outbox, ViewStore},
};
use ermine_daemon::{Daemon, Retried, ShardState};
use ermine_memory::MemoryStore;
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::Value as Json;

use self::{
    deeds::{Deed, Health, Ill, Kinds, Received, cure, new_run, registered},
    model::{Event, Folded, Seen},
};
use crate::support::{Rig, SOON, small_pages};

/// How many events there are before the cure; another tenth comes while the letters are retried.
fn events_before() -> u64 {
    let default = if cfg!(debug_assertions) { 2_000 } else { 10_000 };
    std::env::var("ERMINE_POISON_EVENTS").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn seed() -> u64 {
    let given = std::env::var("ERMINE_POISON_SEED").ok().and_then(|text| text.parse().ok());
    given.unwrap_or_else(rand::random)
}

#[tokio::test]
async fn single_streams() {
    prove(Kinds::Single).await;
}

#[tokio::test]
async fn multi_streams() {
    prove(Kinds::Multi).await;
}

#[tokio::test]
async fn flat_tables() {
    prove(Kinds::Flat).await;
}

#[tokio::test]
async fn event_projections() {
    prove(Kinds::Event).await;
}

#[tokio::test]
async fn custom_projections() {
    prove(Kinds::Page).await;
}

#[tokio::test]
async fn composites() {
    prove(Kinds::Composite).await;
}

#[tokio::test]
async fn subscriptions() {
    prove(Kinds::Subscription).await;
}

async fn prove(kind: Kinds) {
    for ill in Ill::ALL {
        for parks in [false, true] {
            let seed = seed();
            println!("{kind:?}, {ill:?}, parks: {parks}, ERMINE_POISON_SEED={seed}");
            Run::new(kind, ill, parks, seed).prove().await;
        }
    }
}

/// One daemon after the other over one log.
struct Run {
    kind: Kinds,
    ill: Ill,
    parks: bool,
    random: StdRng,
    run: u64,
    store: MemoryStore,
    received: Received,
    events: Vec<Event>,
}

impl Run {
    fn new(kind: Kinds, ill: Ill, parks: bool, seed: u64) -> Self {
        let (random, store) = (StdRng::seed_from_u64(seed), MemoryStore::new());
        let (received, events) = (Received::default(), Vec::new());
        Self { kind, ill, parks, random, run: new_run(), store, received, events }
    }

    async fn prove(mut self) {
        let events = events_before();
        self.plan(events, events / 20);
        if self.ill == Ill::Forbidden {
            self.forbid();
        }
        if self.halts() {
            return self.prove_that_it_halts().await;
        }
        let all = std::mem::take(&mut self.events);
        for chunk in all.chunks(all.len() / 4) {
            let rig = self.start(false);
            for event in chunk {
                self.append(event).await;
            }
            if self.random.random_bool(0.5) {
                rig.reach(position(chunk.last().unwrap().n)).await;
                rig.stop().await.unwrap();
            }
        }
        self.events = all;
        let rig = self.start(false);
        rig.reach(position(events)).await;
        let expected = if self.parks {
            model::parked(self.kind, &self.events)
        } else {
            model::skipped(self.kind, &self.events)
        };
        self.check_letters(&rig, &expected).await;
        self.check(&expected, Order::Total).await;
        rig.stop().await.unwrap();
        self.prove_the_cure(expected).await;
    }

    /// A subscription is not asked to do again what it may have done, to find out which event of a page it was.
    fn halts(&self) -> bool {
        self.kind == Kinds::Subscription && matches!(self.ill, Ill::Frightening | Ill::Forbidden)
    }

    async fn prove_that_it_halts(self) {
        // All at once, so that no ill event is alone in its page, and known by that.
        for event in &self.events {
            self.append(event).await;
        }
        let rig = self.start(false);
        rig.state(|state| matches!(state, ShardState::Paused { .. })).await;
        self.cure();
        rig.reach(position(self.events.len() as u64)).await;
        self.check_letters(&rig, &Seen::default()).await;
        self.check(&model::whole(self.kind, &self.events), Order::Total).await;
    }

    /// Everybody gets well, and all letters are retried while more events come.
    async fn prove_the_cure(mut self, before: Seen) {
        self.cure();
        let rig = self.start(true);
        let dead = rig.handle.dead_letters().unwrap();
        let first_live = self.events.len();
        self.plan(first_live as u64 / 10, 0);
        let live = async {
            for event in &self.events[first_live..] {
                self.append(event).await;
                tokio::task::yield_now().await;
            }
        };
        let retry =
            async { dead.retry(LetterQuery::default(), "ada").await.unwrap().run(SOON).await.unwrap() };
        let (retried, ()) = tokio::join!(retry, live);
        assert_eq!(retried, Retried { replayed: before.letters.len() as u64, refused: 0 });
        rig.reach(position(self.events.len() as u64)).await;
        let open = LetterQuery { statuses: LetterStatus::OPEN.to_vec(), ..LetterQuery::default() };
        assert_eq!(dead.list(open).await.unwrap(), []);
        let order = match (self.kind, self.parks, self.ill) {
            (Kinds::Single, ..) => Order::Total,
            (_, false, _) | (_, _, Ill::Unheard) => Order::Any,
            (Kinds::Multi, _, Ill::Refused | Ill::Frightening) => Order::Total,
            (Kinds::Multi | Kinds::Composite, ..) => Order::ByStream,
            _ => Order::Total,
        };
        self.check(&model::whole(self.kind, &self.events), order).await;
        if self.kind == Kinds::Subscription && self.parks && self.ill != Ill::Unheard {
            self.check_order_of_deliveries();
        }
        rig.stop().await.unwrap();
    }

    fn start(&self, knows: bool) -> Rig {
        let letters = if self.parks { DeadLetters::park() } else { DeadLetters::skip() };
        let letters = letters.cap(std::num::NonZeroU64::MAX).for_unknown_events();
        let mut random = StdRng::seed_from_u64(self.store.calls(ermine_memory::Call::Commit));
        let page = *[7, 40, 150, 600].choose(&mut random).unwrap();
        let builder = Daemon::builder(Arc::new(self.store.clone())).settings(small_pages(page));
        Rig::run(&self.store, builder.projection(registered(self.kind, letters, knows, &self.received)))
    }

    /// Makes more events, so many of them ill. The first of a stream is well.
    fn plan(&mut self, events: u64, ill: u64) {
        let streams = events_before() / 10;
        let mut started: Vec<bool> = vec![false; usize::try_from(streams).unwrap()];
        self.events.iter().for_each(|event| started[usize::try_from(event.stream).unwrap()] = true);
        let (first, mut may_be_ill) = (self.events.len(), Vec::new());
        for n in first as u64 + 1..=first as u64 + events {
            let stream = self.random.random_range(0..streams);
            let mut groups: Vec<u64> = (0..self.random.random_range(1..=2))
                .map(|_| self.random.random_range(0..streams / 2))
                .collect();
            groups.dedup();
            if std::mem::replace(&mut started[usize::try_from(stream).unwrap()], true) {
                may_be_ill.push(self.events.len());
            }
            self.events.push(Event { n, stream, groups, ill: None });
        }
        for at in may_be_ill.sample(&mut self.random, usize::try_from(ill).unwrap()) {
            self.events[*at].ill = Some(self.ill);
        }
    }

    async fn append(&self, event: &Event) {
        let health = Health { run: self.run, ill: event.ill };
        let (n, groups) = (event.n, event.groups.clone());
        let deed = match event.ill {
            Some(Ill::Unheard) => Deed::Unheard { n, groups, health },
            _ => Deed::Done { n, groups, health },
        };
        let new =
            NewEvent::new(ermine_core::TypeName::new(deed.type_name()).unwrap(), deed.encode().unwrap());
        let stream = StreamId::new(format!("s{}", event.stream)).unwrap();
        let batch = AppendBatch::new().stream(StreamAppend::new(stream, vec![new]));
        assert_eq!(self.store.append(batch).await.unwrap().position(), position(event.n));
    }

    /// Has the store refuse whatever holds the number of an ill event.
    fn forbid(&self) {
        let ill: std::collections::HashSet<u64> =
            self.events.iter().filter(|event| event.ill.is_some()).map(|event| event.n).collect();
        self.store.faults().refuse(move |operation| match operation {
            Operation::Publish(message) => ill.contains(&message.body.decode().unwrap()),
            Operation::Store { key, view, .. } => {
                let listed: Json = view.body.decode().unwrap();
                let all = listed["all"].as_array().into_iter().flatten().filter_map(Json::as_u64);
                let row = key.id.strip_prefix('n').and_then(|n| n.parse().ok());
                all.chain(row).any(|n| ill.contains(&n))
            }
            _ => false,
        });
    }

    fn cure(&self) {
        cure(self.run);
        self.store.faults().clear();
    }

    async fn check_letters(&self, rig: &Rig, expected: &Seen) {
        let letters = rig.handle.dead_letters().unwrap().list(LetterQuery::default()).await.unwrap();
        let is: Vec<_> = letters.iter().map(|letter| (letter.id.seq.get(), letter.id.key.clone())).collect();
        let wanted: Vec<_> = expected.letters.iter().cloned().collect();
        assert_eq!(is, wanted);
    }

    async fn check(&self, expected: &Seen, order: Order) {
        let every = model::whole(self.kind, &self.events).views;
        let is = self.views(every.keys()).await;
        assert_eq!(self.sorted(is, order), self.sorted(expected.views.clone(), order));
        if self.kind == Kinds::Subscription {
            let limit = NonZeroUsize::new(1_000_000).unwrap();
            let messages = self.store.pending_messages(limit).await.unwrap();
            let mut published: Vec<u64> = messages.iter().map(|m| m.body.decode().unwrap()).collect();
            published.sort_unstable();
            assert_eq!(published, expected.taken.iter().copied().collect::<Vec<_>>());
        }
    }

    /// Each stream's events were delivered in order, whatever was delivered twice.
    fn check_order_of_deliveries(&self) {
        let mut latest: HashMap<u64, u64> = HashMap::new();
        let mut known = std::collections::HashSet::new();
        for n in self.received.lock().unwrap().iter().filter(|n| known.insert(**n)) {
            let stream = self.stream_of(*n);
            let before = latest.insert(stream, *n).unwrap_or_default();
            assert!(before < *n, "{n} of stream s{stream} came after {before}");
        }
    }

    fn stream_of(&self, n: u64) -> u64 {
        self.events[usize::try_from(n).unwrap() - 1].stream
    }

    /// The views as far as order counts; rows hold no more than sums.
    fn sorted(&self, views: Folded, order: Order) -> Folded {
        let mut views = views;
        for ((projection, _), all) in &mut views {
            match order {
                _ if *projection == "Flat" => {
                    if all.first() != Some(&u64::MAX) {
                        *all = vec![u64::MAX, all.len() as u64, all.iter().sum()];
                    }
                }
                Order::Any => all.sort_unstable(),
                Order::ByStream => all.sort_by_key(|n| self.stream_of(*n)),
                Order::Total => {}
            }
        }
        views
    }

    async fn views(&self, ids: impl Iterator<Item = &(&'static str, String)>) -> Folded {
        let mut by_projection: HashMap<&'static str, Vec<ViewKey>> = HashMap::new();
        for (projection, id) in ids {
            by_projection
                .entry(projection)
                .or_default()
                .push(ViewKey::new(ViewId::new(id.as_str()).unwrap()));
        }
        let mut found = Folded::new();
        for (projection, keys) in by_projection {
            let table = ViewTable::new(ProjectionName::new(projection).unwrap(), 1);
            let views = self.store.load_views(&table, &keys).await.unwrap();
            let views = keys.into_iter().zip(views).filter_map(|(key, view)| Some((key, view?)));
            found.extend(views.map(|(key, view)| ((projection, key.id.to_string()), numbers(&view.body))));
        }
        found
    }
}

/// In which order events have to be in a view.
#[derive(Clone, Copy, Debug)]
enum Order {
    Total,
    /// Those of a stream.
    ByStream,
    Any,
}

fn numbers(body: &Body) -> Vec<u64> {
    let view: Json = body.decode().unwrap();
    match view["all"].as_array() {
        Some(all) => all.iter().filter_map(Json::as_u64).collect(),
        None => vec![u64::MAX, view["deeds"].as_u64().unwrap(), view["total"].as_u64().unwrap()],
    }
}

fn position(n: u64) -> Position {
    Position::new(ermine_core::Seq::new(n))
}

//! Events some of which are ill until somebody cures them, and a projection of every kind that takes them.

use std::{
    collections::HashSet,
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use ermine_core::{
    Aggregate, ApplyError, ColumnKind, DeadLetters, DomainEvent, ErrorHandling, Operation, PageEffects,
    PageError, PageProjection, Patch, Projected, Projection, ProjectionName, Recorded, Registered,
    StoredView, Subscriber, ViewId, ViewKey, ViewRead, ViewTable, Views, composite, custom, event_projection,
    flat_table, multi_stream, single_stream, subscription,
};
use serde::{Deserialize, Serialize};

/// What is wrong with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Ill {
    /// User code refuses it.
    Refused,
    /// User code panics at it.
    Frightening,
    /// Its body cannot be decoded.
    Unreadable,
    /// Its type is not registered.
    Unheard,
    /// The store does not take what is made of it.
    Forbidden,
}

impl Ill {
    pub(super) const ALL: [Self; 5] =
        [Self::Refused, Self::Frightening, Self::Unreadable, Self::Unheard, Self::Forbidden];
}

/// The kinds of projections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kinds {
    Single,
    Multi,
    Flat,
    Event,
    Page,
    Composite,
    Subscription,
}

/// The tests whose ill events are cured by now.
static CURED: LazyLock<Mutex<HashSet<u64>>> = LazyLock::new(Mutex::default);

/// A name for one run of one test.
pub(super) fn new_run() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

pub(super) fn cure(run: u64) {
    CURED.lock().unwrap().insert(run);
}

/// How an event is, as far as user code is concerned.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub(super) struct Health {
    pub(super) run: u64,
    pub(super) ill: Option<Ill>,
}

#[derive(Deserialize)]
struct Stored {
    run: u64,
    ill: Option<Ill>,
}

impl TryFrom<Stored> for Health {
    type Error = String;

    fn try_from(Stored { run, ill }: Stored) -> Result<Self, String> {
        let health = Self { run, ill };
        if health.is(Ill::Unreadable) { Err("nobody can read this".into()) } else { Ok(health) }
    }
}

impl Health {
    fn is(self, ill: Ill) -> bool {
        self.ill == Some(ill) && !CURED.lock().unwrap().contains(&self.run)
    }

    fn examine(self) -> Result<(), ApplyError> {
        assert!(!self.is(Ill::Frightening), "this is frightening");
        if self.is(Ill::Refused) { Err(ApplyError::msg("this is not right")) } else { Ok(()) }
    }
}

#[derive(Debug, DomainEvent)]
#[event(crate = "ermine_core")]
pub(super) enum Deed {
    Done { n: u64, groups: Vec<u64>, health: Health },
    Unheard { n: u64, groups: Vec<u64>, health: Health },
}

impl Deed {
    const fn parts(&self) -> (u64, &Vec<u64>, Health) {
        match self {
            Self::Done { n, groups, health } | Self::Unheard { n, groups, health } => (*n, groups, *health),
        }
    }
}

/// All numbers in the order in which they were applied.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Numbers {
    pub(super) all: Vec<u64>,
}

impl Aggregate for Numbers {
    type Event = Deed;

    fn evolve(numbers: Option<Self>, event: &Recorded<Deed>) -> Result<Option<Self>, ApplyError> {
        let (n, _, health) = event.data().parts();
        health.examine()?;
        let mut numbers = numbers.unwrap_or_default();
        numbers.all.push(n);
        Ok(Some(numbers))
    }
}

fn groups(event: &Recorded<Deed>) -> Vec<String> {
    event.data().parts().1.iter().map(|group| format!("g{group}")).collect()
}

/// One list by stream, read and written a page at a time.
struct Pages;

impl PageProjection for Pages {
    type Event = Deed;

    fn reads(&self, page: &[Recorded<Deed>]) -> Result<Vec<ViewRead>, PageError> {
        let ids: HashSet<ViewId> = page.iter().map(|event| event.stream().clone().into()).collect();
        let keys = ids.into_iter().map(ViewKey::new).collect();
        Ok(vec![ViewRead { projection: ProjectionName::new("Page")?, keys }])
    }

    fn apply(
        &self,
        page: &[Recorded<Deed>],
        views: &Views,
        table: &ViewTable,
    ) -> Result<Vec<Operation>, PageError> {
        let mut operations = Vec::new();
        let mut lists: Vec<(ViewId, Numbers)> = Vec::new();
        for event in page {
            let (n, _, health) = event.data().parts();
            health.examine()?; // whoever reads the error does not learn which event it was
            let id: ViewId = event.stream().clone().into();
            let at = match lists.iter().position(|(known, _)| *known == id) {
                Some(at) => at,
                None => {
                    lists.push((id.clone(), views.get("Page", &id)?.unwrap_or_default()));
                    lists.len() - 1
                }
            };
            lists[at].1.all.push(n);
        }
        let last = page.last().and_then(Recorded::seq).unwrap_or_default();
        for (id, list) in lists {
            let version = ermine_core::Version::ZERO.plus(list.all.len());
            let view = StoredView { body: ermine_core::Body::encode(&list)?, version, seq: last };
            operations.push(Operation::Store { table: table.clone(), key: ViewKey::new(id), view });
        }
        Ok(operations)
    }
}

/// Publishes the number of every event, and remembers what it was given.
pub(super) type Received = Arc<Mutex<Vec<u64>>>;

struct Crier(Received);

#[async_trait]
impl Subscriber for Crier {
    type Event = Deed;

    async fn receive(&self, page: &[Recorded<Deed>], effects: &mut PageEffects) -> Result<(), PageError> {
        for (at, event) in page.iter().enumerate() {
            let (n, _, health) = event.data().parts();
            health.examine().map_err(|error| PageError::at(at, error))?;
            self.0.lock().unwrap().push(n);
            effects.of(event).publish("deeds", &n)?;
        }
        Ok(())
    }
}

/// A projection of the kind. It takes events of the type that nobody has heard of once it `knows` it.
pub(super) fn registered(kind: Kinds, letters: DeadLetters, knows: bool, received: &Received) -> Registered {
    fn of<K>(projected: Projected<K>, letters: DeadLetters, knows: bool) -> Projected<K> {
        only(projected, knows).dead_letters(letters)
    }
    fn only<K>(projected: Projected<K>, knows: bool) -> Projected<K> {
        if knows { projected } else { projected.only(["deed.done"]) }
    }
    fn member<K>(projected: Projected<K>, knows: bool) -> Arc<dyn Projection>
    where
        Projected<K>: Into<Arc<dyn Projection>>,
    {
        only(projected, knows).into()
    }
    match kind {
        Kinds::Single => of(single_stream::<Numbers>("Single"), letters, knows).into(),
        Kinds::Multi => of(multi_stream::<Numbers, _, _>("Multi", groups), letters, knows).into(),
        Kinds::Flat => {
            let keys = |event: &Recorded<Deed>| {
                let (n, _, health) = event.data().parts();
                let row = if health.examine().is_ok() { format!("n{n}") } else { String::new() };
                vec![event.stream().to_string(), row]
            };
            let table = flat_table::<Deed>("Flat", "deeds")
                .column_or("deeds", ColumnKind::Integer, 0)
                .column_or("total", ColumnKind::Integer, 0)
                .keyed_by(keys)
                .on("deed.done", |row| row.increment("deeds", 1).increment_from("total", "n"));
            let table = if knows {
                table.on("deed.unheard", |row| row.increment("deeds", 1).increment_from("total", "n"))
            } else {
                table
            };
            of(table, letters, knows).into()
        }
        Kinds::Event => {
            let event = |event: &Recorded<Deed>, views: &mut ermine_core::ViewChanges<Numbers>| {
                let (n, _, health) = event.data().parts();
                health.examine()?;
                views.store(format!("n{n}"), &Numbers { all: vec![n] })?;
                let stream = event.stream().as_str();
                match event.version().get() {
                    1 => views.store(stream, &Numbers { all: vec![n] })?,
                    _ => views.patch(stream, Patch::new().push("all", n)?)?,
                }
                Ok(())
            };
            of(event_projection("Event", event), letters, knows).into()
        }
        Kinds::Page => of(custom("Page", Pages), letters, knows).into(),
        Kinds::Composite => composite("Composite")
            .stage([member(single_stream::<Numbers>("Trips"), knows)])
            .stage([member(multi_stream::<Numbers, _, _>("Boards", groups), knows)])
            .errors(ErrorHandling { dead_letters: Some(letters), ..ErrorHandling::default() })
            .into(),
        Kinds::Subscription => of(subscription("Crier", Crier(received.clone())), letters, knows).into(),
    }
}

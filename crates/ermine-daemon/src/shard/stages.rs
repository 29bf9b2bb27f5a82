//! Folding one page through the stages of a shard.

use std::{collections::HashSet, ops::Range, sync::Arc};

use ermine_core::{
    Error, EventPage, Failure, Operation, Output, Plan, PlanInput, PlannedView, Result, Seq, StoredView,
    ViewKey, ViewRead, Views, ports::Store,
};

use super::{
    Shard, answer,
    changes::Changes,
    known_views::{Known, KnownViews},
};
use crate::{Settings, registry::Member};

/// From how many events on a page is worth handing to the threads for blocking work.
const EVENTS_FOR_THREADS: usize = 256;

/// The projections of a shard, and what is known of their views.
pub(super) struct Stages {
    shard: Arc<Shard>,
    store: Arc<dyn Store>,
    settings: Arc<Settings>,
    effects_above: Option<Seq>,
    stages: Vec<Vec<Runner>>,
    is_composite: bool,
}

/// One member and what is known of its views.
struct Runner {
    member: Member,
    known: KnownViews,
}

/// What came of a page.
#[derive(Debug, Default)]
pub(super) struct Changed {
    pub(super) operations: Vec<Operation>,
    /// Whether something changed that is not known before it is committed.
    pub(super) is_opaque: bool,
}

impl Stages {
    pub(super) fn new(
        shard: Arc<Shard>,
        store: Arc<dyn Store>,
        settings: Arc<Settings>,
        effects_above: Option<Seq>,
        members: &[Vec<Member>],
    ) -> Self {
        let count = members.iter().flatten().count().max(1);
        let runner = |member: &Member| Runner {
            member: member.clone(),
            known: KnownViews::new(settings.cache_bytes_max / count),
        };
        let stages = members.iter().map(|stage| stage.iter().map(runner).collect()).collect();
        Self { shard, store, settings, effects_above, stages, is_composite: count > 1 }
    }

    /// The commits of all pages up to `page` have been answered.
    pub(super) fn commit(&mut self, page: u64) {
        self.runners_mut().for_each(|runner| runner.known.commit(page));
    }

    /// Forgets everything: the store knows better.
    pub(super) fn forget(&mut self) {
        let count = self.stages.iter().flatten().count().max(1);
        let bytes = self.settings.cache_bytes_max / count;
        self.runners_mut().for_each(|runner| runner.known = KnownViews::new(bytes));
    }

    fn runners_mut(&mut self) -> impl Iterator<Item = &mut Runner> {
        self.stages.iter_mut().flatten()
    }

    /// Folds page number `number`.
    pub(super) async fn fold(&mut self, page: Arc<EventPage>, number: u64) -> Result<Changed> {
        let mut changed = Changed::default();
        let mut effects: Vec<(Seq, Operation)> = Vec::new();
        let mut changes = Changes::default();
        for stage in 0..self.stages.len() {
            let folds = self.stages[stage].iter().map(|runner| self.fold_member(runner, &page, &changes));
            let outputs = futures_util::future::try_join_all(folds).await?;
            for (runner, output) in self.stages[stage].iter_mut().zip(outputs) {
                runner.known.fold(number, &output.operations);
                if self.is_composite {
                    changes.add(&output.operations);
                }
                changed.is_opaque |= output.operations.iter().any(|operation| operation.view().is_none());
                changed.operations.extend(output.operations);
                effects.extend(output.effects);
            }
        }
        effects.sort_by_key(|(seq, _)| *seq);
        changed.is_opaque |= effects.iter().any(|(_, operation)| is_opaque_effect(operation));
        changed.operations.extend(effects.into_iter().map(|(_, operation)| operation));
        Ok(changed)
    }

    async fn fold_member(&self, runner: &Runner, page: &Arc<EventPage>, changes: &Changes) -> Result<Output> {
        let page = if self.is_composite {
            Arc::new(changes.merged(page, &runner.member.filter)?)
        } else {
            page.clone()
        };
        if page.events.is_empty() {
            return Ok(Output::default());
        }
        let range = page.range;
        let named = |failure: Failure| {
            let projection = runner.member.table.projection();
            let of = if self.is_composite { format!(" for {projection}") } else { String::new() };
            Error::from(failure).context(format!("folding events {range} of shard {}{of}", self.shard.name))
        };
        let big = page.events.len() >= EVENTS_FOR_THREADS;
        let projection = &runner.member.projection;
        let reads = {
            let (projection, page) = (projection.clone(), page.clone());
            on_threads(big, move || projection.reads(&page)).await?.map_err(named)?
        };
        let input = PlanInput {
            page,
            table: runner.member.table.clone(),
            views: Arc::new(self.read(reads).await?),
            effects_above: self.effects_above,
        };
        let projection = projection.clone();
        let plan = on_threads(big, move || projection.plan(input)).await?.map_err(named)?;
        let current = self.current(runner, plan.views()).await?;
        let threads = if big && plan.is_divisible() { self.settings.fold_threads.get() } else { 1 };
        let parts = if big {
            fold_on_threads(plan, current, threads).await?
        } else {
            vec![plan.fold(0..current.len(), &current)]
        };
        let output = merge(parts).map_err(named)?;
        check_own(&runner.member, &output.operations)?;
        Ok(output)
    }

    /// The current state of each view, with one read for all that are not known.
    async fn current(&self, runner: &Runner, views: &[PlannedView]) -> Result<Vec<Option<StoredView>>> {
        let mut current = Vec::with_capacity(views.len());
        let mut missing: Vec<usize> = Vec::new();
        for (at, view) in views.iter().enumerate() {
            current.push(match runner.known.get(&view.key) {
                Known::Stored(stored) => Some(stored),
                Known::Absent => None,
                Known::Unknown => {
                    if !view.fresh {
                        missing.push(at);
                    }
                    None
                }
            });
        }
        if !missing.is_empty() {
            let keys: Vec<ViewKey> = missing.iter().map(|at| views[*at].key.clone()).collect();
            let doing = || format!("loading {} views of shard {}", keys.len(), self.shard.name);
            let loaded = self.store.load_views(&runner.member.table, &keys);
            let loaded = answer(self.settings.call_deadline, doing, loaded).await?;
            for (at, view) in missing.into_iter().zip(loaded) {
                current[at] = view;
            }
        }
        Ok(current)
    }

    /// The views that a projection wants to see, with one read per table; those of this shard as they are by now.
    async fn read(&self, reads: Vec<ViewRead>) -> Result<Views> {
        let mut views = Views::default();
        for ViewRead { projection, keys } in reads {
            let Some(table) = self.shard.tables.get(&projection) else {
                return Err(Error::configuration(format!(
                    "shard {} looks up views of \"{projection}\", which keeps none here: register it with this store",
                    self.shard.name
                )));
            };
            let own = self.stages.iter().flatten().find(|runner| runner.member.table == *table);
            let mut seen = HashSet::new();
            let mut found: Vec<(ViewKey, StoredView)> = Vec::new();
            let mut missing: Vec<ViewKey> = Vec::new();
            for key in keys.into_iter().filter(|key| seen.insert(key.clone())) {
                match own.map_or(Known::Unknown, |runner| runner.known.get(&key)) {
                    Known::Stored(view) => found.push((key, view)),
                    Known::Absent => {}
                    Known::Unknown => missing.push(key),
                }
            }
            if !missing.is_empty() {
                let doing = || {
                    format!(
                        "looking up {} views of {projection} for shard {}",
                        missing.len(),
                        self.shard.name
                    )
                };
                let loaded = self.store.load_views(table, &missing);
                let loaded = answer(self.settings.call_deadline, doing, loaded).await?;
                found.extend(missing.into_iter().zip(loaded).filter_map(|(key, view)| Some((key, view?))));
            }
            views.insert(projection, found);
        }
        Ok(views)
    }
}

/// A projection writes to its own table, and what else it wants are effects: what is known of views rests on that.
pub(crate) fn check_own(member: &Member, operations: &[Operation]) -> Result<()> {
    let is_own = |operation: &Operation| match operation {
        Operation::Store { table, .. }
        | Operation::Delete { table, .. }
        | Operation::DeleteWhere { table, .. } => *table == member.table,
        Operation::Native(_) => true,
        _ => false,
    };
    match operations.iter().find(|operation| !is_own(operation)) {
        None => Ok(()),
        Some(operation) => Err(Error::configuration(format!(
            "projection {} makes an operation that is not on its own table: {operation:?}; events and messages are effects",
            member.table.projection()
        ))),
    }
}

/// An effect that changes views in ways that are not known here.
const fn is_opaque_effect(operation: &Operation) -> bool {
    !matches!(operation, Operation::Append { .. } | Operation::Publish(_))
}

type Part = std::result::Result<Output, Failure>;

/// All parts together, or the first failure.
fn merge(parts: Vec<Part>) -> Part {
    let mut whole = Output::default();
    let mut failed: Option<Failure> = None;
    for part in parts {
        match part {
            Ok(part) => {
                whole.operations.extend(part.operations);
                whole.effects.extend(part.effects);
            }
            Err(failure) if failed.as_ref().is_none_or(|f| failure.seq < f.seq) => failed = Some(failure),
            Err(_) => {}
        }
    }
    failed.map_or(Ok(whole), Err)
}

/// Spreads the views of a page over threads.
async fn fold_on_threads(
    plan: Arc<dyn Plan>,
    current: Vec<Option<StoredView>>,
    threads: usize,
) -> Result<Vec<Part>> {
    let current = Arc::new(current);
    let share = current.len().div_ceil(threads).max(1);
    // A plan may have work without views.
    let parts = (0..current.len().max(1)).step_by(share).map(|start| {
        let (plan, current) = (plan.clone(), current.clone());
        let range: Range<usize> = start..(start + share).min(current.len());
        blocking(move || plan.fold(range.clone(), &current[range]))
    });
    futures_util::future::try_join_all(parts).await
}

async fn on_threads<T: Send + 'static>(big: bool, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    if big { blocking(work).await } else { Ok(work()) }
}

/// Runs pure code on a thread where it may take its time.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| Error::fatal("folding on a thread of its own").with_source(e))
}

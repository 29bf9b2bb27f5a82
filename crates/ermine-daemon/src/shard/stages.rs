//! Folding one page through the stages of a shard.

use std::{collections::HashSet, ops::Range, sync::Arc};

use ermine_core::{
    Error, EventPage, Failures, Operation, Output, Plan, PlanInput, PlannedView, Result, Scope, Seq,
    StoredView, ViewKey, ViewRead, Views, ports::Store,
};

use super::{
    Shard, answer,
    busy::Busy,
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
    /// Whether events come when others of their views are applied already, so that nothing about a view is sure but what is
    /// stored.
    is_late: bool,
    busy: Arc<Busy>,
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
    /// The events that were kept from views.
    pub(super) withheld: Vec<(ViewKey, Seq)>,
    /// The only view that changes, where there is only one and views are folded each on its own.
    pub(super) only_view: Option<ViewKey>,
}

/// Why a page could not be folded.
#[derive(Debug)]
pub(super) enum Unfolded {
    /// These events were refused.
    Refused(Failures),
    /// Something else went wrong.
    Failed(Error),
}

impl From<Error> for Unfolded {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<Failures> for Unfolded {
    fn from(failures: Failures) -> Self {
        Self::Refused(failures)
    }
}

impl Stages {
    pub(super) fn new(
        shard: Arc<Shard>,
        store: Arc<dyn Store>,
        settings: Arc<Settings>,
        effects_above: Option<Seq>,
        members: &[Vec<Member>],
        busy: Arc<Busy>,
    ) -> Self {
        let count = members.iter().flatten().count().max(1);
        let runner = |member: &Member| Runner {
            member: member.clone(),
            known: KnownViews::new(settings.cache_bytes_max / count),
        };
        let stages = members.iter().map(|stage| stage.iter().map(runner).collect()).collect();
        Self { shard, store, settings, effects_above, stages, is_composite: count > 1, is_late: false, busy }
    }

    /// For events that come late.
    pub(super) fn late(self) -> Self {
        Self { is_late: true, ..self }
    }

    /// Whether it has one projection, so that a view is that projection's.
    pub(super) const fn is_composite(&self) -> bool {
        self.is_composite
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

    /// Folds page number `number`. When events are refused, it is as if nothing had been folded.
    pub(super) async fn fold(
        &mut self,
        page: &Arc<EventPage>,
        number: u64,
        scope: &Arc<Scope>,
    ) -> Result<Changed, Unfolded> {
        let folded = self.fold_stages(page, number, scope).await;
        if folded.is_err() {
            self.undo(number);
        }
        folded
    }

    /// Forgets what page number `number`, the last one, was about to change.
    pub(super) fn undo(&mut self, number: u64) {
        self.runners_mut().for_each(|runner| runner.known.undo(number));
    }

    async fn fold_stages(
        &mut self,
        page: &Arc<EventPage>,
        number: u64,
        scope: &Arc<Scope>,
    ) -> Result<Changed, Unfolded> {
        let mut changed = Changed::default();
        let mut effects: Vec<(Seq, Operation)> = Vec::new();
        let mut changes = Changes::default();
        for stage in 0..self.stages.len() {
            let folds =
                self.stages[stage].iter().map(|runner| self.fold_member(runner, page, &changes, scope));
            let outputs = futures_util::future::try_join_all(folds).await?;
            for (runner, (output, withheld, is_divisible)) in self.stages[stage].iter_mut().zip(outputs) {
                runner.known.fold(number, &output.operations);
                if self.is_composite {
                    changes.add(&output.operations);
                }
                if let (true, false, [one]) = (is_divisible, self.is_composite, &output.operations[..]) {
                    changed.only_view = one.view().map(|(_, key)| key.clone());
                }
                changed.withheld.extend(withheld);
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

    async fn fold_member(
        &self,
        runner: &Runner,
        page: &Arc<EventPage>,
        changes: &Changes,
        scope: &Arc<Scope>,
    ) -> Result<(Output, Vec<(ViewKey, Seq)>, bool), Unfolded> {
        let page = if self.is_composite {
            Arc::new(changes.merged(page, &runner.member.filter)?)
        } else {
            page.clone()
        };
        if page.events.is_empty() {
            return Ok((Output::default(), Vec::new(), true));
        }
        let big = page.events.len() >= EVENTS_FOR_THREADS;
        let projection = &runner.member.projection;
        let reads = {
            let (projection, page) = (projection.clone(), page.clone());
            self.on_threads(big, move || projection.reads(&page)).await??
        };
        let input = PlanInput {
            page,
            table: runner.member.table.clone(),
            views: Arc::new(self.read(reads).await?),
            effects_above: self.effects_above,
            scope: scope.clone(),
        };
        let projection = projection.clone();
        let plan = self.on_threads(big, move || projection.plan(input)).await??;
        let current = self.current(runner, plan.views()).await?;
        let (withheld, is_divisible) = (plan.withheld().to_vec(), plan.is_divisible());
        let threads = if big && is_divisible { self.settings.fold_threads.get() } else { 1 };
        let parts = if big {
            self.fold_on_threads(plan, current, threads).await?
        } else {
            vec![self.busy.spot().watch(|| plan.fold(0..current.len(), &current))]
        };
        let output = merge(parts)?;
        check_own(&runner.member, &output.operations)?;
        Ok((output, withheld, is_divisible))
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
                    if self.is_late || !view.fresh {
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

    /// Spreads the views of a page over threads.
    async fn fold_on_threads(
        &self,
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
            self.on_threads(true, move || plan.fold(range.clone(), &current[range]))
        });
        futures_util::future::try_join_all(parts).await
    }

    async fn on_threads<T: Send + 'static>(
        &self,
        big: bool,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let spot = self.busy.spot();
        if big { blocking(move || spot.watch(work)).await } else { Ok(spot.watch(work)) }
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

type Part = Result<Output, Failures>;

/// All parts together, or all failures.
fn merge(parts: Vec<Part>) -> Part {
    let mut whole = Output::default();
    let mut failed: Option<Failures> = None;
    for part in parts {
        match part {
            Ok(part) => {
                whole.operations.extend(part.operations);
                whole.effects.extend(part.effects);
            }
            Err(more) => {
                failed = Some(match failed.take() {
                    Some(known) => known.and(more),
                    None => more,
                });
            }
        }
    }
    failed.map_or(Ok(whole), Err)
}

/// Runs pure code on a thread where it may take its time.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| Error::fatal("folding on a thread of its own").with_source(e))
}

use std::{collections::HashSet, sync::Arc, time::Duration};

use ermine_core::{
    Admission, AppendBatch, Appended, Error, ErrorKind, Event, EventPage, EventRange, ExpectedVersion,
    Failures, Operation, PlanInput, PlannedView, Result, Seq, StoredView, StreamHeads, StreamId, TenantId,
    VersionConflict, ViewKey, ViewPin, ViewRead, Views, ports::Store,
};

use crate::{backoff::Backoff, registry::Member, shard::check_own};

/// How often an append is tried whose views another writer keeps changing.
const ATTEMPTS_MAX: u32 = 100;
const RETRY_FIRST: Duration = Duration::from_millis(1);
const RETRY_MAX: Duration = Duration::from_millis(50);

/// Appends events, and brings the views of inline projections up to date in the same transaction.
///
/// User code runs outside of the transaction: views and stream versions are read, the events are folded, and the append
/// succeeds only if everything is still as it was read. Otherwise it is tried again, as long as the caller's expectation
/// of the streams holds.
#[derive(Clone, Debug)]
pub struct Inline {
    store: Arc<dyn Store>,
    members: Arc<[Member]>,
}

impl Inline {
    pub(crate) fn new(store: Arc<dyn Store>, members: Vec<Member>) -> Self {
        Self { store, members: members.into() }
    }

    /// Whether an append has nothing to do but to append.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Appends the events of `batch`.
    ///
    /// # Errors
    ///
    /// Those of [`EventAppender::append`](ermine_core::ports::EventAppender::append);
    /// [`ViewConflict`](ErrorKind::ViewConflict) when other writers have changed the same views a hundred times in a row; the
    /// event that an inline projection refused, and then nothing is appended.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves open whether the events were appended; they are all there, with their views, or none is.
    pub async fn append(&self, batch: AppendBatch) -> Result<Appended> {
        if !batch.streams().iter().any(|s| s.events.iter().any(|e| self.wants(e.type_name()))) {
            return self.store.append(batch).await;
        }
        batch.check()?;
        let streams: Vec<(TenantId, StreamId)> =
            batch.streams().iter().map(|s| (s.tenant.clone(), s.stream.clone())).collect();
        let mut backoff = Backoff::new(RETRY_FIRST, RETRY_MAX);
        loop {
            let heads = self.store.read_heads(&streams).await?;
            if !batch.is_idempotent() {
                // Whoever has decided on an older state hears of that, and not what projections have against it.
                check_expected(&batch, &heads)?;
            }
            let pinned = match self.project(&batch, &heads).await {
                Ok((pins, operations)) => pin(&batch, &heads).with_operations(pins, operations),
                Err(refused) => {
                    if let Some(answer) = self.repeated(&batch).await? {
                        return Ok(answer);
                    }
                    if self.store.read_heads(&streams).await?.versions != heads.versions {
                        continue; // somebody has appended meanwhile, and views and events did not belong together
                    }
                    return Err(refused.context("appending with inline projections: nothing was appended"));
                }
            };
            let error = match self.store.append(pinned).await {
                Ok(appended) => return Ok(appended),
                Err(error) => error,
            };
            if !may_retry(&error, &batch) || backoff.attempts() + 1 >= ATTEMPTS_MAX {
                return Err(error);
            }
            tokio::time::sleep(backoff.next_delay()).await;
        }
    }

    fn wants(&self, name: &ermine_core::TypeName) -> bool {
        self.members.iter().any(|member| member.filter.admit(name) == Admission::Wanted)
    }

    /// What the batch changes in the views, and how they must be for that to be true.
    async fn project(
        &self,
        batch: &AppendBatch,
        heads: &StreamHeads,
    ) -> Result<(Vec<ViewPin>, Vec<Operation>)> {
        let events = events(batch, heads);
        let mut pins = Vec::new();
        let mut operations = Vec::new();
        for member in &*self.members {
            let wanted = events.iter().filter(|e| member.filter.admit(&e.type_name) == Admission::Wanted);
            let wanted: Vec<Event> = wanted.cloned().collect();
            if wanted.is_empty() {
                continue;
            }
            let named = |failures: Failures| {
                Error::from(failures)
                    .context(format!("folding for inline projection {}", member.table.projection()))
            };
            let range = EventRange::new(Seq::ZERO, Seq::ZERO.next()).expect("not empty");
            let page = Arc::new(EventPage { events: wanted, ..EventPage::empty(range) });
            let reads = member.projection.reads(&page).map_err(named)?;
            let input = PlanInput {
                page,
                table: member.table.clone(),
                views: Arc::new(self.read(reads).await?),
                effects_above: None,
                scope: Arc::default(),
            };
            let plan = member.projection.plan(input).map_err(named)?;
            let current = self.planned(member, plan.views()).await?;
            let output = plan.fold(0..current.len(), &current).map_err(named)?;
            pins.extend(plan.views().iter().zip(&current).map(|(planned, view)| ViewPin {
                table: member.table.clone(),
                key: planned.key.clone(),
                version: view.as_ref().map(|view| view.version),
                // The state of a stream has the stream's version, which is pinned and never used again.
                body: view.as_ref().filter(|_| !member.is_stream_state).map(|view| view.body.clone()),
            }));
            check_own(member, &output.operations)?;
            operations.extend(output.operations);
        }
        Ok((pins, operations))
    }

    /// The current state of each view; one that cannot be there is not looked for, because the pin says so as well.
    async fn planned(&self, member: &Member, views: &[PlannedView]) -> Result<Vec<Option<StoredView>>> {
        let (places, keys): (Vec<usize>, Vec<ViewKey>) = views
            .iter()
            .enumerate()
            .filter(|(_, view)| !view.fresh)
            .map(|(at, view)| (at, view.key.clone()))
            .unzip();
        let mut current = vec![None; views.len()];
        for (at, view) in places.into_iter().zip(self.current(member, &keys).await?) {
            current[at] = view;
        }
        Ok(current)
    }

    async fn current(&self, member: &Member, keys: &[ViewKey]) -> Result<Vec<Option<StoredView>>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        self.store.load_views(&member.table, keys).await
    }

    async fn read(&self, reads: Vec<ViewRead>) -> Result<Views> {
        let mut views = Views::default();
        for ViewRead { projection, keys } in reads {
            let Some(of) = self.members.iter().find(|member| *member.table.projection() == projection) else {
                return Err(Error::configuration(format!(
                    "an inline projection looks up views of \"{projection}\", which is not inline: make the one inline or \
                     the other async"
                )));
            };
            let mut seen = HashSet::new();
            let keys: Vec<ViewKey> = keys.into_iter().filter(|key| seen.insert(key.clone())).collect();
            let found = self.current(of, &keys).await?;
            views
                .insert(projection, keys.into_iter().zip(found).filter_map(|(key, view)| Some((key, view?))));
        }
        Ok(views)
    }

    /// The answer of the first time, where an idempotent batch is recorded already: its events may well be refused now,
    /// because they have been applied.
    async fn repeated(&self, batch: &AppendBatch) -> Result<Option<Appended>> {
        if !batch.is_idempotent() {
            return Ok(None);
        }
        let limit = std::num::NonZeroUsize::new(1_000).expect("not 0");
        for append in batch.streams() {
            let mut missing: HashSet<_> = append.events.iter().map(ermine_core::NewEvent::id).collect();
            let mut after = ermine_core::Version::ZERO;
            loop {
                let events = self.store.read_stream(&append.tenant, &append.stream, after, limit).await?;
                missing.retain(|id| events.iter().all(|event| event.id != *id));
                match events.last() {
                    Some(last) if events.len() == limit.get() && !missing.is_empty() => after = last.version,
                    _ => break,
                }
            }
            if !missing.is_empty() {
                return Ok(None);
            }
        }
        self.store.append(batch.clone()).await.map(Some)
    }
}

/// The events of a batch as they will be, but for their numbers.
fn events(batch: &AppendBatch, heads: &StreamHeads) -> Vec<Event> {
    let streams = batch.streams().iter().zip(&heads.versions);
    let of_stream = streams.flat_map(|(append, head)| {
        append.events.iter().enumerate().map(move |(nth, new)| Event {
            seq: Seq::ZERO,
            id: new.id(),
            tenant: append.tenant.clone(),
            stream: append.stream.clone(),
            version: head.plus(nth + 1),
            type_name: new.type_name().clone(),
            body: new.body().clone(),
            recorded_at: heads.at,
            metadata: new.metadata().cloned().map(Box::new),
        })
    });
    of_stream.collect()
}

fn check_expected(batch: &AppendBatch, heads: &StreamHeads) -> Result<()> {
    let mut streams = batch.streams().iter().zip(&heads.versions);
    match streams.find(|(append, head)| !append.expected.admits(**head)) {
        None => Ok(()),
        Some((append, head)) => Err(Error::conflict(VersionConflict {
            tenant: append.tenant.clone(),
            stream: append.stream.clone(),
            expected: append.expected,
            actual: *head,
        })),
    }
}

/// The batch with every stream expected to be as it was read, unless the caller expects something else of it.
fn pin(batch: &AppendBatch, heads: &StreamHeads) -> AppendBatch {
    let mut pinned = batch.clone();
    for (append, head) in pinned.streams_mut().iter_mut().zip(&heads.versions) {
        if append.expected == ExpectedVersion::Any {
            append.expected = ExpectedVersion::Exact(*head);
        }
    }
    pinned
}

/// Whether the append failed only because something moved that the caller has not pinned.
fn may_retry(error: &Error, batch: &AppendBatch) -> bool {
    match error.kind() {
        // Nothing was appended; a deadlock between writers of the same views is such a fault.
        ErrorKind::ViewConflict(_) | ErrorKind::Transient => true,
        ErrorKind::VersionConflict(conflict) => batch.streams().iter().any(|append| {
            append.stream == conflict.stream
                && append.tenant == conflict.tenant
                && append.expected == ExpectedVersion::Any
        }),
        _ => false,
    }
}

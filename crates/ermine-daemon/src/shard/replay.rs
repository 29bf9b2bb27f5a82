//! Doing what somebody has decided about dead letters.
//!
//! It happens between two lives of the pipeline, in the shard's own epoch, in commits that change views and settle letters
//! and do not move progress. So it never races live events, and a crash leaves each letter either settled or asked for.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    num::NonZeroUsize,
    sync::Arc,
};

use ermine_core::{
    Action, Admission, DeadLetter, Epoch, Error, ErrorClass, ErrorKind, Event, EventPage, EventRange,
    Failures, Incarnation, LetterChanges, LetterId, LetterQuery, LetterRequest, LetterState, LetterStatus,
    Operation, ParkKey, PlanInput, Result, Scope, Seq, ShardBatch, StoredView, StreamId, TenantId, Version,
    ViewKey, ports::DeadLetterStore,
};

use super::{
    answer,
    fold::deliver,
    setback::Setback,
    stages::{Changed, Stages, Unfolded},
    worker::Worker,
};
use crate::{
    errors::{Verdict, class_of_refusal, storable, unknown_event},
    registry::{Member, Work},
};

/// How many letters or waiting events are dealt with in one commit.
const CHUNK: NonZeroUsize = NonZeroUsize::new(200).expect("not 0");
/// How many events of a stream are folded at once when a view is made again.
const STREAM_PAGE: NonZeroUsize = NonZeroUsize::new(1_000).expect("not 0");

/// The decisions about the letters of one shard, at one place of its progress.
pub(super) struct Replay<'w> {
    pub(super) worker: &'w Worker,
    pub(super) epoch: Epoch,
    pub(super) incarnation: Incarnation,
    pub(super) position: Seq,
    pub(super) effects_above: Option<Seq>,
}

/// Events that were refused, and why.
type Refused = HashMap<Seq, Arc<Error>>;

impl Replay<'_> {
    /// Deals with every letter about which somebody has decided, unless the shard is to stand still: then it stops between two
    /// commits, and what is left is found when the shard goes on.
    pub(super) async fn run(&self) -> Result<(), Setback> {
        let Some(store) = self.worker.store.dead_letters().filter(|_| !self.worker.is_strict()) else {
            return Ok(());
        };
        let mut after = None;
        while !self.worker.is_to_stand_still() {
            let letters = self.letters(
                store,
                LetterQuery {
                    statuses: LetterStatus::REQUESTED.to_vec(),
                    limit: Some(CHUNK.get()),
                    after: after.take(),
                    ..LetterQuery::default()
                },
            );
            let letters = letters.await?;
            let Some(last) = letters.last() else { return Ok(()) };
            after = Some(last.id.clone());
            self.settle(store, letters).await?;
        }
        Ok(())
    }

    async fn letters(&self, store: &dyn DeadLetterStore, query: LetterQuery) -> Result<Vec<DeadLetter>> {
        let shard = &self.worker.shard.name;
        let doing = || format!("reading dead letters of shard {shard}");
        let query = LetterQuery { shard: Some(shard.clone()), ..query };
        answer(self.worker.settings.call_deadline, doing, store.letters(query)).await
    }

    async fn settle(&self, store: &dyn DeadLetterStore, letters: Vec<DeadLetter>) -> Result<(), Setback> {
        let (keyed, loose): (Vec<_>, Vec<_>) =
            letters.into_iter().partition(|letter| letter.id.key.is_some());
        let keys: BTreeSet<ParkKey> = keyed.into_iter().filter_map(|letter| letter.id.key).collect();
        for key in keys {
            self.drain(store, &key).await?;
        }
        let (retried, discarded): (Vec<_>, Vec<_>) =
            loose.into_iter().partition(|letter| letter.state.status() == LetterStatus::Retry);
        if !discarded.is_empty() {
            let letters = discarded.into_iter().map(|letter| self.settled(letter)).collect();
            let changes = LetterChanges { letters, ..LetterChanges::default() };
            self.commit(Vec::new(), changes).await?;
        }
        match self.worker.shard.stream_state() {
            _ if retried.is_empty() => Ok(()),
            Some(member) => {
                let streams: BTreeSet<(TenantId, StreamId)> =
                    retried.into_iter().map(|letter| (letter.tenant, letter.stream)).collect();
                for (tenant, stream) in streams {
                    self.fold_again(store, member, &tenant, &stream).await?;
                }
                Ok(())
            }
            None => {
                if !self.apply_late(store, &retried).await? {
                    for letter in &retried {
                        self.apply_late(store, std::slice::from_ref(letter)).await?;
                    }
                }
                Ok(())
            }
        }
    }

    /// Applies events on top of whatever has been applied meanwhile. False when they have to be tried one by one.
    async fn apply_late(&self, store: &dyn DeadLetterStore, letters: &[DeadLetter]) -> Result<bool, Setback> {
        let seqs: Vec<Seq> = letters.iter().map(|letter| letter.id.seq).collect();
        let (mut events, mut refused) = self.wanted(store, &seqs).await?;
        let waiting = self.worker.waiting().await?;
        loop {
            let changed = match page(&events) {
                None => Ok(Changed::default()),
                Some(page) => self.fold(page, without(&waiting)).await,
            };
            let committed = match changed {
                Ok(changed) => {
                    let withheld = changed.withheld.into_iter().map(|(view, seq)| (ParkKey::View(view), seq));
                    let settle = |letter: &DeadLetter| self.outcome(letter, refused.get(&letter.id.seq));
                    let changes = LetterChanges {
                        letters: letters.iter().map(settle).collect(),
                        parked: withheld.collect(),
                        released: Vec::new(),
                    };
                    self.commit(changed.operations, changes).await
                }
                Err(Unfolded::Failed(error)) => return Err(error.into()),
                Err(Unfolded::Refused(failures)) => {
                    if failures.iter().any(|failure| !failure.is_exact) && events.len() > 1 {
                        return Ok(false);
                    }
                    refused.extend(self.refusals(failures)?);
                    events.retain(|event| !refused.contains_key(&event.seq));
                    continue;
                }
            };
            match committed {
                Ok(()) => return Ok(true),
                Err(error) if !error.class().is_about_an_event() || events.is_empty() => {
                    return Err(error.into());
                }
                Err(_) if events.len() > 1 => return Ok(false),
                Err(error) => {
                    refused.insert(events[0].seq, Arc::new(error));
                    events.clear();
                }
            }
        }
    }

    /// Makes the view of a stream again out of all its events but those that are still dead, wait or are ignored.
    async fn fold_again(
        &self,
        store: &dyn DeadLetterStore,
        member: &Member,
        tenant: &TenantId,
        stream: &StreamId,
    ) -> Result<(), Setback> {
        let query = LetterQuery {
            tenant: Some(tenant.clone()),
            stream: Some(stream.clone()),
            ..LetterQuery::default()
        };
        let letters = self.letters(store, query).await?;
        let is = |letter: &DeadLetter, status| letter.state.status() == status;
        let asked: Vec<&DeadLetter> = letters.iter().filter(|l| is(l, LetterStatus::Retry)).collect();
        let is_dead = |l: &&DeadLetter| !is(l, LetterStatus::Retry) && !is(l, LetterStatus::Replayed);
        let mut dead: HashSet<Seq> = letters.iter().filter(is_dead).map(|letter| letter.id.seq).collect();
        dead.extend(self.waiting_of(store, tenant, stream).await?);
        let mut refused: Refused = asked.iter().filter_map(|letter| self.still_unknown(letter)).collect();
        dead.extend(refused.keys().copied());
        let operations = loop {
            match self.fold_stream(member, tenant, stream, &dead).await {
                Ok(operations) => break operations,
                Err(Unfolded::Failed(error)) => return Err(error.into()),
                Err(Unfolded::Refused(failures)) => {
                    let mut more = self.refusals(failures)?;
                    dead.extend(more.extract_if(|_, error| self.is_ignored(error)).map(|(seq, _)| seq));
                    let is_asked = |seq: &Seq| asked.iter().any(|letter| letter.id.seq == *seq);
                    if let Some(error) = more.iter().find(|(seq, _)| !is_asked(seq)).map(|(_, error)| error) {
                        // An event that has been applied before is refused now: the letters are not to blame, and stay.
                        refused = asked.iter().map(|letter| (letter.id.seq, error.clone())).collect();
                        break Vec::new();
                    }
                    dead.extend(more.keys().copied());
                    refused.extend(more);
                }
            }
        };
        let changes = |refused: &Refused| LetterChanges {
            letters: asked.iter().map(|letter| self.outcome(letter, refused.get(&letter.id.seq))).collect(),
            ..LetterChanges::default()
        };
        let operations = if asked.iter().all(|letter| refused.contains_key(&letter.id.seq)) {
            Vec::new()
        } else {
            operations
        };
        match self.commit(operations, changes(&refused)).await {
            Err(error) if error.class().is_about_an_event() => {
                let error = Arc::new(error);
                let refused = asked.iter().map(|letter| (letter.id.seq, error.clone())).collect();
                Ok(self.commit(Vec::new(), changes(&refused)).await?)
            }
            committed => Ok(committed?),
        }
    }

    /// The events of a stream that wait, behind it or behind its view.
    async fn waiting_of(
        &self,
        store: &dyn DeadLetterStore,
        tenant: &TenantId,
        stream: &StreamId,
    ) -> Result<Vec<Seq>> {
        let of_stream = ParkKey::Stream { tenant: tenant.clone(), stream: stream.clone() };
        let of_view = ParkKey::View(ViewKey { tenant: tenant.clone(), id: stream.clone().into() });
        let waiting = self.worker.waiting().await?;
        let mut all = Vec::new();
        for key in [of_stream, of_view].iter().filter(|key| waiting.contains(key)) {
            let mut after = Seq::ZERO;
            loop {
                let parked = self.parked(store, key, after, CHUNK).await?;
                let Some(last) = parked.last() else { break };
                after = *last;
                all.extend(parked);
            }
        }
        Ok(all)
    }

    async fn parked(
        &self,
        store: &dyn DeadLetterStore,
        key: &ParkKey,
        after: Seq,
        limit: NonZeroUsize,
    ) -> Result<Vec<Seq>> {
        let shard = &self.worker.shard.name;
        let doing = || format!("reading what waits behind {key} in shard {shard}");
        let parked = store.parked(shard, key, after, limit);
        answer(self.worker.settings.call_deadline, doing, parked).await
    }

    /// The event of a letter, if nothing registered knows its type even now.
    fn still_unknown(&self, letter: &DeadLetter) -> Option<(Seq, Arc<Error>)> {
        let (seq, type_name) = (letter.id.seq, &letter.type_name);
        let is_unknown = self.worker.shard.filter.admit(type_name) == Admission::Unknown;
        is_unknown.then(|| (seq, Arc::new(unknown_event(seq, &letter.stream, type_name))))
    }

    /// Whether the rules pass such an event without a letter, so that nothing tells that it was left out.
    fn is_ignored(&self, error: &Error) -> bool {
        let verdict = self.worker.shard.errors.verdict(false, error.class(), error, u32::MAX);
        verdict == Verdict::Do(Action::Ignore)
    }

    async fn fold_stream(
        &self,
        member: &Member,
        tenant: &TenantId,
        stream: &StreamId,
        dead: &HashSet<Seq>,
    ) -> Result<Vec<Operation>, Unfolded> {
        let shard = &self.worker.shard;
        let key = ViewKey { tenant: tenant.clone(), id: stream.clone().into() };
        let (table, mut current): (_, Option<StoredView>) = (member.table.clone(), None);
        let mut effects: Vec<(Seq, Operation)> = Vec::new();
        let mut after = Version::ZERO;
        loop {
            let doing = || format!("reading stream \"{stream}\" for shard {}", shard.name);
            let read = self.worker.store.read_stream(tenant, stream, after, STREAM_PAGE);
            let mut events = answer(self.worker.settings.call_deadline, doing, read).await?;
            let is_last = events.len() < STREAM_PAGE.get();
            after = events.last().map_or(after, |event| event.version);
            events.retain(|event| {
                event.seq <= self.position
                    && !dead.contains(&event.seq)
                    && shard.filter.admit(&event.type_name) == Admission::Wanted
            });
            if let Some(page) = page(&events) {
                let mut input = PlanInput::new(page, table.clone());
                input.effects_above = self.effects_above;
                let _working = self.worker.busy.work();
                let output = self.worker.busy.spot().watch(|| {
                    let plan = member.projection.plan(input)?;
                    plan.fold(0..plan.views().len(), &vec![current.clone(); plan.views().len()])
                })?;
                for operation in output.operations {
                    current = operation.result().cloned();
                }
                effects.extend(output.effects);
            }
            if is_last {
                break;
            }
        }
        let mut operations = vec![match current {
            Some(view) => Operation::Store { table, key, view },
            None => Operation::Delete { table, key },
        }];
        operations.extend(effects.into_iter().map(|(_, operation)| operation));
        Ok(operations)
    }

    /// Applies what waits behind `key`, in order, up to the first letter about which nobody has decided. A letter counts as
    /// settled when nothing waits behind it any more, so that whoever goes on after a crash finds what is left.
    async fn drain(&self, store: &dyn DeadLetterStore, key: &ParkKey) -> Result<(), Setback> {
        let query = LetterQuery {
            key: Some(key.clone()),
            statuses: LetterStatus::OPEN.to_vec(),
            ..LetterQuery::default()
        };
        let mut open: HashMap<Seq, DeadLetter> =
            self.letters(store, query).await?.into_iter().map(|letter| (letter.id.seq, letter)).collect();
        let mut limit = CHUNK;
        while !self.worker.is_to_stand_still() {
            let parked = self.parked(store, key, Seq::ZERO, limit).await?;
            let status = |seq: &Seq| open.get(seq).map(|letter| letter.state.status());
            let Some(head) = parked.first().filter(|seq| status(seq) != Some(LetterStatus::Waiting)) else {
                let done = self.done(&mut open, &parked);
                return if done.is_empty() {
                    Ok(())
                } else {
                    let changes = LetterChanges { letters: done, ..LetterChanges::default() };
                    Ok(self.commit(Vec::new(), changes).await?)
                };
            };
            if status(head) == Some(LetterStatus::Discard) {
                let released = vec![(key.clone(), *head)];
                self.commit(Vec::new(), LetterChanges { released, ..LetterChanges::default() }).await?;
                continue;
            }
            let goes_on = |seq: &&Seq| matches!(status(seq), None | Some(LetterStatus::Retry));
            let run: Vec<Seq> = parked.iter().take_while(goes_on).copied().collect();
            let is_all = parked.len() < limit.get() && run.len() == parked.len();
            match self.apply_run(store, key, &run, is_all, &mut open).await? {
                Applied::All => limit = CHUNK,
                Applied::Less(events) => limit = events,
                Applied::Refused(error) => {
                    return self.refuse(store, key, *head, &error, &mut open).await;
                }
            }
        }
        Ok(())
    }

    async fn apply_run(
        &self,
        store: &dyn DeadLetterStore,
        key: &ParkKey,
        run: &[Seq],
        is_all: bool,
        open: &mut HashMap<Seq, DeadLetter>,
    ) -> Result<Applied, Setback> {
        let less = |events: usize| NonZeroUsize::new(events).map(Applied::Less);
        let (events, unknown) = self.wanted(store, run).await?;
        if let Some((seq, error)) = unknown.into_iter().min_by_key(|(seq, _)| *seq) {
            let before = run.iter().take_while(|it| **it < seq).count();
            return Ok(less(before).unwrap_or(Applied::Refused(error)));
        }
        let scope = match key {
            ParkKey::View(view) => Arc::new(Scope::Only(view.clone())),
            ParkKey::Stream { .. } => without(&self.worker.waiting().await?),
        };
        let changed = match page(&events) {
            None => Changed::default(),
            Some(page) => match self.fold(page, scope).await {
                Ok(changed) => changed,
                Err(Unfolded::Failed(error)) => return Err(error.into()),
                Err(Unfolded::Refused(failures)) => {
                    let is_exact = failures.iter().all(|failure| failure.is_exact);
                    let first = self.refusals(failures)?.into_iter().min_by_key(|(seq, _)| *seq);
                    let Some((seq, error)) = first else { return Ok(Applied::All) };
                    let before =
                        if is_exact { run.iter().take_while(|it| **it < seq).count() } else { run.len() / 2 };
                    return Ok(less(before).unwrap_or(Applied::Refused(error)));
                }
            },
        };
        let changes = LetterChanges {
            letters: if is_all { self.done(open, &[]) } else { Vec::new() },
            parked: changed.withheld.into_iter().map(|(view, seq)| (ParkKey::View(view), seq)).collect(),
            released: run.iter().map(|seq| (key.clone(), *seq)).collect(),
        };
        match self.commit(changed.operations, changes).await {
            Ok(()) => Ok(Applied::All),
            Err(error) if error.class().is_about_an_event() => {
                Ok(less(run.len() / 2).unwrap_or(Applied::Refused(Arc::new(error))))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The letters of a key that were decided about and do not wait any more, settled.
    fn done(&self, open: &mut HashMap<Seq, DeadLetter>, parked: &[Seq]) -> Vec<DeadLetter> {
        let done = |seq: &Seq, letter: &DeadLetter| {
            letter.state.status() != LetterStatus::Waiting && !parked.contains(seq)
        };
        let done: Vec<DeadLetter> =
            open.extract_if(|seq, letter| done(seq, letter)).map(|(_, l)| l).collect();
        done.into_iter().map(|letter| self.settled(letter)).collect()
    }

    /// The first event that waits behind `key` is refused again, or for the first time.
    async fn refuse(
        &self,
        store: &dyn DeadLetterStore,
        key: &ParkKey,
        seq: Seq,
        error: &Arc<Error>,
        open: &mut HashMap<Seq, DeadLetter>,
    ) -> Result<(), Setback> {
        let refused = match open.remove(&seq) {
            Some(letter) => Some(self.outcome(&letter, Some(error))),
            None => {
                let doing = || format!("reading event {seq} for shard {}", self.worker.shard.name);
                let read = store.read_events(std::slice::from_ref(&seq));
                let read = answer(self.worker.settings.call_deadline, doing, read).await?;
                read.first().map(|event| self.new_letter(event, key, error))
            }
        };
        let mut letters = self.done(open, &[seq]);
        letters.extend(refused);
        Ok(self.commit(Vec::new(), LetterChanges { letters, ..LetterChanges::default() }).await?)
    }

    fn new_letter(&self, event: &Event, key: &ParkKey, error: &Arc<Error>) -> DeadLetter {
        let now = self.worker.clock.now();
        let id = LetterId { shard: self.worker.shard.name.clone(), seq: event.seq, key: Some(key.clone()) };
        let letter = DeadLetter {
            id,
            tenant: event.tenant.clone(),
            stream: event.stream.clone(),
            version: event.version,
            type_name: event.type_name.clone(),
            body: event.body.clone(),
            class: None,
            error: String::new(),
            attempts: 0,
            first_at: now,
            last_at: now,
            state: LetterState::Waiting,
        };
        self.outcome(&letter, Some(error))
    }

    /// The events that this shard wants, and those of unknown types, which are refused.
    async fn wanted(&self, store: &dyn DeadLetterStore, seqs: &[Seq]) -> Result<(Vec<Event>, Refused)> {
        let shard = &self.worker.shard;
        let doing = || format!("reading {} events for shard {}", seqs.len(), shard.name);
        let mut events = answer(self.worker.settings.call_deadline, doing, store.read_events(seqs)).await?;
        let mut unknown = Refused::new();
        events.retain(|event| match shard.filter.admit(&event.type_name) {
            Admission::Wanted => true,
            Admission::Other => false,
            Admission::Unknown => {
                let error = unknown_event(event.seq, &event.stream, &event.type_name);
                unknown.insert(event.seq, Arc::new(error));
                false
            }
        });
        Ok((events, unknown))
    }

    async fn fold(&self, page: Arc<EventPage>, scope: Arc<Scope>) -> Result<Changed, Unfolded> {
        let worker = self.worker;
        let _working = worker.busy.work();
        match &worker.shard.work {
            Work::Subscription(subscription) => deliver(&**subscription, page).await,
            Work::Stages(members) => {
                let mut stages = Stages::new(
                    worker.shard.clone(),
                    worker.store.clone(),
                    worker.settings.clone(),
                    self.effects_above,
                    members,
                    worker.busy.clone(),
                )
                .late();
                stages.fold(&page, 1, &scope).await
            }
        }
    }

    /// What was refused, unless it was a passing fault, which no event is to blame for.
    fn refusals(&self, failures: Failures) -> Result<Refused> {
        let mut refused = Refused::new();
        for failure in failures {
            let seq = failure.seq;
            let error = Error::from(failure);
            if class_of_refusal(&*self.worker.store, &error) == ErrorClass::Transient {
                return Err(error.with_kind(ErrorKind::Transient));
            }
            refused.entry(seq).or_insert_with(|| Arc::new(error));
        }
        Ok(refused)
    }

    fn outcome(&self, letter: &DeadLetter, refused: Option<&Arc<Error>>) -> DeadLetter {
        let mut letter = letter.clone();
        let Some(error) = refused else { return self.settled(letter) };
        letter.attempts += 1;
        letter.class = Some(error.class());
        letter.error = storable(error);
        letter.last_at = self.worker.clock.now();
        letter.state = LetterState::Waiting;
        tracing::warn!(letter = %letter.id, "a dead letter was refused again: {}", letter.error);
        letter
    }

    fn settled(&self, mut letter: DeadLetter) -> DeadLetter {
        let at = self.worker.clock.now();
        letter.state = match letter.state {
            LetterState::Requested(LetterRequest::Discard { by, reason }) => {
                LetterState::Discarded { at, by, reason }
            }
            _ => {
                letter.attempts += 1;
                LetterState::Replayed { at }
            }
        };
        tracing::info!(letter = %letter.id, status = %letter.state.status(), "a dead letter is settled");
        letter
    }

    async fn commit(&self, operations: Vec<Operation>, letters: LetterChanges) -> Result<()> {
        let worker = self.worker;
        let shard = &worker.shard.name;
        let publishes = operations.iter().any(|operation| matches!(operation, Operation::Publish(_)));
        let batch = ShardBatch {
            operations,
            letters,
            members: worker.shard.members.clone(),
            ..ShardBatch::new(shard.clone(), self.epoch, self.incarnation, self.position, self.position)
        };
        let doing = || format!("settling dead letters of shard {shard}");
        answer(worker.settings.call_deadline, doing, worker.store.commit(batch)).await?;
        if publishes {
            worker.published.notify_one();
        }
        Ok(())
    }
}

/// What came of a run of waiting events.
enum Applied {
    All,
    /// Nothing yet: so many of them are tried first.
    Less(NonZeroUsize),
    /// The first of them was refused.
    Refused(Arc<Error>),
}

fn page(events: &[Event]) -> Option<Arc<EventPage>> {
    let (first, last) = (events.first()?, events.last()?);
    let range = EventRange::new(first.seq.previous(), last.seq)?;
    Some(Arc::new(EventPage { events: events.to_vec(), ..EventPage::empty(range) }))
}

fn without(waiting: &HashSet<ParkKey>) -> Arc<Scope> {
    let views = waiting.iter().filter_map(|key| match key {
        ParkKey::View(view) => Some((view.clone(), Seq::ZERO)),
        ParkKey::Stream { .. } => None,
    });
    Arc::new(Scope::Without(views.collect()))
}

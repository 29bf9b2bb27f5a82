//! What becomes of the events of a page that fail.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ermine_core::{
    Action, Clock, DeadLetter, Error, ErrorClass, ErrorKind, Event, EventPage, EventRange, Failure, Failures,
    LetterChanges, LetterId, LetterQuery, LetterState, ParkKey, Result, Scope, Seq, SkippedEvent,
    UnknownEvent, ViewKey,
    ports::{DeadLetterStore, Store},
};

use super::{
    Shard, answer,
    setback::{Remedy, Setback},
};
use crate::errors::{Verdict, class_of_refusal, storable, unknown_event};

/// How often each event has been tried in vain; kept while the pipeline comes and goes.
#[derive(Debug, Default)]
pub(super) struct Tries(Mutex<HashMap<Seq, u32>>);

impl Tries {
    fn of(&self, seq: Seq) -> u32 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&seq).copied().unwrap_or_default()
    }

    fn add(&self, seq: Seq) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(seq).or_default() += 1;
    }

    /// Forgets what has been passed.
    pub(super) fn forget_up_to(&self, progress: Seq) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|seq, _| *seq > progress);
    }
}

/// An event that the store refuses, as its commit has shown.
#[derive(Clone, Debug)]
pub(super) struct Blamed {
    pub(super) view: Option<ViewKey>,
    pub(super) error: Arc<Error>,
}

/// Decides about the events that fail in one shard.
#[derive(Debug)]
pub(super) struct Triage {
    pub(super) shard: Arc<Shard>,
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
    /// How long one call of the store may take.
    pub(super) call_deadline: Duration,
    /// Whether the run ends at what is not skipped.
    pub(super) is_strict: bool,
    /// Whether everything is applied anew, so that an event of an unknown type may be missed that was applied before.
    pub(super) is_rebuild: bool,
    pub(super) tries: Arc<Tries>,
    pub(super) blamed: HashMap<Seq, Blamed>,
    /// Behind what later events wait.
    pub(super) waiting: HashSet<ParkKey>,
    /// How many letters and waiting events there are; counted when it matters.
    pub(super) held: Option<u64>,
}

/// A page on its way, with what has failed in it so far.
#[derive(Debug)]
pub(super) struct Case {
    page: Arc<EventPage>,
    left_out: HashSet<Seq>,
    /// Views and streams whose events wait, and from which one on.
    views: HashMap<ViewKey, Seq>,
    pub(super) letters: LetterChanges,
    /// Events of unknown types, or marked as skipped, or ignored.
    pub(super) unknown_events: u64,
    pub(super) skipped_events: u64,
}

/// Why a page cannot go through as a whole.
#[derive(Debug)]
pub(super) struct Stop {
    /// What is before this event can go through.
    pub(super) at: Option<Seq>,
    pub(super) setback: Setback,
}

impl<E: Into<Setback>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self { at: None, setback: error.into() }
    }
}

/// One event that was refused.
struct Refusal<'e> {
    event: &'e Event,
    view: Option<ViewKey>,
    class: ErrorClass,
    error: Arc<Error>,
}

impl Triage {
    /// Opens the case of a page: what must not be folded of it is known now.
    pub(super) async fn open(&mut self, page: &Arc<EventPage>, is_composite: bool) -> Result<Case, Stop> {
        let mut case = Case {
            page: page.clone(),
            left_out: HashSet::new(),
            views: HashMap::new(),
            letters: LetterChanges::default(),
            unknown_events: 0,
            skipped_events: 0,
        };
        if !self.waiting.is_empty() {
            for key in &self.waiting {
                if let ParkKey::View(view) = key {
                    case.views.insert(view.clone(), Seq::ZERO);
                }
            }
            for event in &page.events {
                let key = stream_key(event);
                if self.waiting.contains(&key) {
                    case.left_out.insert(event.seq);
                    case.letters.parked.push((key, event.seq));
                }
            }
        }
        self.pass_unknown(&page.unknown, &mut case).await?;
        self.pass_skipped(&page.skipped, &mut case).await?;
        if !self.blamed.is_empty() {
            let blamed = page.events.iter().filter_map(|event| Some((event, self.blamed.get(&event.seq)?)));
            let blamed = blamed.map(|(event, blamed)| Refusal {
                event,
                view: blamed.view.clone().filter(|_| !is_composite),
                class: ErrorClass::Apply,
                error: blamed.error.clone(),
            });
            self.rule(blamed.collect(), &mut case)?;
        }
        Ok(case)
    }

    /// Decides about events that were refused: afterwards the page is folded again without them.
    pub(super) fn refuse(&self, failures: Failures, case: &mut Case, is_composite: bool) -> Result<(), Stop> {
        let page = case.page.clone();
        let left = page.events.len() - case.left_out.len();
        let mut refusals = Vec::new();
        for failure in failures {
            let Some(event) = page.events.iter().find(|event| event.seq == failure.seq) else {
                // Only changes of views, which later stages of a composite see, are not in the page.
                return Err(self.named(failure.into(), page.range).into());
            };
            if !failure.is_exact && left > 1 {
                return Err(self.inexact(failure, page.range, left).into());
            }
            let view = failure.view.clone().map(|view| *view).filter(|_| !is_composite);
            let error = Error::from(failure);
            let class = class_of_refusal(&*self.store, &error);
            if class == ErrorClass::Transient {
                return Err(self.named(error.with_kind(ErrorKind::Transient), page.range).into());
            }
            refusals.push(Refusal { event, view, class, error: Arc::new(error) });
        }
        self.rule(refusals, case)
    }

    /// Some event of the page is to blame. User code without effects finds out which; a subscription is not asked to do again
    /// what it may have done.
    fn inexact(&self, failure: Failure, range: EventRange, events: usize) -> Setback {
        let error = Error::from(failure);
        let class = class_of_refusal(&*self.store, &error);
        let error =
            if class == ErrorClass::Transient { error.with_kind(ErrorKind::Transient) } else { error };
        let may_narrow = class != ErrorClass::Transient && !self.shard.is_subscription();
        let remedy = if may_narrow { Remedy::Narrow(events / 2) } else { Remedy::Rules };
        Setback { error: self.named(error, range), remedy }
    }

    fn rule(&self, mut refusals: Vec<Refusal<'_>>, case: &mut Case) -> Result<(), Stop> {
        refusals.sort_by_key(|refusal| refusal.event.seq);
        let table = &self.shard.errors;
        let verdict = |refusal: &Refusal<'_>| {
            let tries = self.tries.of(refusal.event.seq);
            table.verdict(self.is_strict, refusal.class, &refusal.error, tries)
        };
        let verdicts: Vec<Verdict> = refusals.iter().map(verdict).collect();
        self.try_again(&refusals, &verdicts, case)?;
        for (refusal, verdict) in refusals.into_iter().zip(verdicts) {
            match verdict {
                Verdict::Do(Action::Skip) if self.store.dead_letters().is_some() => self.pass(&refusal, case),
                Verdict::Do(Action::Ignore) => {
                    if case.left_out.insert(refusal.event.seq) {
                        case.skipped_events += 1;
                        tracing::warn!(
                            shard = %self.shard.name, seq = %refusal.event.seq,
                            "ignored an event: {}", refusal.error.chain()
                        );
                    }
                }
                verdict => {
                    let seq = refusal.event.seq;
                    let error = self.named(shared(&refusal.error), case.page.range);
                    let setback = Setback { error, remedy: Remedy::Decided(verdict, seq) };
                    return Err(Stop { at: Some(seq), setback });
                }
            }
        }
        Ok(())
    }

    /// All that are to be tried again are tried together, after the longest of their delays.
    fn try_again(&self, refusals: &[Refusal<'_>], verdicts: &[Verdict], case: &Case) -> Result<(), Stop> {
        let mut longest = None;
        for (refusal, verdict) in refusals.iter().zip(verdicts) {
            if let Verdict::Retry(delay) = verdict
                && !case.left_out.contains(&refusal.event.seq)
            {
                self.tries.add(refusal.event.seq);
                longest = longest.max(Some((*delay, refusal.event.seq)));
            }
        }
        let Some((delay, seq)) = longest else { return Ok(()) };
        let first = refusals.iter().find(|refusal| refusal.event.seq == seq);
        let error = first.map_or_else(|| Error::fatal("trying again"), |first| shared(&first.error));
        let remedy = Remedy::Decided(Verdict::Retry(delay), seq);
        Err(Setback { error: self.named(error, case.page.range), remedy }.into())
    }

    /// Leaves a letter for the event, and keeps from the page what has to wait behind it.
    fn pass(&self, refusal: &Refusal<'_>, case: &mut Case) {
        let event = refusal.event;
        let key = self.shard.errors.dead_letters().parks.then(|| match &refusal.view {
            Some(view) => ParkKey::View(view.clone()),
            None => stream_key(event),
        });
        let is_waiting = match &key {
            Some(ParkKey::View(view)) => case.views.get(view).is_some_and(|from| *from <= event.seq),
            _ => case.left_out.contains(&event.seq),
        };
        if is_waiting {
            return; // an earlier one of its view or stream has failed in this page, or it has a letter
        }
        tracing::warn!(
            shard = %self.shard.name, seq = %event.seq, stream = %event.stream,
            "an event is passed and leaves a dead letter: {}", refusal.error.chain()
        );
        let mut letter = self.letter(event, key.clone());
        letter.class = Some(refusal.class);
        letter.error = storable(&refusal.error);
        letter.attempts = self.tries.of(event.seq) + 1;
        case.letters.letters.push(letter);
        match key {
            None => drop(case.left_out.insert(event.seq)),
            Some(ParkKey::View(view)) => drop(case.views.insert(view, event.seq)),
            Some(key @ ParkKey::Stream { .. }) => {
                for later in case.page.events.iter().filter(|e| e.seq >= event.seq && stream_key(e) == key) {
                    if case.left_out.insert(later.seq) {
                        case.letters.parked.push((key.clone(), later.seq));
                    }
                }
            }
        }
    }

    fn letter(&self, event: &Event, key: Option<ParkKey>) -> DeadLetter {
        let now = self.clock.now();
        DeadLetter {
            id: LetterId { shard: self.shard.name.clone(), seq: event.seq, key },
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
        }
    }

    async fn pass_unknown(&self, unknown: &[UnknownEvent], case: &mut Case) -> Result<(), Stop> {
        let Some(first) = unknown.first() else { return Ok(()) };
        let mut lettered: HashMap<Seq, Arc<Error>> = HashMap::new();
        let letters =
            self.store.dead_letters().filter(|_| self.shard.errors.dead_letters().for_unknown_events);
        for event in unknown {
            let error = Arc::new(unknown_event(event.seq, &event.stream, &event.type_name));
            let tries = self.tries.of(event.seq);
            match self.shard.errors.verdict(self.is_rebuild, ErrorClass::UnknownEvent, &error, tries) {
                Verdict::Do(action @ (Action::Skip | Action::Ignore)) => {
                    case.unknown_events += 1;
                    if action == Action::Skip && letters.is_some() {
                        lettered.insert(event.seq, error);
                    }
                }
                verdict => {
                    if matches!(verdict, Verdict::Retry(_)) {
                        self.tries.add(event.seq);
                    }
                    let error = self.named(shared(&error), case.page.range);
                    let setback = Setback { error, remedy: Remedy::Decided(verdict, event.seq) };
                    return Err(Stop { at: Some(event.seq), setback });
                }
            }
        }
        tracing::warn!(
            shard = %self.shard.name,
            events = unknown.len(),
            first_seq = %first.seq,
            first_type = %first.type_name,
            first_stream = %first.stream,
            "passed events of types that nothing registered knows"
        );
        if let Some(store) = letters {
            for event in self.read_events(store, lettered.keys().copied().collect()).await? {
                let mut letter = self.letter(&event, None);
                letter.class = Some(ErrorClass::UnknownEvent);
                letter.error = lettered.get(&event.seq).map(|error| storable(error)).unwrap_or_default();
                letter.attempts = 1;
                case.letters.letters.push(letter);
            }
        }
        Ok(())
    }

    async fn pass_skipped(&self, skipped: &[SkippedEvent], case: &mut Case) -> Result<(), Stop> {
        if skipped.is_empty() {
            return Ok(());
        }
        case.skipped_events += skipped.len() as u64;
        for event in skipped {
            tracing::warn!(
                shard = %self.shard.name, seq = %event.seq, stream = %event.stream, reason = %event.reason,
                "passed an event that is marked as skipped"
            );
        }
        if let Some(store) = self.store.dead_letters() {
            for event in self.read_events(store, skipped.iter().map(|event| event.seq).collect()).await? {
                let reason = skipped.iter().find(|it| it.seq == event.seq).map(|it| it.reason.to_string());
                let mut letter = self.letter(&event, None);
                letter.state = LetterState::Discarded {
                    at: letter.last_at,
                    by: "operator".into(),
                    reason: reason.unwrap_or_default(),
                };
                case.letters.letters.push(letter);
            }
        }
        Ok(())
    }

    /// Closes the case of a page that has been folded: what is kept from it counts against the cap.
    pub(super) async fn close(&mut self, case: &mut Case, withheld: Vec<(ViewKey, Seq)>) -> Result<(), Stop> {
        case.letters.parked.extend(withheld.into_iter().map(|(view, seq)| (ParkKey::View(view), seq)));
        // An event behind whose letter others wait is the first of those that wait.
        let counts = |letter: &&DeadLetter| letter.state == LetterState::Waiting && letter.id.key.is_none();
        let open = case.letters.letters.iter().filter(counts);
        let mut kept: Vec<Seq> = open.map(|letter| letter.id.seq).collect();
        kept.extend(case.letters.parked.iter().map(|(_, seq)| *seq));
        if kept.is_empty() {
            return Ok(());
        }
        kept.sort_unstable();
        let held = match self.held {
            Some(held) => held,
            None => self.count_held().await?,
        };
        let options = self.shard.errors.dead_letters();
        let room = usize::try_from(options.cap.get().saturating_sub(held)).unwrap_or(usize::MAX);
        if let Some(at) = kept.get(room) {
            let error = Error::fatal(format!(
                "shard {} has {} dead letters and waiting events, and at most {} are allowed: retry or discard some, or raise \
                 the cap",
                self.shard.name,
                held.max(options.cap.get()),
                options.cap
            ));
            let remedy = Remedy::Decided(Verdict::Do(options.when_full), *at);
            return Err(Stop { at: Some(*at), setback: Setback { error, remedy } });
        }
        self.held = Some(held + kept.len() as u64);
        self.waiting.extend(case.letters.parked.iter().map(|(key, _)| key.clone()));
        Ok(())
    }

    async fn count_held(&self) -> Result<u64> {
        let Some(store) = self.store.dead_letters() else { return Ok(0) };
        let shard = &self.shard.name;
        let doing = || format!("counting dead letters of shard {shard}");
        let letters = store.count_letters(LetterQuery::open(shard.clone()));
        let letters = answer(self.call_deadline, doing, letters).await?;
        let parked = answer(self.call_deadline, doing, store.parked_keys(shard)).await?;
        let behind_letters = parked.len() as u64;
        Ok(letters.saturating_sub(behind_letters) + parked.iter().map(|(_, events)| events).sum::<u64>())
    }

    async fn read_events(&self, store: &dyn DeadLetterStore, mut seqs: Vec<Seq>) -> Result<Vec<Event>> {
        if seqs.is_empty() {
            return Ok(Vec::new());
        }
        seqs.sort_unstable();
        let doing = || format!("reading {} events for shard {}", seqs.len(), self.shard.name);
        answer(self.call_deadline, doing, store.read_events(&seqs)).await
    }

    fn named(&self, error: Error, range: EventRange) -> Error {
        error.context(format!("folding events {range} of shard {}", self.shard.name))
    }
}

impl Case {
    /// The page without what must not be folded.
    pub(super) fn page(&self) -> Arc<EventPage> {
        if self.left_out.is_empty() {
            return self.page.clone();
        }
        let events = self.page.events.iter().filter(|event| !self.left_out.contains(&event.seq));
        Arc::new(EventPage { events: events.cloned().collect(), ..EventPage::empty(self.page.range) })
    }

    /// The views that must not be folded.
    pub(super) fn scope(&self) -> Arc<Scope> {
        if self.views.is_empty() { Arc::default() } else { Arc::new(Scope::Without(self.views.clone())) }
    }
}

fn stream_key(event: &Event) -> ParkKey {
    ParkKey::Stream { tenant: event.tenant.clone(), stream: event.stream.clone() }
}

/// An error that stays where it is as well.
fn shared(error: &Arc<Error>) -> Error {
    Error::new(error.kind().clone(), error.to_string()).with_source(Shared(error.clone()))
}

/// The causes of an error that is kept elsewhere.
#[derive(Debug)]
struct Shared(Arc<Error>);

impl std::fmt::Display for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match std::error::Error::source(&*self.0) {
            Some(source) => write!(f, "{source}"),
            None => write!(f, "{}", self.0),
        }
    }
}

impl std::error::Error for Shared {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&*self.0)?.source()
    }
}

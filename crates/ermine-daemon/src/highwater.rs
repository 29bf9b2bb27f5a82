//! The driver of the mark: asks the store, lets the tracker decide, publishes.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ermine_core::{
    Error, ErrorKind, EventFilter, EventRange, Evidence, Holder, Observation, Observe, PageRequest, Result,
    Seq, TypeName,
    ports::{Registration, Store, WakeReason},
};
use ermine_highwater::{Next, Outlook, Pace, Policy, Round, Tempo, Tracker, Verdict, Wait};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{Mark, Settings, backoff::Backoff, metrics, pulse::Pulse};

/// After how long it is said who holds the mark.
const HELD_LONG: Duration = Duration::from_secs(1);
/// How long to wait before the store is looked at again after it broke a promise.
const REFUSED_PAUSE: Duration = Duration::from_secs(10);

/// Moves the mark of one store.
#[derive(Debug)]
pub(crate) struct HighWater {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) settings: Arc<Settings>,
    /// `None`: whatever is exact for the evidence that the store gives.
    pub(crate) policy: Option<Policy>,
    pub(crate) registration: Registration,
    /// All types that something registered wants.
    pub(crate) known: Vec<TypeName>,
    pub(crate) marks: watch::Sender<Option<Mark>>,
    /// Why the mark does not move, where it should.
    pub(crate) trouble: watch::Sender<Option<String>>,
    /// How many pages with events shards have loaded.
    pub(crate) pages_loaded: Arc<AtomicU64>,
    /// Told when the store has rung.
    pub(crate) rung: Arc<tokio::sync::Notify>,
    pub(crate) pulse: Pulse,
}

impl HighWater {
    /// Runs until told to stop, whatever fails.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        let mut backoff = Backoff::new(self.settings.retry_first, self.settings.retry_max);
        loop {
            let error = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                followed = self.follow(&mut backoff) => match followed {
                    Ok(never) => match never {},
                    Err(error) => error,
                },
            };
            let delay = match error.kind() {
                ErrorKind::Transient | ErrorKind::OutcomeUnknown | ErrorKind::TimedOut => {
                    backoff.next_delay()
                }
                ErrorKind::Rewound => Duration::ZERO,
                _ => REFUSED_PAUSE,
            };
            if error.is_transient() || *error.kind() == ErrorKind::Rewound {
                tracing::warn!(?delay, "the mark stands still for a moment: {}", error.chain());
            } else {
                tracing::error!(?delay, "the mark stands still: {}", error.chain());
            }
            // Nothing that was known of the log is trusted before the store has been asked again.
            self.marks.send_replace(None);
            self.trouble.send_replace(Some(error.chain()));
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(delay) => {}
            }
        }
    }

    /// Follows the log from the stored progress on, until something fails. Nothing is remembered from before.
    async fn follow(&self, backoff: &mut Backoff) -> Result<Infallible> {
        self.in_time("checking the store", self.store.check(&self.registration)).await?;
        let began = Instant::now();
        let mut checked = began;
        // A crash between reading progress and the first observation must not go unnoticed, so the incarnation comes
        // first.
        let first = self.observe(Observe { mark: Seq::ZERO, bell: ermine_core::Bell::Leave }).await?;
        let progress = self.in_time("reading progress", self.store.read_progress()).await?;
        let highest = progress.iter().map(|p| p.seq).max().unwrap_or_default();
        let policy = self.policy.map_or_else(|| exact_policy(&first.evidence), Ok)?;
        let mut tracker = Tracker::resume(highest, policy).in_incarnation(first.incarnation);
        let mut pace = Pace::new(Tempo::default());
        let mut held = Held::default();
        let mut listening = self.store.wait(Duration::ZERO).await != WakeReason::Deaf;
        let mut pages_loaded = self.pages_loaded.load(Ordering::Relaxed);
        loop {
            if checked.elapsed() >= self.settings.check_every {
                self.in_time("checking the store", self.store.check(&self.registration)).await?;
                checked = Instant::now();
            }
            self.pulse.beat();
            let look = pace.look(began.elapsed(), listening);
            let asked = Instant::now();
            let observation = self.observe(Observe { mark: tracker.mark(), bell: look.bell }).await?;
            let pages_now = self.pages_loaded.load(Ordering::Relaxed);
            let round = Round {
                now: began.elapsed(),
                took: asked.elapsed(),
                last: observation.last,
                busy: std::mem::replace(&mut pages_loaded, pages_now) != pages_now,
            };
            let verdict = tracker.handle_observation(&observation, look.armed);
            let wait = pace.handle_verdict(&verdict, &round);
            let is_held =
                matches!(&verdict, Verdict::Sound(outlook) if matches!(outlook.next, Next::Held(_)));
            self.act(verdict, &tracker, &observation).await?;
            if held.is_long(is_held) {
                self.name_holders(tracker.mark()).await?;
            }
            backoff.succeeded();
            let heard = self.rest(wait).await;
            if listening && !heard {
                return Err(Error::transient("the connection that listens to the store was lost"));
            }
            listening = heard;
        }
    }

    async fn act(&self, verdict: Verdict, tracker: &Tracker, observation: &Observation) -> Result<()> {
        match verdict {
            Verdict::Sound(outlook) => {
                // First: what is skipped must be said before anybody passes it.
                self.account_for_skips(outlook, observation).await?;
                self.publish(Mark { seq: tracker.mark(), incarnation: observation.incarnation });
                Ok(())
            }
            Verdict::Rewound { .. } => Err(Error::rewound()),
            Verdict::Backwards { last, known } => Err(Error::new(
                ErrorKind::Refused,
                format!(
                    "the store's last number is {last}, and {known} was drawn or applied before: it was restored from an \
                     older backup or its sequence was set back; empty the views of every projection and set its \
                     progress to 0, or give it a new version, before going on"
                ),
            )),
            Verdict::Unfit { policy, evidence } => Err(Error::configuration(format!(
                "the policy \"{policy}\" cannot read what the store gives: {evidence}; choose the policy that fits the store"
            ))),
            other => Err(Error::fatal(format!("a verdict that this driver does not know: {other:?}"))),
        }
    }

    fn publish(&self, mark: Mark) {
        metrics::observed(mark.seq);
        let changed = self.marks.send_if_modified(|published| {
            let changed = *published != Some(mark);
            *published = Some(mark);
            changed
        });
        if changed {
            self.trouble.send_if_modified(|trouble| trouble.take().is_some());
        }
    }

    /// Says who keeps the mark from moving.
    async fn name_holders(&self, mark: Seq) -> Result<()> {
        let holders = self.in_time("asking who holds the mark", self.store.explain()).await?;
        let named: Vec<String> = holders.iter().map(describe).collect();
        if !named.is_empty() {
            let trouble =
                format!("it is held at {mark} by appends that are still open: {}", named.join("; "));
            tracing::warn!(%mark, "the mark stands still: {trouble}");
            self.trouble.send_replace(Some(trouble));
        }
        Ok(())
    }

    /// Only under a policy that goes by the clock: says what was skipped, and what of it came after all.
    async fn account_for_skips(&self, outlook: Outlook, observation: &Observation) -> Result<()> {
        if let Some(range) = outlook.skipped {
            metrics::skipped(range.span());
            tracing::warn!(%range, "numbers skipped by the clock: an event that still comes there is lost");
        }
        for range in outlook.look_back {
            let late = self.visible_in(range, observation).await?;
            if late > 0 {
                metrics::skipped_late(late as u64);
                tracing::error!(%range, events = late, "events came after their numbers had been skipped by the clock");
            }
        }
        for range in outlook.released {
            tracing::info!(%range, "skipped numbers are looked at no longer");
        }
        Ok(())
    }

    async fn visible_in(&self, range: EventRange, observation: &Observation) -> Result<usize> {
        let request = PageRequest {
            range,
            filter: EventFilter::new(self.known.iter().cloned(), []),
            events_max: self.settings.page_events_max,
            bytes_max: self.settings.page_bytes_max,
            incarnation: observation.incarnation,
        };
        let page = self.in_time("looking back at skipped numbers", self.store.load_page(request)).await?;
        Ok(page.events.len() + page.unknown.len())
    }

    /// Waits as the pace says. Whether somebody could have rung; when that ends the store is asked at once, because a
    /// lost connection may mean a crash.
    async fn rest(&self, wait: Wait) -> bool {
        if !wait.pause.is_zero() {
            tokio::time::sleep(wait.pause).await;
        }
        let woken = self.store.wait(wait.listen).await;
        if woken == WakeReason::Rang {
            self.rung.notify_one();
        }
        woken != WakeReason::Deaf
    }

    async fn observe(&self, request: Observe) -> Result<Observation> {
        self.in_time("observing the log", self.store.observe(request)).await
    }

    async fn in_time<T>(&self, doing: &'static str, call: impl Future<Output = Result<T>>) -> Result<T> {
        let deadline = self.settings.call_deadline;
        match tokio::time::timeout(deadline, call).await {
            Ok(answer) => answer.map_err(|e| e.context(doing)),
            Err(_) => Err(Error::transient(format!("{doing}: no answer within {deadline:?}"))),
        }
    }
}

/// For how long the mark has been held.
#[derive(Debug, Default)]
struct Held {
    since: Option<Instant>,
    named: Option<Instant>,
}

impl Held {
    /// Whether it is time to say by whom: after a second, and then every ten.
    fn is_long(&mut self, is_held: bool) -> bool {
        if !is_held {
            *self = Self::default();
            return false;
        }
        let now = Instant::now();
        let since = *self.since.get_or_insert(now);
        let due = self.named.map_or(since + HELD_LONG, |named| named + HELD_LONG * 10);
        if now < due {
            return false;
        }
        self.named = Some(now);
        true
    }
}

fn describe(holder: &Holder) -> String {
    let who = holder.pid.map_or_else(|| "a prepared transaction".to_owned(), |pid| format!("process {pid}"));
    let application = holder.application.as_deref().filter(|a| !a.is_empty());
    let application = application.map(|a| format!(" ({a})")).unwrap_or_default();
    format!("{who}{application}, {}, open for {:.0?}", holder.state, holder.age)
}

/// The policy that loses nothing with such evidence.
pub(crate) fn exact_policy(evidence: &Evidence) -> Result<Policy> {
    match evidence {
        Evidence::Floors(_) => Ok(Policy::Floors),
        Evidence::Holders(_) => Ok(Policy::SequenceEpochs),
        _ => Err(Error::configuration(
            "this store cannot prove which numbers are settled, so that only a policy that goes by the clock can follow \
             it; such a policy may lose events and has to be asked for: DaemonBuilder::policy(Policy::timed_skip())",
        )),
    }
}

//! Every class of errors, every action, in both kinds of runs: what is to be seen of it.

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ermine_core::{
    Action, Aggregate, AppendBatch, ApplyError, DomainEvent, Epoch, Error, ErrorClass, ErrorKind,
    ErrorPolicy, LetterQuery, LetterStatus, NewEvent, Position, Recorded, Response, Seq, StreamAppend,
    StreamId,
    policy::{retry_later, retry_now, skip},
    ports::{DeadLetterStore, EventAppender, Store, StreamAdmin, WishStore},
    single_stream, subscription,
};
use ermine_daemon::{Daemon, DaemonBuilder, Mode, ShardState};
use ermine_memory::{Call, MemoryStore};
use serde::{Deserialize, Serialize};
use tracing_subscriber::fmt::MakeWriter;

use crate::support::{Listener, Rig, SOON, small_pages, stored};

const FOR_HOURS: Duration = Duration::from_secs(3_600);
const ENDLESS: u64 = 10_000;
/// The one that fails, and the last one.
const BAD: Seq = Seq::new(2);
const LAST: Seq = Seq::new(3);

/// How often the bad event of a run still fails in user code.
static FAILING: LazyLock<Mutex<HashMap<u64, u64>>> = LazyLock::new(Mutex::default);

fn fails_once_more(run: u64) -> bool {
    let mut failing = FAILING.lock().unwrap();
    let left = failing.entry(run).or_default();
    let fails = *left > 0;
    *left = left.saturating_sub(1);
    fails
}

/// What the body of an event can be for.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
struct Body {
    run: u64,
    n: u64,
    class: Option<ErrorClass>,
}

#[derive(Deserialize)]
struct Stored {
    run: u64,
    n: u64,
    class: Option<ErrorClass>,
}

impl TryFrom<Stored> for Body {
    type Error = String;

    fn try_from(Stored { run, n, class }: Stored) -> Result<Self, String> {
        let is_bad = class == Some(ErrorClass::Serialization) && fails_once_more(run);
        if is_bad { Err("unreadable".into()) } else { Ok(Self { run, n, class }) }
    }
}

#[derive(DomainEvent)]
#[event(crate = "ermine_core")]
enum Step {
    Taken {
        body: Body,
    },
    /// No projection here takes it.
    Strange {
        body: Body,
    },
}

#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Walk {
    all: Vec<u64>,
}

impl Aggregate for Walk {
    type Event = Step;

    fn evolve(walk: Option<Self>, event: &Recorded<Step>) -> Result<Option<Self>, ApplyError> {
        let (mut walk, Step::Taken { body } | Step::Strange { body }) =
            (walk.unwrap_or_default(), event.data());
        if body.class == Some(ErrorClass::Apply) && fails_once_more(body.run) {
            return Err(ApplyError::msg("refused"));
        }
        walk.all.push(body.n);
        Ok(Some(walk))
    }
}

/// What there is to be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// The daemon cannot be built.
    NotBuilt,
    /// The event is passed, with a letter or without.
    Passed { letter: bool },
    /// It is tried again without anybody's doing, and goes through once that is possible.
    Insists,
    /// One shard or all stand still for a time.
    Pauses { all: bool },
    /// One shard or all stand still until somebody resumes them.
    Stops { all: bool },
    /// The shard is left to others, and taken again when they do not move it.
    StandsBack,
    /// The run ends with the error.
    Fails,
}

fn expected(class: ErrorClass, action: Action, rebuilds: bool) -> Outcome {
    let is_about_an_event = class.is_about_an_event();
    let is_taken = matches!(class, ErrorClass::Fenced | ErrorClass::OutOfOrder);
    match action {
        Action::Skip if !is_about_an_event => Outcome::NotBuilt,
        Action::StandBack if !is_taken => Outcome::NotBuilt,
        Action::Skip => Outcome::Passed { letter: class != ErrorClass::UnknownEvent },
        Action::Ignore if is_about_an_event => Outcome::Passed { letter: false },
        Action::Ignore | Action::AwaitStore(_) => Outcome::Insists,
        Action::Pause(_) => Outcome::Pauses { all: false },
        Action::PauseAll(_) => Outcome::Pauses { all: !rebuilds },
        _ if rebuilds => Outcome::Fails,
        Action::Halt => Outcome::Insists,
        Action::Stop => Outcome::Stops { all: false },
        Action::StopAll => Outcome::Stops { all: true },
        _ => Outcome::StandsBack,
    }
}

fn line_of(class: ErrorClass, action: Action, outcome: Outcome) -> &'static str {
    match (outcome, action) {
        (Outcome::Passed { .. }, _) if class == ErrorClass::UnknownEvent => {
            "passed events of types that nothing registered knows"
        }
        (Outcome::Passed { letter: true }, _) => "an event is passed and leaves a dead letter",
        (Outcome::Passed { letter: false }, _) => "ignored an event",
        (_, Action::Ignore) => "going on in spite of a failure",
        (_, Action::AwaitStore(_)) => "waiting for the store",
        (Outcome::StandsBack, _) => "shard left to another process",
        (Outcome::Fails | Outcome::NotBuilt, _) => "",
        _ => "shard paused",
    }
}

const ACTIONS: [Action; 9] = [
    Action::Skip,
    Action::Ignore,
    Action::Pause(FOR_HOURS),
    Action::PauseAll(FOR_HOURS),
    Action::AwaitStore(FOR_HOURS),
    Action::Halt,
    Action::Stop,
    Action::StopAll,
    Action::StandBack,
];

#[tokio::test]
async fn every_action_on_every_class_while_following_the_log() {
    for class in ErrorClass::ALL {
        for action in ACTIONS {
            Case::new(class, ENDLESS, false).await.check(action).await;
        }
    }
}

#[tokio::test]
async fn every_action_on_every_class_in_a_rebuild() {
    for class in ErrorClass::ALL {
        for action in ACTIONS {
            Case::new(class, ENDLESS, true).await.check(action).await;
        }
    }
}

/// What passes within the retries leaves no trace but the count of failures.
#[tokio::test]
async fn retries_of_every_class_in_both_kinds_of_runs() {
    let curable = ErrorClass::ALL.into_iter().filter(|class| *class != ErrorClass::UnknownEvent);
    for class in curable {
        for rebuilds in [false, true] {
            for (response, failures) in [(retry_now(), 1), (retry_later([Duration::from_millis(1); 3]), 3)] {
                println!("{class}: {response}, rebuild: {rebuilds}");
                let case = Case::new(class, failures, rebuilds).await;
                let rig = case.start(&response.then(Response::of(Action::Stop)));
                case.end(rig).await;
                assert_eq!(case.walk().await, [1, 2, 3]);
                assert_eq!(case.store.letters(LetterQuery::default()).await.unwrap(), []);
                assert!(case.log.text().contains("trying again"), "{}", case.log.text());
            }
        }
    }
}

#[tokio::test]
async fn an_unknown_event_is_passed_when_retries_have_not_helped() {
    for rebuilds in [false, true] {
        let case = Case::new(ErrorClass::UnknownEvent, ENDLESS, rebuilds).await;
        case.end(case.start(&retry_now().then(skip()))).await;
        assert_eq!(case.walk().await, [1, 3]);
    }
}

/// A log of three events, of which the first is applied and the second is bad.
struct Case {
    class: ErrorClass,
    rebuilds: bool,
    run: u64,
    store: MemoryStore,
    log: Captured,
    _capturing: tracing::subscriber::DefaultGuard,
}

impl Case {
    async fn new(class: ErrorClass, failures: u64, rebuilds: bool) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let log = Captured::default();
        let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).finish();
        let case = Self {
            class,
            rebuilds,
            run: NEXT.fetch_add(1, Ordering::Relaxed),
            store: MemoryStore::new(),
            log,
            _capturing: tracing::subscriber::set_default(subscriber),
        };
        let rig = Rig::run(&case.store, case.builder(&Response::of(Action::Halt)));
        let first = case.append(1).await;
        rig.reach(first).await;
        rig.stop().await.unwrap();
        FAILING.lock().unwrap().insert(case.run, failures);
        case.append(2).await;
        case.append(3).await;
        if !class.is_about_an_event() {
            // The second event's view has to be read, and nothing else reads views.
            case.store
                .faults()
                .fail_times(Call::LoadViews, failures, || Error::new(kind(class), "as arranged"));
        }
        case
    }

    async fn append(&self, n: u64) -> Position {
        let class = Some(self.class).filter(|_| n == BAD.get());
        let body = Body { run: self.run, n, class };
        let step = match class {
            Some(ErrorClass::UnknownEvent) => Step::Strange { body },
            _ => Step::Taken { body },
        };
        let (stream, events) = (StreamId::new("a").unwrap(), vec![NewEvent::of(&step).unwrap()]);
        self.store
            .append(AppendBatch::new().stream(StreamAppend::new(stream, events)))
            .await
            .unwrap()
            .position()
    }

    fn builder(&self, response: &Response) -> DaemonBuilder {
        let store: Arc<dyn Store> = Arc::new(self.store.clone());
        let rules = || ErrorPolicy::new().on_error(self.class, response.clone());
        let walk = single_stream::<Walk>("Walk").only(["step.taken"]);
        let mut settings = small_pages(1);
        settings.fenced_retry = Duration::from_millis(200);
        Daemon::builder(store)
            .projection(walk.errors(rules()).rebuild_errors(rules()))
            .projection(subscription("Witness", Listener::default()))
            .settings(settings)
    }

    fn start(&self, response: &Response) -> Rig {
        let mode = if self.rebuilds { Mode::Rebuild { ceiling: LAST } } else { Mode::Continuous };
        Rig::run(&self.store, self.builder(response).mode(mode))
    }

    async fn check(self, action: Action) {
        let (class, rebuilds) = (self.class, self.rebuilds);
        println!("{class}: {action}, rebuild: {rebuilds}");
        let outcome = expected(class, action, rebuilds);
        let is_built = self.builder(&Response::of(action)).build().is_ok();
        assert_eq!(is_built, outcome != Outcome::NotBuilt);
        if !is_built {
            return;
        }
        let rig = self.start(&Response::of(action));
        match outcome {
            Outcome::Passed { letter } => self.check_passed(rig, action, letter).await,
            Outcome::Insists => self.check_insists(rig).await,
            Outcome::Pauses { all } => self.check_stands_still(rig, all, true).await,
            Outcome::Stops { all } => self.check_stands_still(rig, all, false).await,
            Outcome::StandsBack => {
                rig.state(|state| matches!(state, ShardState::Fenced { .. })).await;
                self.cure().await;
                self.end(rig).await;
                assert_eq!(self.walk().await, [1, 2, 3]);
            }
            Outcome::Fails => {
                let error = rig.end().await.unwrap_err();
                assert_eq!(error.to_string(), "running shard Walk:All");
                assert_eq!(error.class(), class);
                assert_eq!(self.walk().await, [1]);
            }
            Outcome::NotBuilt => {}
        }
        let line = line_of(class, action, outcome);
        assert!(self.log.text().contains(line), "no \"{line}\" in: {}", self.log.text());
    }

    async fn check_passed(&self, rig: Rig, action: Action, letter: bool) {
        let handle = rig.handle.clone();
        self.end(rig).await;
        assert_eq!(self.walk().await, [1, 3]);
        let letters = self.store.letters(LetterQuery::default()).await.unwrap();
        let seqs: Vec<Seq> = letters.iter().map(|letter| letter.id.seq).collect();
        assert_eq!(seqs, if letter { vec![BAD] } else { Vec::new() });
        let status = handle.status().remove(0);
        let is_unknown = self.class == ErrorClass::UnknownEvent;
        assert_eq!(status.dead_letters, u64::from(letter));
        assert_eq!(status.unknown_events, u64::from(is_unknown));
        assert_eq!(status.skipped_events, u64::from(action == Action::Ignore && !is_unknown));
    }

    async fn check_insists(&self, rig: Rig) {
        ermine_testkit::eventually(SOON, || async { rig.handle.status()[0].failures >= 2 }).await;
        assert_eq!(rig.handle.status()[0].progress, BAD.previous());
        assert_eq!(self.walk().await, [1]);
        self.cure().await;
        self.end(rig).await;
        let is_about_an_event = self.class.is_about_an_event();
        assert_eq!(self.walk().await, if is_about_an_event { vec![1, 3] } else { vec![1, 2, 3] });
        let letters = self.store.letters(LetterQuery::default()).await.unwrap();
        let statuses: Vec<LetterStatus> = letters.iter().map(|letter| letter.state.status()).collect();
        assert_eq!(statuses, if is_about_an_event { vec![LetterStatus::Discarded] } else { Vec::new() });
    }

    async fn check_stands_still(&self, rig: Rig, all: bool, for_a_time: bool) {
        let stands = |state: &ShardState| match state {
            ShardState::Paused { by, retry_at, .. } => for_a_time && by == "policy" && retry_at.is_some(),
            ShardState::Stopped { .. } => !for_a_time,
            _ => false,
        };
        rig.state(stands).await;
        let status = rig.handle.status().remove(0);
        assert_eq!(status.progress, BAD.previous());
        assert_eq!(status.halted_at, Some(BAD).filter(|_| self.class.is_about_an_event()));
        assert_eq!(self.walk().await, [1]);
        if self.rebuilds {
            assert_eq!(WishStore::wishes(&self.store).await.unwrap(), []);
            return;
        }
        let witness = || rig.handle.status()[1].clone();
        if all {
            ermine_testkit::eventually(SOON, || async { stands(&witness().state) }).await;
        } else {
            ermine_testkit::eventually(SOON, || async { witness().progress == LAST }).await;
        }
        // What the store itself suffers from is not stored.
        let is_stored = self.class != ErrorClass::Transient;
        let wanted = if is_stored { 1 + usize::from(all) } else { 0 };
        ermine_testkit::eventually(SOON, || async {
            WishStore::wishes(&self.store).await.unwrap().len() == wanted
        })
        .await;
        self.cure().await;
        rig.handle.resume_all().await.unwrap();
        rig.reach(Position::new(LAST)).await;
        assert_eq!(WishStore::wishes(&self.store).await.unwrap(), []);
    }

    /// What no code can take any more is marked, and the store gets well.
    async fn cure(&self) {
        if self.class.is_about_an_event() {
            self.store.skip_events(&[BAD], "nobody misses it").await.unwrap();
        }
        self.store.faults().clear();
    }

    async fn end(&self, rig: Rig) {
        if self.rebuilds {
            return rig.end().await.unwrap();
        }
        rig.reach(Position::new(LAST)).await;
        rig.stop().await.unwrap();
    }

    async fn walk(&self) -> Vec<u64> {
        stored::<Walk>(&self.store.node(), "Walk", "a").await.unwrap_or_default().all
    }
}

fn kind(class: ErrorClass) -> ErrorKind {
    match class {
        ErrorClass::Transient => ErrorKind::Transient,
        ErrorClass::Fenced => ErrorKind::Fenced { epoch: Epoch(9) },
        ErrorClass::OutOfOrder => ErrorKind::OutOfOrder { at: Seq::ZERO },
        ErrorClass::Configuration => ErrorKind::Configuration,
        _ => ErrorKind::Fatal,
    }
}

/// What was logged on this thread.
#[derive(Clone, Debug, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Captured {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use ermine_core::{Error, ErrorKind, Operation, Result};
use tokio::sync::watch;

use crate::Gate;

/// The calls of a store that can be counted and made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Call {
    /// [`EventAppender::append`](ermine_core::ports::EventAppender::append)
    Append,
    /// [`EventReader::load_page`](ermine_core::ports::EventReader::load_page)
    LoadPage,
    /// [`EventReader::read_stream`](ermine_core::ports::EventReader::read_stream)
    ReadStream,
    /// [`EventReader::read_heads`](ermine_core::ports::EventReader::read_heads)
    ReadHeads,
    /// [`EventReader::locate`](ermine_core::ports::EventReader::locate)
    Locate,
    /// [`HighWaterSource::observe`](ermine_core::ports::HighWaterSource::observe)
    Observe,
    /// [`HighWaterSource::explain`](ermine_core::ports::HighWaterSource::explain)
    Explain,
    /// [`Wakeup::wait`](ermine_core::ports::Wakeup::wait); it cannot fail, so a fault makes it
    /// [`Deaf`](ermine_core::ports::WakeReason::Deaf)
    Wait,
    /// [`ViewStore::load_views`](ermine_core::ports::ViewStore::load_views)
    LoadViews,
    /// [`ViewStore::query`](ermine_core::ports::ViewStore::query)
    Query,
    /// [`ViewStore::count`](ermine_core::ports::ViewStore::count)
    Count,
    /// [`ViewStore::commit`](ermine_core::ports::ViewStore::commit)
    Commit,
    /// [`ProgressStore::take_shards`](ermine_core::ports::ProgressStore::take_shards)
    TakeShards,
    /// [`ProgressStore::place_shard`](ermine_core::ports::ProgressStore::place_shard)
    PlaceShard,
    /// [`ProgressStore::read_progress`](ermine_core::ports::ProgressStore::read_progress)
    ReadProgress,
    /// [`ProgressStore::statistics`](ermine_core::ports::ProgressStore::statistics)
    Statistics,
    /// [`SchemaAdmin::migrate`](ermine_core::ports::SchemaAdmin::migrate)
    Migrate,
    /// [`SchemaAdmin::reset`](ermine_core::ports::SchemaAdmin::reset)
    Reset,
    /// [`SchemaAdmin::check`](ermine_core::ports::SchemaAdmin::check)
    Check,
    /// [`StreamAdmin::archive_stream`](ermine_core::ports::StreamAdmin::archive_stream)
    ArchiveStream,
    /// [`StreamAdmin::skip_events`](ermine_core::ports::StreamAdmin::skip_events)
    SkipEvents,
    /// [`Outbox::pending_messages`](ermine_core::ports::Outbox::pending_messages)
    PendingMessages,
    /// [`Outbox::settle_messages`](ermine_core::ports::Outbox::settle_messages)
    SettleMessages,
    /// [`DeadLetterStore::letters`](ermine_core::ports::DeadLetterStore::letters)
    Letters,
    /// [`DeadLetterStore::count_letters`](ermine_core::ports::DeadLetterStore::count_letters)
    CountLetters,
    /// [`DeadLetterStore::request`](ermine_core::ports::DeadLetterStore::request)
    RequestLetters,
    /// [`DeadLetterStore::parked_keys`](ermine_core::ports::DeadLetterStore::parked_keys)
    ParkedKeys,
    /// [`DeadLetterStore::parked`](ermine_core::ports::DeadLetterStore::parked)
    Parked,
    /// [`DeadLetterStore::read_events`](ermine_core::ports::DeadLetterStore::read_events)
    ReadEvents,
    /// [`DeadLetterStore::purge_letters`](ermine_core::ports::DeadLetterStore::purge_letters)
    PurgeLetters,
    /// [`WishStore::put_wish`](ermine_core::ports::WishStore::put_wish)
    PutWish,
    /// [`WishStore::clear_wishes`](ermine_core::ports::WishStore::clear_wishes)
    ClearWishes,
    /// [`WishStore::wishes`](ermine_core::ports::WishStore::wishes)
    Wishes,
}

/// What goes wrong at one node, on demand: see [`MemoryStore::faults`](crate::MemoryStore::faults).
///
/// `nth` counts calls of the one kind from now on: 1 is the next one. Each fault happens once. Clones are the same
/// faults.
#[derive(Clone, Debug)]
pub struct Faults(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    plan: Mutex<Plan>,
    outage: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Plan {
    calls: BTreeMap<Call, u64>,
    planned: Vec<(Call, u64, Fault)>,
    blocked: Vec<Call>,
    refusal: Option<Refusal>,
}

/// Which operations the store shall not take.
#[derive(Clone)]
pub(crate) struct Refusal(Arc<dyn Fn(&Operation) -> bool + Send + Sync>);

impl Refusal {
    /// The first operation that is not taken.
    pub(crate) fn first<'o>(&self, operations: &'o [Operation]) -> Option<&'o Operation> {
        operations.iter().find(|operation| (self.0)(operation))
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Refusal")
    }
}

#[derive(Debug)]
enum Fault {
    Fail(Error),
    LoseAnswer,
    Panic(String),
    Stall(Gate),
    Late(Gate),
}

/// What a call that goes ahead has to mind.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    pub(crate) stall: Option<Gate>,
    pub(crate) late: Option<Gate>,
    pub(crate) lose_answer: bool,
}

impl Faults {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Inner { plan: Mutex::default(), outage: watch::Sender::new(false) }))
    }

    /// Makes a call fail with `error` before anything is done.
    pub fn fail(&self, call: Call, nth: u64, error: Error) {
        self.add(call, nth, Fault::Fail(error));
    }

    /// Makes the next `times` calls fail, each with an error of its own, before anything is done.
    pub fn fail_times(&self, call: Call, times: u64, error: impl Fn() -> Error) {
        for nth in 1..=times {
            self.fail(call, nth, error());
        }
    }

    /// Makes every commit that has such an operation fail with [`Rejected`](ErrorKind::Rejected) and change nothing, as a
    /// constraint does. It stays until [`clear`](Self::clear), or until another one takes its place. Commits that are fenced
    /// off or start elsewhere are told that first.
    pub fn refuse(&self, refuses: impl Fn(&Operation) -> bool + Send + Sync + 'static) {
        self.plan().refusal = Some(Refusal(Arc::new(refuses)));
    }

    /// Makes a call happen, and then fail with [`OutcomeUnknown`](ErrorKind::OutcomeUnknown).
    pub fn lose_answer(&self, call: Call, nth: u64) {
        self.add(call, nth, Fault::LoseAnswer);
    }

    /// Makes a call panic before anything is done.
    pub fn panic(&self, call: Call, nth: u64, message: impl Into<String>) {
        self.add(call, nth, Fault::Panic(message.into()));
    }

    /// Makes a call stand still, before anything is done, until the gate is released. A caller that drops it
    /// meanwhile has never made it.
    #[must_use = "the call stands still until the gate is released"]
    pub fn stall(&self, call: Call, nth: u64) -> Gate {
        let gate = Gate::new();
        self.add(call, nth, Fault::Stall(gate.clone()));
        gate
    }

    /// Makes an append draw its numbers and commit only at the release of the gate, even if the caller has dropped it by
    /// then: the server does not know that.
    #[must_use = "the append commits when the gate is released"]
    pub fn append_late(&self, nth: u64) -> Gate {
        self.late(Call::Append, nth)
    }

    /// Makes a commit lock its shard and what it changes, draw the numbers of events that it appends, and become visible only at the release of the gate, even if the caller has dropped
    /// it by then: the server does not know that.
    #[must_use = "the commit becomes visible when the gate is released"]
    pub fn commit_late(&self, nth: u64) -> Gate {
        self.late(Call::Commit, nth)
    }

    /// While on, every call fails as if the store could not be reached, and waits are deaf. Calls that stand at a gate
    /// stay there.
    pub fn outage(&self, on: bool) {
        self.0.outage.send_replace(on);
    }

    /// While on, every call of one kind fails as if the connection had been lost.
    pub fn block(&self, call: Call, on: bool) {
        let mut plan = self.plan();
        plan.blocked.retain(|blocked| *blocked != call);
        if on {
            plan.blocked.push(call);
        }
    }

    /// Takes back every fault that has not happened yet, and ends an outage and refusals.
    pub fn clear(&self) {
        let mut plan = self.plan();
        plan.planned.clear();
        plan.blocked.clear();
        plan.refusal = None;
        drop(plan);
        self.outage(false);
    }

    pub(crate) fn calls(&self, call: Call) -> u64 {
        self.plan().calls.get(&call).copied().unwrap_or_default()
    }

    /// What commits of this node are refused, where any are.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        self.plan().refusal.clone()
    }

    /// Counts a call, and says what it has to mind.
    pub(crate) fn pass(&self, call: Call) -> Result<Passed> {
        let fault = {
            let mut plan = self.plan();
            let plan = &mut *plan;
            let count = plan.calls.entry(call).or_default();
            *count += 1;
            let due = plan.planned.iter().position(|(of, nth, _)| *of == call && nth == count);
            let blocked = plan.blocked.contains(&call);
            match due {
                Some(due) => Some(plan.planned.swap_remove(due).2),
                None if blocked => {
                    Some(Fault::Fail(Error::transient(format!("the connection was lost ({call:?})"))))
                }
                None => None,
            }
        };
        if *self.0.outage.borrow() {
            return Err(Error::transient("the memory store cannot be reached: an outage was asked for"));
        }
        let passed = Passed::default();
        match fault {
            None => Ok(passed),
            Some(Fault::Fail(error)) => Err(error),
            Some(Fault::LoseAnswer) => Ok(Passed { lose_answer: true, ..passed }),
            Some(Fault::Panic(message)) => panic!("{message}"),
            Some(Fault::Stall(gate)) => Ok(Passed { stall: Some(gate), ..passed }),
            Some(Fault::Late(gate)) => Ok(Passed { late: Some(gate), ..passed }),
        }
    }

    /// Waits for an outage to begin; at once while there is one.
    pub(crate) async fn outage_begun(&self) {
        if self.0.outage.subscribe().wait_for(|on| *on).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    fn late(&self, call: Call, nth: u64) -> Gate {
        let gate = Gate::new();
        self.add(call, nth, Fault::Late(gate.clone()));
        gate
    }

    fn add(&self, call: Call, nth: u64, fault: Fault) {
        let mut plan = self.plan();
        let at = plan.calls.get(&call).copied().unwrap_or_default() + nth.max(1);
        plan.planned.push((call, at, fault));
    }

    fn plan(&self) -> std::sync::MutexGuard<'_, Plan> {
        self.0.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn outcome_unknown() -> Error {
    Error::new(ErrorKind::OutcomeUnknown, "the connection was lost before the answer came")
}

use std::{fmt, sync::Arc};

use ermine_core::{Clock, SystemClock};

use crate::{
    Call, EvidenceKind, Faults, OpenAppend,
    node::{Node, Shared},
    state::State,
};

/// A store in the memory of this process.
///
/// Clones are the same node of the same store; [`node`](Self::node) gives another node, as another process would be.
/// All of it is dropped with the last node.
///
/// # Semantics
///
/// - A transaction draws its numbers while it is open and takes them with it when it is rolled back; its floor is the last
///   number that anybody had drawn before. [`begin`](Self::begin) holds one open.
/// - What is committed is *visible* to every node at once and survives a [`restart`](Self::restart) and a
///   [`crash`](Self::crash). A commit is *asynchronous* when [`crash_losing`](Self::crash_losing) says so after the fact:
///   it loses a suffix of the history of all commits, so events, progress, epochs and views are cut at one point.
/// - After a crash the last number drawn is the one that the last surviving commit had seen; the numbers above it are issued
///   again, and the incarnation is a new one.
/// - Each call gives way to other tasks once before it is done and once before it is answered, so dropping it may come too
///   early or too late, as with a server.
/// - A view's table comes into being when it is first written to; only [`check`](ermine_core::ports::SchemaAdmin::check)
///   minds whether [`migrate`](ermine_core::ports::SchemaAdmin::migrate) was called.
/// - Rows of flat tables are JSON like other views, and as strict as in a database: what a column cannot hold is refused,
///   and what has several spellings comes back in one.
/// - It has no language: native statements are refused, its own kind's too.
/// - Times of events and progress are those of its [`Clock`]; doorbells and waits go by tokio's time, which tests can pause.
#[derive(Clone)]
pub struct MemoryStore {
    pub(crate) node: Arc<Node>,
}

impl MemoryStore {
    /// An empty store that observes floors.
    #[must_use]
    pub fn new() -> Self {
        Self::with_evidence(EvidenceKind::Floors)
    }

    /// An empty store whose observations say no more than `evidence` can.
    #[must_use]
    pub fn with_evidence(evidence: EvidenceKind) -> Self {
        let shared = Shared::new(State::new(Arc::new(SystemClock)), evidence);
        Self { node: Arc::new(Node::new(Arc::new(shared))) }
    }

    /// The same store with another clock, for all its nodes.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        self.node.shared.state().set_clock(clock);
        self
    }

    /// Another node of the same store: it has a doorbell, faults and counters of its own.
    #[must_use]
    pub fn node(&self) -> Self {
        Self { node: Arc::new(Node::new(Arc::clone(&self.node.shared))) }
    }

    /// Begins an append that stays open until it is told to end. Faults and counters do not touch it.
    pub fn begin(&self) -> OpenAppend {
        OpenAppend::begin(&self.node.shared)
    }

    /// What shall go wrong at this node.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.node.faults.clone()
    }

    /// How often this node has called `call`, failed calls included.
    #[must_use]
    pub fn calls(&self, call: Call) -> u64 {
        self.node.faults.calls(call)
    }

    /// The server dies and comes back: open transactions are gone, numbers that no commit had seen are issued again, and a
    /// new incarnation begins. Calls that stand at a gate fail.
    pub fn crash(&self) {
        self.crash_losing(0);
    }

    /// A crash that also loses the last `commits` commits of the whole store, of which at most 1,000 are remembered.
    /// Whatever changes the store is a commit; a [`reset`](ermine_core::ports::SchemaAdmin::reset) forgets those before it.
    pub fn crash_losing(&self, commits: usize) {
        self.node.shared.state().crash(commits);
        self.node.shared.cut();
    }

    /// The server is shut down in order and started again: open transactions are gone and calls that stand at a gate fail,
    /// but numbers are not issued again and the incarnation stays.
    pub fn restart(&self) {
        self.node.shared.state().end_sessions();
        self.node.shared.cut();
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.node.shared.state();
        f.debug_struct("MemoryStore")
            .field("evidence", &self.node.shared.evidence)
            .field("last", &state.last())
            .finish_non_exhaustive()
    }
}

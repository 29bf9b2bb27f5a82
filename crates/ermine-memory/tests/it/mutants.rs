//! Stores that break one promise each: the case for that promise must notice.

mod flaw;
mod ports;

use std::sync::Arc;

use async_trait::async_trait;
use ermine_conformance::{CASES, Harness, HeldAppend, Stop};
use ermine_core::{AppendBatch, Appended, Result, ports::Store};
use ermine_memory::MemoryStore;
use flaw::Flaw;

/// A memory store with one flaw.
#[derive(Clone, Debug)]
pub(crate) struct Mutant {
    inner: MemoryStore,
    flaw: Flaw,
    /// Whether a call is on its way that will not have another beside it.
    busy: Arc<std::sync::atomic::AtomicBool>,
}

impl Mutant {
    fn new(flaw: Flaw) -> Self {
        Self { inner: MemoryStore::new(), flaw, busy: Arc::default() }
    }
}

#[async_trait]
impl Harness for Mutant {
    fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.clone())
    }

    async fn other_node(&self) -> Result<Option<Arc<dyn Store>>> {
        Ok(Some(Arc::new(Self { inner: self.inner.node(), ..self.clone() })))
    }

    async fn hold_append(&self, batch: AppendBatch) -> Result<Option<Box<dyn HeldAppend>>> {
        let held = crate::conformance::Held::open(&self.inner, batch).await?;
        Ok(Some(Box::new(Held { held, flaw: self.flaw })))
    }

    async fn crash(&self) -> bool {
        self.inner.crash();
        true
    }

    async fn restart(&self) -> bool {
        match self.flaw {
            Flaw::RestartLosesTheLastCommit => self.inner.crash_losing(1),
            _ => self.inner.restart(),
        }
        true
    }
}

struct Held {
    held: Box<dyn HeldAppend>,
    flaw: Flaw,
}

#[async_trait]
impl HeldAppend for Held {
    fn appended(&self) -> &Appended {
        self.held.appended()
    }

    async fn commit(self: Box<Self>) -> Result<()> {
        self.held.commit().await
    }

    async fn rollback(self: Box<Self>) -> Result<()> {
        match self.flaw {
            Flaw::RollbackCommits => self.held.commit().await,
            _ => self.held.rollback().await,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_flaw_is_caught_by_the_case_of_the_promise_it_breaks() {
    let mut survivors = Vec::new();
    for (flaw, port, name) in Flaw::ALL {
        let case = ermine_conformance::case(port, name).expect("the table names cases that exist");
        match case.check(&Mutant::new(*flaw)).await {
            Err(Stop::Broken(how)) => println!("{flaw:?} was caught by {port}::{name}: {how}"),
            other => survivors.push(format!("{flaw:?} went past {port}::{name}: {other:?}")),
        }
        case.check(&Mutant::new(Flaw::None)).await.expect("the same store without the flaw passes");
    }
    assert!(survivors.is_empty(), "{}", survivors.join("\n"));
}

#[test]
fn every_case_has_a_flaw_to_catch() {
    for case in CASES {
        let caught = Flaw::ALL.iter().any(|(_, port, name)| (*port, *name) == (case.port(), case.name()));
        assert!(caught, "no store is known that breaks {case:?}");
    }
}

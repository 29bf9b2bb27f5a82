use std::sync::Arc;

use async_trait::async_trait;
use ermine_conformance::{Harness, HeldAppend};
use ermine_core::{AppendBatch, Appended, Result, ports::Store};
use ermine_memory::{EvidenceKind, MemoryStore, OpenAppend};

struct Memory(MemoryStore);

#[async_trait]
impl Harness for Memory {
    fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.0.clone())
    }

    async fn other_node(&self) -> Result<Option<Arc<dyn Store>>> {
        Ok(Some(Arc::new(self.0.node())))
    }

    async fn hold_append(&self, batch: AppendBatch) -> Result<Option<Box<dyn HeldAppend>>> {
        Held::open(&self.0, batch).await.map(Some)
    }

    async fn crash(&self) -> bool {
        self.0.crash();
        true
    }

    async fn restart(&self) -> bool {
        self.0.restart();
        true
    }
}

pub(crate) struct Held {
    open: OpenAppend,
    appended: Appended,
}

impl Held {
    pub(crate) async fn open(store: &MemoryStore, batch: AppendBatch) -> Result<Box<dyn HeldAppend>> {
        let mut open = store.begin();
        let appended = open.append(batch).await?;
        Ok(Box::new(Self { open, appended }))
    }
}

#[async_trait]
impl HeldAppend for Held {
    fn appended(&self) -> &Appended {
        &self.appended
    }

    async fn commit(self: Box<Self>) -> Result<()> {
        self.open.commit()
    }

    async fn rollback(self: Box<Self>) -> Result<()> {
        self.open.rollback();
        Ok(())
    }
}

mod floors {
    use super::*;

    ermine_conformance::suite!(|| async { Memory(MemoryStore::new()) });
}

mod holders {
    use super::*;

    ermine_conformance::suite!(|| async { Memory(MemoryStore::with_evidence(EvidenceKind::Holders)) });
}

mod visible {
    use super::*;

    ermine_conformance::suite!(|| async { Memory(MemoryStore::with_evidence(EvidenceKind::Visible)) });
}

/// What an adapter has at first: a store and a guard.
mod without_abilities {
    use super::*;

    ermine_conformance::suite!(|| async { ((), Arc::new(MemoryStore::new())) });
}

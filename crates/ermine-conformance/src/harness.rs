use std::sync::Arc;

use async_trait::async_trait;
use ermine_core::{AppendBatch, Appended, Result, ports::Store};

/// A store under test, and what the suite has to do to it that no port can do.
///
/// Only [`store`](Self::store) is required. Each of the other abilities makes more cases real; a case that lacks one prints
/// that it was skipped, and why. Whatever removes the store afterwards (a guard, a temporary directory) belongs into the
/// harness: it is dropped when the case has ended.
///
/// A pair of a guard and an `Arc` of the store is a harness without further abilities.
#[async_trait]
pub trait Harness: Send + Sync {
    /// The store: empty, and not yet migrated. Each harness has a store of its own; every call gives the same one.
    fn store(&self) -> Arc<dyn Store>;

    /// The same store as another process would open it, with its own connections; `None` where that cannot be.
    ///
    /// # Errors
    ///
    /// Whatever went wrong; the case fails.
    async fn other_node(&self) -> Result<Option<Arc<dyn Store>>> {
        Ok(None)
    }

    /// Does everything an append does except the commit: its numbers are drawn, its events invisible. `None` where the
    /// store cannot hold an append open.
    ///
    /// # Errors
    ///
    /// Those of the append; the case fails.
    async fn hold_append(&self, batch: AppendBatch) -> Result<Option<Box<dyn HeldAppend>>> {
        let _ = batch;
        Ok(None)
    }

    /// Crashes the store and waits until it is back: open transactions end, numbers may be issued again. Answers `false`
    /// where it cannot.
    async fn crash(&self) -> bool {
        false
    }

    /// Shuts the store down in order and waits until it is back. Answers `false` where it cannot.
    async fn restart(&self) -> bool {
        false
    }
}

/// An append that a [`Harness`] holds open. Dropping it may leave it open: the suite always ends it.
#[async_trait]
pub trait HeldAppend: Send {
    /// What the append will answer if it is committed.
    fn appended(&self) -> &Appended;

    /// Makes its events visible.
    ///
    /// # Errors
    ///
    /// Whatever went wrong; the case fails.
    async fn commit(self: Box<Self>) -> Result<()>;

    /// Gives its events up.
    ///
    /// # Errors
    ///
    /// Whatever went wrong; the case fails.
    async fn rollback(self: Box<Self>) -> Result<()>;
}

#[async_trait]
impl<G: Send + Sync, S: Store + 'static> Harness for (G, Arc<S>) {
    fn store(&self) -> Arc<dyn Store> {
        Arc::<S>::clone(&self.1)
    }
}

use std::sync::Arc;

use ermine_core::{AppendBatch, Appended, Result};

use crate::node::{Shared, Tx};

/// An append that a test holds open: its numbers are drawn, its changes invisible until [`commit`](Self::commit).
///
/// Dropping it rolls it back. A stream that it appends to is locked against other appends until it ends, and so are its
/// event ids and the views that it pins or changes; two open appends that wait for each other wait for ever.
#[derive(Debug)]
#[must_use = "dropping it rolls it back"]
pub struct OpenAppend {
    tx: Tx,
}

impl OpenAppend {
    pub(crate) fn begin(shared: &Arc<Shared>) -> Self {
        Self { tx: Tx::begin(shared) }
    }

    /// The same under a name that [`explain`](ermine_core::ports::HighWaterSource::explain) gives as the application.
    pub fn named(self, application: impl Into<String>) -> Self {
        self.tx.shared.state().name(self.tx.id, application.into());
        self
    }

    /// Shows up as evidence without drawing a number, as an append does a moment before it draws its first.
    ///
    /// # Errors
    ///
    /// [`OutcomeUnknown`](ermine_core::ErrorKind::OutcomeUnknown) when a crash or restart has ended the transaction.
    pub fn announce(&mut self) -> Result<()> {
        self.tx.shared.state().announce(self.tx.id)
    }

    /// Draws numbers for `batch`. Its events stay invisible; an error leaves the transaction as it was.
    ///
    /// # Errors
    ///
    /// Those of [`EventAppender::append`](ermine_core::ports::EventAppender::append), and
    /// [`OutcomeUnknown`](ermine_core::ErrorKind::OutcomeUnknown) when a crash or restart has ended the transaction.
    ///
    /// # Cancellation
    ///
    /// Safe: it only waits for other appends to the same streams.
    pub async fn append(&mut self, batch: AppendBatch) -> Result<Appended> {
        let id = self.tx.id;
        self.tx.shared.turn(|state| state.stage(id, &batch)).await
    }

    /// Makes the events visible, all at once.
    ///
    /// # Errors
    ///
    /// [`OutcomeUnknown`](ermine_core::ErrorKind::OutcomeUnknown) when a crash or restart has ended the transaction; it is
    /// rolled back then.
    pub fn commit(self) -> Result<()> {
        self.tx.end(super::state::State::commit)
    }

    /// Gives the events up. Their numbers stay drawn.
    pub fn rollback(self) {
        drop(self);
    }
}

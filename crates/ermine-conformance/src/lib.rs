//! The suite that a store adapter must pass: one case per line of the contracts in [`ermine_core::ports`].
//!
//! An adapter is whatever implements [`Store`](ermine_core::ports::Store). Give [`suite!`] something that makes a
//! [`Harness`] (an empty store, and the few things that the suite has to do to it from outside), and every contract line
//! becomes a test of its own, named after what it promises.
//!
//! A promise that a harness has no means to show (an append held open, a crash, a restart), or that is about an ability
//! which the store does not have (its outbox, archived streams), is printed as skipped: run the tests with `--nocapture`
//! to see which. A harness that can do everything is the proof; start without.
//!
//! # Examples
//!
//! In `tests/it/conformance.rs` of the adapter, with this crate, `async-trait` and the adapter's runtime as
//! dev-dependencies:
//!
//! ```
//! use std::sync::Arc;
//!
//! use async_trait::async_trait;
//! use ermine_conformance::{Harness, HeldAppend};
//! use ermine_core::{AppendBatch, Appended, Result, ports::Store};
//! use ermine_memory::{MemoryStore, OpenAppend};
//!
//! /// Owns what the test needs; a file or a database would be removed when it is dropped.
//! struct Memory(MemoryStore);
//!
//! #[async_trait]
//! impl Harness for Memory {
//!     fn store(&self) -> Arc<dyn Store> {
//!         Arc::new(self.0.clone())
//!     }
//!
//!     async fn other_node(&self) -> Result<Option<Arc<dyn Store>>> {
//!         Ok(Some(Arc::new(self.0.node())))
//!     }
//!
//!     async fn hold_append(&self, batch: AppendBatch) -> Result<Option<Box<dyn HeldAppend>>> {
//!         let mut open = self.0.begin();
//!         let appended = open.append(batch).await?;
//!         Ok(Some(Box::new(Held { open, appended })))
//!     }
//!
//!     async fn crash(&self) -> bool {
//!         self.0.crash();
//!         true
//!     }
//!
//!     async fn restart(&self) -> bool {
//!         self.0.restart();
//!         true
//!     }
//! }
//!
//! struct Held {
//!     open: OpenAppend,
//!     appended: Appended,
//! }
//!
//! #[async_trait]
//! impl HeldAppend for Held {
//!     fn appended(&self) -> &Appended {
//!         &self.appended
//!     }
//!
//!     async fn commit(self: Box<Self>) -> Result<()> {
//!         self.open.commit()
//!     }
//!
//!     async fn rollback(self: Box<Self>) -> Result<()> {
//!         self.open.rollback();
//!         Ok(())
//!     }
//! }
//!
//! ermine_conformance::suite!(|| async { Memory(MemoryStore::new()) });
//! # fn main() {
//! # ermine_conformance::run("read", "a_full_page_ends_at_the_last_event_it_saw", || async {
//! #     Memory(MemoryStore::new())
//! # });
//! # }
//! ```
//!
//! Or, for a beginning, with nothing but the store and a guard that removes it:
//!
//! ```
//! # use std::sync::Arc;
//! # struct TempDir;
//! # use ermine_memory::MemoryStore;
//! ermine_conformance::suite!(|| async { (TempDir, Arc::new(MemoryStore::new())) });
//! ```
//!
//! One case on its own, in a test of what the suite finds:
//!
//! ```
//! # use std::sync::Arc;
//! # use ermine_memory::MemoryStore;
//! # #[tokio::main]
//! # async fn main() -> Result<(), ermine_conformance::Stop> {
//! let case = ermine_conformance::case("append", "bodies_over_a_megabyte_come_back").expect("this case exists");
//! case.check(&((), Arc::new(MemoryStore::new()))).await?;
//! # Ok(())
//! # }
//! ```

mod bench;
mod case;
mod cases;
mod documents;
mod harness;
mod outcome;
mod random;
mod sheet;
mod suite;

pub use case::Case;
pub use harness::{Harness, HeldAppend};
pub use outcome::{Outcome, Stop};
pub use suite::{CASES, case, run};

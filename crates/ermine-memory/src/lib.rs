//! A store of Ermine in the memory of this process: the reference for what a store does, with faults on demand.
//!
//! [`MemoryStore`] keeps the same promises as a database. Sequence numbers are drawn by open transactions, so an event may
//! become visible after one with a higher number ([`MemoryStore::begin`]), a rollback leaves a hole, and a crash
//! ([`MemoryStore::crash`]) takes everything away that was not committed and may issue numbers again.
//!
//! What it cannot do is survive the end of the process: use it for tests, examples and trying things out.
//!
//! # Examples
//!
//! An event that commits late is invisible until then, and the observation says so:
//!
//! ```
//! use ermine_core::{
//!     AppendBatch, Bell, Body, Evidence, NewEvent, Observe, Seq, StreamAppend, StreamId, TypeName,
//!     ports::{EventAppender, HighWaterSource},
//! };
//! use ermine_memory::MemoryStore;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> ermine_core::Result<()> {
//! fn one_event(stream: &str) -> ermine_core::Result<AppendBatch> {
//!     let event = NewEvent::new(TypeName::new("trip.started")?, Body::encode("ada")?);
//!     Ok(AppendBatch::new().stream(StreamAppend::new(StreamId::new(stream)?, vec![event])))
//! }
//!
//! let store = MemoryStore::new();
//! let mut late = store.begin();
//! late.append(one_event("trip-1")?).await?; // draws number 1
//! store.append(one_event("trip-2")?).await?; // draws number 2 and commits at once
//!
//! let seen = store.observe(Observe { mark: Seq::ZERO, bell: Bell::Leave }).await?;
//! assert_eq!(seen.highest_visible, Seq::new(2));
//! assert_eq!(seen.evidence, Evidence::Floors(vec![Seq::ZERO])); // nobody may pass 0 yet
//!
//! late.commit()?;
//! let seen = store.observe(Observe { mark: Seq::ZERO, bell: Bell::Leave }).await?;
//! assert_eq!(seen.evidence, Evidence::Floors(vec![]));
//! # Ok(())
//! # }
//! ```

mod bell;
mod evidence;
mod faults;
mod gate;
mod node;
mod open_append;
mod ports;
mod state;
mod store;

pub use evidence::EvidenceKind;
pub use faults::{Call, Faults};
pub use gate::Gate;
pub use open_append::OpenAppend;
pub use store::MemoryStore;

/// What kind of store it is; native statements of that kind it refuses too, having no language.
const KIND: &str = "memory";

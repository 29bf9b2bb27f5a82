//! The exact high-water mark of an event log with gaps, as a pure state machine.
//!
//! Writers draw their numbers before they commit, so the highest visible event says nothing about the numbers below it:
//! some are still in flight, and others were rolled back and never come. The *mark* is the number at and below which
//! everything is settled, as an event that every later read sees or as dead for ever. Whoever reads up to the mark and no
//! further loses nothing, and sees everything in order.
//!
//! This crate decides and does nothing else: no clock, no task, no I/O. A driver asks the store for an
//! [`Observation`](ermine_core::Observation), hands it to the [`Tracker`], and does what the [`Verdict`] says. [`Pace`] tells
//! it when to look again and what to do with the doorbell. [`Policy`] names how the store proves what is settled, and
//! what each way risks.
//!
//! ```
//! use ermine_core::{Evidence, Incarnation, Observation, Seq, Timestamp, Uuid};
//! use ermine_highwater::{Next, Policy, Tracker, Verdict};
//!
//! let mut tracker = Tracker::resume(Seq::new(10), Policy::Floors);
//! let mut observation = Observation {
//!     incarnation: Incarnation(Uuid::nil()),
//!     last: Seq::new(20),
//!     evidence: Evidence::Floors(vec![Seq::new(14)]), // an append in flight may still use 15 and above
//!     last_again: Seq::new(20),
//!     highest_visible: Seq::new(19),
//!     at: Timestamp::UNIX_EPOCH,
//! };
//! let _ = tracker.handle_observation(&observation, true);
//! assert_eq!(tracker.mark(), Seq::new(14));
//!
//! observation.evidence = Evidence::Floors(vec![]); // it has ended: 20 was its number, and it rolled back
//! let Verdict::Sound(outlook) = tracker.handle_observation(&observation, true) else { panic!() };
//! assert_eq!(tracker.mark(), Seq::new(19));
//! assert_eq!(outlook.next, Next::MaySleep);
//! ```

mod epochs;
mod pace;
mod policy;
mod timed;
mod tracker;
mod verdict;

pub use pace::{Look, Pace, Round, Tempo, Wait};
pub use policy::Policy;
pub use tracker::Tracker;
pub use verdict::{Hold, Next, Outlook, Verdict};

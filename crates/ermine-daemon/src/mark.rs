use ermine_core::{Incarnation, Seq};

/// A mark and the life of the store in which it was found out; without that it would mean nothing after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Every number at or below it is settled.
    pub seq: Seq,
    /// In which incarnation of the store.
    pub incarnation: Incarnation,
}

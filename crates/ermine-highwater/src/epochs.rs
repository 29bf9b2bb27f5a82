use std::collections::BTreeSet;

use ermine_core::{HolderId, Seq};

/// How many epochs are kept; 17 were the most that a stress run needed.
const EPOCHS_MAX: usize = 20;

/// The last number at some moments, and who has held the sequence since.
///
/// Who drew a number up to `last` before it was read either holds the sequence in the list read after it or has ended. So
/// `last` is settled once nobody of that list is left.
#[derive(Clone, Debug, Default)]
pub(crate) struct Epochs {
    /// Ascending in `last`; none of them is settled.
    open: Vec<Epoch>,
    settled: Seq,
}

#[derive(Clone, Debug)]
struct Epoch {
    last: Seq,
    holders: BTreeSet<HolderId>,
}

impl Epochs {
    /// Takes in that the sequence stood at `last`, and who held it afterwards; gives the highest settled number.
    pub(crate) fn observe(&mut self, last: Seq, holders: &[HolderId]) -> Seq {
        let holders: BTreeSet<HolderId> = holders.iter().cloned().collect();
        for epoch in &mut self.open {
            epoch.holders.retain(|holder| holders.contains(holder));
        }
        // A newer list for the same number could only name more holders, all of them too late to have drawn it.
        if self.open.last().is_none_or(|newest| newest.last < last) {
            self.open.push(Epoch { last, holders });
        }
        let settled = self.open.iter().rev().find(|epoch| epoch.holders.is_empty()).map(|epoch| epoch.last);
        self.settled = self.settled.max(settled.unwrap_or_default());
        self.open.retain(|epoch| epoch.last > self.settled);
        self.merge();
        self.settled
    }

    /// Epochs that wait for the same holders are settled together, and the later one covers more. Leaving one out
    /// only makes the mark coarser; the oldest ones stay, or under load none would ever become settled.
    fn merge(&mut self) {
        self.open.reverse();
        self.open.dedup_by(|older, newer| older.holders == newer.holders);
        self.open.reverse();
        while self.open.len() > EPOCHS_MAX {
            self.open.remove(self.open.len() - 2);
        }
    }
}

#[cfg(test)]
mod tests;

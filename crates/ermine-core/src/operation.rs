use crate::{Epoch, EventRange, Incarnation, Seq, ShardName, StoredView, ViewKey, ViewTable};

/// One change that a projection wants.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// Put a view in place of whatever is there.
    Store {
        /// Which table.
        table: ViewTable,
        /// Which view.
        key: ViewKey,
        /// What to store.
        view: StoredView,
    },
    /// Remove a view; nothing happens when it is not there.
    Delete {
        /// Which table.
        table: ViewTable,
        /// Which view.
        key: ViewKey,
    },
}

impl Operation {
    /// The table it changes.
    #[must_use]
    pub const fn table(&self) -> &ViewTable {
        match self {
            Self::Store { table, .. } | Self::Delete { table, .. } => table,
        }
    }

    /// The view it changes.
    #[must_use]
    pub const fn key(&self) -> &ViewKey {
        match self {
            Self::Store { key, .. } | Self::Delete { key, .. } => key,
        }
    }

    /// What the view is afterwards; `None` when it is gone.
    #[must_use]
    pub const fn result(&self) -> Option<&StoredView> {
        match self {
            Self::Store { view, .. } => Some(view),
            Self::Delete { .. } => None,
        }
    }
}

/// What one page wants to change: operations and progress, committed together or not at all.
#[derive(Clone, Debug)]
pub struct ShardBatch {
    /// Which shard.
    pub shard: ShardName,
    /// The epoch in which the shard was taken.
    pub epoch: Epoch,
    /// The incarnation in which the page was read.
    pub incarnation: Incarnation,
    /// Where stored progress must be.
    pub from: Seq,
    /// Where it will be; `to == from` compares without moving.
    pub to: Seq,
    /// The changes; they take effect as if one by one in this order.
    pub operations: Vec<Operation>,
    /// How many events of unknown types the range holds.
    pub unknown_events: u64,
}

impl ShardBatch {
    /// What the batch covers; `None` when it moves nothing.
    #[must_use]
    pub fn range(&self) -> Option<EventRange> {
        EventRange::new(self.from, self.to)
    }
}

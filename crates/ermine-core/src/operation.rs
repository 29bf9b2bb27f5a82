use std::sync::Arc;

use smol_str::SmolStr;

use crate::{
    Epoch, EventRange, Filter, Incarnation, LetterChanges, Message, NewEvent, Seq, ShardName, StoredView,
    StreamId, TenantId, Value, ViewKey, ViewTable,
};

/// One change that a projection wants.
#[derive(Clone, Debug, PartialEq)]
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
    /// Remove the views of a tenant that match.
    DeleteWhere {
        /// Which table.
        table: ViewTable,
        /// Whose views.
        tenant: TenantId,
        /// Which of them.
        filter: Filter,
    },
    /// Append events to a stream, whatever its version; those whose ids are recorded already are left out.
    Append {
        /// Whose stream.
        tenant: TenantId,
        /// Which stream.
        stream: StreamId,
        /// The events in their order.
        events: Vec<NewEvent>,
    },
    /// Put a message into the outbox; nothing happens when one of its id has ever been there.
    Publish(Message),
    /// A statement in the language of one adapter.
    Native(Native),
}

/// A statement that only one kind of store understands, for what no other operation says.
///
/// The function `sql` of the adapter makes one.
#[derive(Clone, Debug, PartialEq)]
pub struct Native {
    /// The [`kind`](crate::ports::Store::kind) of store it is for; any other refuses it.
    pub adapter: SmolStr,
    /// The statement. `{schema}` stands for the store's schema, `{table}` for `table`.
    pub statement: Arc<str>,
    /// Its parameters in order.
    pub parameters: Vec<Value>,
    /// What `{table}` stands for.
    pub table: ViewTable,
}

impl Operation {
    /// The view that the operation is about, where it is about one.
    #[must_use]
    pub const fn view(&self) -> Option<(&ViewTable, &ViewKey)> {
        match self {
            Self::Store { table, key, .. } | Self::Delete { table, key } => Some((table, key)),
            _ => None,
        }
    }

    /// What that view is afterwards; `None` when it is gone.
    #[must_use]
    pub const fn result(&self) -> Option<&StoredView> {
        match self {
            Self::Store { view, .. } => Some(view),
            _ => None,
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
    /// How many events of the range were marked as skipped.
    pub skipped_events: u64,
    /// Parts of the shard's projection whose progress shall read `to` as well; they are not fenced by themselves.
    pub members: Vec<ShardName>,
    /// What changes about events that the shard has refused.
    pub letters: LetterChanges,
}

impl ShardBatch {
    /// A batch that moves progress from `from` to `to` and changes nothing else.
    #[must_use]
    pub const fn new(shard: ShardName, epoch: Epoch, incarnation: Incarnation, from: Seq, to: Seq) -> Self {
        Self {
            shard,
            epoch,
            incarnation,
            from,
            to,
            operations: Vec::new(),
            unknown_events: 0,
            skipped_events: 0,
            members: Vec::new(),
            letters: LetterChanges { letters: Vec::new(), parked: Vec::new(), released: Vec::new() },
        }
    }

    /// What the batch covers; `None` when it moves nothing.
    #[must_use]
    pub fn range(&self) -> Option<EventRange> {
        EventRange::new(self.from, self.to)
    }
}

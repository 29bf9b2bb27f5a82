use jiff::Timestamp;
use serde::Serialize;
use smol_str::SmolStr;

use crate::ShardName;

/// What an operator or a policy wants of a shard, whichever process runs it; it stays until it is undone or its time is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Wish {
    /// Which shard.
    pub shard: ShardName,
    /// Who wants it to stand still.
    pub by: SmolStr,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
    /// Until when; `None` until it is undone.
    pub until: Option<Timestamp>,
}

impl Wish {
    /// Whether it still counts at `now`.
    #[must_use]
    pub fn counts_at(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

use std::sync::Arc;

use ermine_core::{ShardName, Wish};
use tokio::sync::{Notify, watch};

/// How one worker is told what others want of its shard.
#[derive(Debug)]
pub(crate) struct Control {
    pub(crate) shard: ShardName,
    pub(crate) desired: watch::Sender<Desired>,
    /// Told when somebody has decided about dead letters.
    pub(crate) letters: Notify,
}

/// What a shard is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Desired {
    /// The store has not been asked yet.
    NotKnown,
    Run,
    StandStill(Wish),
}

/// Those of all workers of a daemon.
pub(crate) type Controls = Arc<[Arc<Control>]>;

impl Control {
    /// `stored` says whether there is a store to be asked what is wanted.
    pub(crate) fn new(shard: ShardName, stored: bool) -> Arc<Self> {
        let desired = if stored { Desired::NotKnown } else { Desired::Run };
        Arc::new(Self { shard, desired: watch::Sender::new(desired), letters: Notify::new() })
    }

    /// Whether it is to stand still, as far as is known here.
    pub(crate) fn stands_still(&self) -> bool {
        matches!(*self.desired.borrow(), Desired::StandStill(_))
    }

    /// Follows what is stored.
    pub(crate) fn follow(&self, wish: Option<Wish>) {
        self.desired.send_replace(wish.map_or(Desired::Run, Desired::StandStill));
    }
}

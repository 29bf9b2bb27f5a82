use std::collections::BTreeMap;

use ermine_core::{ShardName, Wish};

use super::{State, Undo};

/// What operators want of shards, by the names of these as they are written.
#[derive(Debug, Default)]
pub(super) struct Wishes(BTreeMap<String, Wish>);

/// What is wanted of one shard afterwards.
pub(super) type WishChange = (ShardName, Option<Wish>);

impl Wishes {
    /// Makes a change; answers with the one that takes it back.
    pub(super) fn apply(&mut self, (shard, wish): WishChange) -> WishChange {
        let name = shard.to_string();
        let before = match wish {
            Some(wish) => self.0.insert(name, wish),
            None => self.0.remove(&name),
        };
        (shard, before)
    }
}

impl State {
    pub(crate) fn put_wish(&mut self, wish: Wish) {
        self.change_wishes(vec![(wish.shard.clone(), Some(wish))]);
    }

    pub(crate) fn clear_wishes(&mut self, shards: &[ShardName]) -> u64 {
        let mut there: Vec<&ShardName> =
            shards.iter().filter(|shard| self.data.wishes.0.contains_key(&shard.to_string())).collect();
        there.sort_unstable();
        there.dedup();
        let count = there.len() as u64;
        self.change_wishes(there.into_iter().map(|shard| (shard.clone(), None)).collect());
        count
    }

    fn change_wishes(&mut self, changes: Vec<WishChange>) {
        if changes.is_empty() {
            return;
        }
        let undo = changes.into_iter().map(|change| self.data.wishes.apply(change)).collect();
        self.history.push(Undo::Wishes(undo), self.data.last);
        self.ring_all();
    }

    pub(crate) fn wishes(&self) -> Vec<Wish> {
        self.data.wishes.0.values().cloned().collect()
    }
}

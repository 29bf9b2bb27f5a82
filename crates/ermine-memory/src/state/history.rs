use std::collections::{BTreeSet, VecDeque};

use ermine_core::{Progress, Seq, ShardName, StoredView, ViewKey, ViewTable};

/// The most recent commits that a crash can lose; older ones count as flushed.
const KEPT: usize = 1000;

/// The commits in their order, each with what takes it back: the store's write-ahead log, read from its end.
#[derive(Debug, Default)]
pub(super) struct History {
    commits: VecDeque<(Undo, Seq)>,
    flushed: Seq,
}

/// What takes one commit back.
#[derive(Debug)]
pub(super) enum Undo {
    Append(Vec<Seq>),
    Shards {
        progress: Vec<(ShardName, Option<Progress>)>,
        views: Vec<(ViewTable, ViewKey, Option<StoredView>)>,
    },
    Migration {
        migrated: bool,
        tables: BTreeSet<ViewTable>,
    },
}

impl History {
    /// Adds a commit, made when `last` was the last number drawn.
    pub(super) fn push(&mut self, undo: Undo, last: Seq) {
        self.commits.push_back((undo, last));
        if self.commits.len() > KEPT
            && let Some((_, last)) = self.commits.pop_front()
        {
            self.flushed = last;
        }
    }

    pub(super) fn pop(&mut self) -> Option<Undo> {
        self.commits.pop_back().map(|(undo, _)| undo)
    }

    /// The last number that the commits which are left prove to have been drawn.
    pub(super) fn last(&self) -> Seq {
        self.commits.back().map_or(self.flushed, |(_, last)| *last)
    }
}

use std::collections::{BTreeMap, VecDeque};

use ermine_core::{EffectId, Layout, Message, Progress, Seq, ShardName, ViewTable};

use super::{Data, letters::LetterChange, staged::Change, wishes::WishChange};

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
    Commit(Committed),
    /// Marks on events.
    Skipped(Vec<Seq>),
    /// Messages with the places they had.
    Settled(Vec<(u64, Message)>),
    Letters(Vec<LetterChange>),
    Wishes(Vec<WishChange>),
    Migration {
        migrated: bool,
        tables: BTreeMap<ViewTable, Layout>,
        views: Vec<Change>,
    },
}

/// What a transaction has changed, with what was there before.
#[derive(Debug)]
pub(super) struct Committed {
    pub(super) events: Vec<Seq>,
    pub(super) views: Vec<Change>,
    pub(super) messages: Vec<EffectId>,
    pub(super) letters: Vec<LetterChange>,
    pub(super) progress: Vec<(ShardName, Option<Progress>)>,
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

impl Data {
    pub(super) fn undo(&mut self, undo: Undo) {
        match undo {
            Undo::Commit(commit) => self.take_back(commit),
            Undo::Skipped(seqs) => {
                for seq in seqs {
                    self.skipped.remove(&seq);
                }
            }
            Undo::Settled(messages) => self.messages.unsettle(messages),
            Undo::Letters(changes) => self.take_back_letters(changes),
            Undo::Wishes(changes) => {
                for change in changes.into_iter().rev() {
                    self.wishes.apply(change);
                }
            }
            Undo::Migration { migrated, tables, views } => {
                self.migrated = migrated;
                self.tables = tables;
                for (table, key, before) in views.into_iter().rev() {
                    self.put_view(&table, &key, before);
                }
            }
        }
    }
}

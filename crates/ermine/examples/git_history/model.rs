//! The events and views of a git history.

use ermine::prelude::*;

#[derive(Debug, DomainEvent)]
#[event(prefix = "git")]
pub(crate) enum GitEvent {
    /// One numstat line of a commit: `nth` of `of`, counted from 1. Binary files count 0 lines.
    FileChanged {
        commit: String,
        nth: u32,
        of: u32,
        author: String,
        authored_at: i64,
        added: u64,
        deleted: u64,
    },
}

/// One view per file.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct FileHistory {
    pub(crate) changes: u64,
    pub(crate) added: u64,
    pub(crate) deleted: u64,
    pub(crate) last_author: String,
    last_change: (i64, String),
}

impl Aggregate for FileHistory {
    type Event = GitEvent;

    fn evolve(file: Option<Self>, event: &Recorded<GitEvent>) -> Result<Option<Self>, ApplyError> {
        let GitEvent::FileChanged { commit, author, authored_at, added, deleted, .. } = event.data();
        let mut file = file.unwrap_or_default();
        file.changes += 1;
        file.added += added;
        file.deleted += deleted;
        // Eight writers append in any order, so the last author is the one of the latest commit.
        let change = (*authored_at, commit.clone());
        if file.last_change <= change {
            file.last_change = change;
            file.last_author.clone_from(author);
        }
        Ok(Some(file))
    }
}

/// One view per author, gathered from the streams of all files.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct AuthorTotals {
    pub(crate) author: String,
    pub(crate) commits: u64,
    pub(crate) files: u64,
    pub(crate) added: u64,
    pub(crate) deleted: u64,
}

impl AuthorTotals {
    /// The view of the event's author.
    pub(crate) fn view_of(event: &Recorded<GitEvent>) -> String {
        let GitEvent::FileChanged { author, .. } = event.data();
        // An author may have no name at all, and a view's id may not.
        super::git::shortened(&format!("author {author}"))
    }
}

impl Aggregate for AuthorTotals {
    type Event = GitEvent;

    fn evolve(totals: Option<Self>, event: &Recorded<GitEvent>) -> Result<Option<Self>, ApplyError> {
        let GitEvent::FileChanged { nth, author, added, deleted, .. } = event.data();
        let mut totals = totals.unwrap_or_default();
        totals.author.clone_from(author);
        totals.commits += u64::from(*nth == 1);
        totals.files += 1;
        totals.added += added;
        totals.deleted += deleted;
        Ok(Some(totals))
    }
}

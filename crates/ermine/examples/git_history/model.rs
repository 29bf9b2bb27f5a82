//! The events and views of a git history.

use ermine::{
    core::{FlatTable, Projected},
    prelude::*,
};

#[derive(Debug, DomainEvent)]
#[event(prefix = "git")]
pub(crate) enum GitEvent {
    /// One numstat line of a commit, in the stream of the file. Binary files count 0 lines.
    FileChanged {
        commit: String,
        /// 1 in the first line of a commit, else 0: added up, they count commits.
        commits: u64,
        author: String,
        authored_at: i64,
        /// The date where the author was, `yyyy-MM-dd`.
        day: String,
        added: u64,
        deleted: u64,
    },
}

/// What is counted per author and per day.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) commits: u64,
    pub(crate) files: u64,
    pub(crate) added: u64,
    pub(crate) deleted: u64,
}

/// One view per file.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct FileHistory {
    changes: u64,
    added: u64,
    deleted: u64,
    last_author: String,
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
        // Commits are appended in any order, so the last author is the one of the latest commit.
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
    #[serde(flatten)]
    pub(crate) counts: Counts,
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
        let GitEvent::FileChanged { commits, author, added, deleted, .. } = event.data();
        let mut totals = totals.unwrap_or_default();
        totals.author.clone_from(author);
        totals.counts.commits += commits;
        totals.counts.files += 1;
        totals.counts.added += added;
        totals.counts.deleted += deleted;
        Ok(Some(totals))
    }
}

/// The table `activity` with a row per day, which plain SQL can read as well.
pub(crate) fn activity() -> Projected<FlatTable<GitEvent>> {
    flat_table("Activity", "activity")
        .column("day", ColumnKind::Text)
        .column_or("commits", ColumnKind::Integer, 0)
        .column_or("files", ColumnKind::Integer, 0)
        .column_or("added", ColumnKind::Integer, 0)
        .column_or("deleted", ColumnKind::Integer, 0)
        .keyed_by(|event: &Recorded<GitEvent>| {
            let GitEvent::FileChanged { day, .. } = event.data();
            day.clone()
        })
        .on("git.file_changed", |row| {
            let row = row.map("day").increment("files", 1);
            ["commits", "added", "deleted"].into_iter().fold(row, |row, it| row.increment_from(it, it))
        })
}

/// A row of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Day {
    pub(crate) day: String,
    #[serde(flatten)]
    pub(crate) counts: Counts,
}

//! Reads `git log --numstat` as appends.

use std::{collections::BTreeMap, path::Path, process::Stdio};

use anyhow::{Context, Result, bail, ensure};
use ermine::{core::EventId, prelude::*};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStdout, Command},
};

use crate::model::GitEvent;

/// A commit that is not a merge.
struct Commit {
    id: String,
    author: String,
    authored_at: i64,
    day: String,
    files: Vec<FileChange>,
}

struct FileChange {
    /// The file's name after the commit, as git knows it: any bytes.
    path: Vec<u8>,
    added: u64,
    deleted: u64,
}

/// The non-merge commits of HEAD, newest first.
pub(crate) struct Log {
    child: Child,
    out: BufReader<ChildStdout>,
    /// The header that ended the commit before.
    next_header: Option<Vec<u8>>,
}

/// Starts the header of a commit; no numstat line does.
const HEADER: u8 = 0x02;

impl Log {
    pub(crate) async fn open(repo: &Path) -> Result<Self> {
        let head = git(repo)
            .args(["rev-parse", "--verify", "HEAD^{commit}"])
            .output()
            .await
            .context("running git")?;
        if !head.status.success() {
            let said = String::from_utf8_lossy(&head.stderr);
            bail!("{} is not a git repository with a commit: {}", repo.display(), said.trim());
        }
        let format = "--format=%x02%H%x00%an%x00%at%x00%ad%x00";
        let mut child = git(repo)
            .args(["log", "--no-merges", "--numstat", "-z", "--date=short", format, "HEAD"])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("running git")?;
        let out = BufReader::with_capacity(1 << 20, child.stdout.take().context("git has no output")?);
        let mut log = Self { child, out, next_header: None };
        log.next_header = log.token().await?;
        Ok(log)
    }

    /// The next commit that changed at least one file, as one append: an event per numstat line in the file's stream.
    pub(crate) async fn next_append(&mut self) -> Result<Option<AppendBatch>> {
        while let Some(commit) = self.next_commit().await? {
            if !commit.files.is_empty() {
                return commit.into_append().map(Some);
            }
        }
        Ok(None)
    }

    async fn next_commit(&mut self) -> Result<Option<Commit>> {
        let Some(header) = self.next_header.take() else {
            ensure!(self.child.wait().await?.success(), "git log failed");
            return Ok(None);
        };
        ensure!(header.first() == Some(&HEADER), "git log gave no commit where one was due: {header:?}");
        let mut commit = Commit {
            id: lossy(&header[1..]),
            author: lossy(&self.due().await?),
            // Old and odd tools have written commits whose time cannot be read; git says nothing of it then.
            authored_at: lossy(&self.due().await?).parse().unwrap_or(0),
            day: Some(lossy(&self.due().await?)).filter(|day| !day.is_empty()).unwrap_or("unknown".into()),
            files: Vec::new(),
        };
        self.due().await?; // the end of the format
        while let Some(token) = self.token().await? {
            if token.first() == Some(&HEADER) {
                self.next_header = Some(token);
                break;
            }
            let line = token.strip_prefix(b"\n").unwrap_or(&token);
            let mut columns = line.splitn(3, |b| *b == b'\t');
            let (Some(added), Some(deleted), Some(path)) = (columns.next(), columns.next(), columns.next())
            else {
                bail!("not a numstat line: {:?}", lossy(line));
            };
            // A renamed file has an empty name here; the old and the new one follow.
            let path = if path.is_empty() {
                self.due().await?;
                self.due().await?
            } else {
                path.to_vec()
            };
            commit.files.push(FileChange { path, added: lines(added)?, deleted: lines(deleted)? });
        }
        Ok(Some(commit))
    }

    async fn due(&mut self) -> Result<Vec<u8>> {
        self.token().await?.context("git log ended in the middle of a commit")
    }

    async fn token(&mut self) -> Result<Option<Vec<u8>>> {
        let mut token = Vec::new();
        if self.out.read_until(0, &mut token).await? == 0 {
            return Ok(None);
        }
        ensure!(token.pop() == Some(0), "git log ended in the middle of a line");
        Ok(Some(token))
    }
}

impl Commit {
    fn into_append(self) -> Result<AppendBatch> {
        let mut streams: BTreeMap<String, Vec<NewEvent>> = BTreeMap::new();
        for (nth, file) in self.files.iter().enumerate() {
            let event = GitEvent::FileChanged {
                commit: self.id.clone(),
                commits: u64::from(nth == 0),
                author: self.author.clone(),
                authored_at: self.authored_at,
                day: self.day.clone(),
                added: file.added,
                deleted: file.deleted,
            };
            let of_stream = streams.entry(shortened(&lossy(&file.path))).or_default();
            // Two names may become one where bytes are replaced, and git may list one name twice.
            let id = EventId::derived(&format!("{} {} {}", self.id, of_stream.len(), hex(&file.path)));
            of_stream.push(NewEvent::of(&event)?.with_id(id));
        }
        let batch =
            streams.into_iter().try_fold(AppendBatch::new().idempotent(), |batch, (path, events)| {
                Ok::<_, ermine::Error>(batch.stream(StreamAppend::new(StreamId::new(path)?, events)))
            })?;
        Ok(batch)
    }
}

/// `text`, or where an id cannot hold it, its beginning and a hash of it all.
pub(crate) fn shortened(text: &str) -> String {
    if text.len() <= 500 {
        return text.to_owned();
    }
    let start = text.floor_char_boundary(460);
    let hash = EventId::derived(text);
    format!("{}..{hash}", &text[..start])
}

fn git(repo: &Path) -> Command {
    let mut git = Command::new("git");
    git.arg("-C").arg(repo).stdin(Stdio::null());
    git
}

fn lines(column: &[u8]) -> Result<u64> {
    if column == b"-" {
        return Ok(0); // a binary file
    }
    lossy(column).parse().with_context(|| format!("not a number of lines: {:?}", lossy(column)))
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut hex, b| {
        let _ = write!(hex, "{b:02x}");
        hex
    })
}

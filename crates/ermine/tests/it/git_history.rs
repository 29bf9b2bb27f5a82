//! The example on a repository with everything that is odd about real ones, against what git itself adds up to.

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Command, Output},
};

use ermine_testkit::pg::TestDatabase;
use serde::Deserialize;

use crate::examples;

/// What is printed of an author or a day.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
struct Totals {
    #[serde(alias = "author", alias = "day")]
    of: String,
    commits: u64,
    files: u64,
    added: u64,
    deleted: u64,
}

#[test]
fn totals_are_those_of_git_and_a_second_run_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    totals_are_those_of_git(&format!("sqlite:{}", directory.path().join("history.db").display()));
}

#[tokio::test]
async fn totals_are_those_of_git_on_postgres() {
    totals_are_those_of_git(&TestDatabase::create().await.url());
}

fn totals_are_those_of_git(store: &str) {
    let repo = odd_repository();
    let (authors, days) = (totals_of_git(repo.path(), "%an"), totals_of_git(repo.path(), "%ad"));
    let files: u64 = authors.iter().map(|t| t.files).sum();
    for (by, expected, stored) in [("author", &authors, files), ("day", &days, 0), ("author", &authors, 0)] {
        let output = run_example(repo.path(), &["--store", store, "--by", by]);
        assert_eq!(&totals(&output), expected);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            said.contains(&format!("{files} events in the history, {stored} of them stored now")),
            "{said}"
        );
    }
}

#[test]
fn without_a_store_it_leaves_nothing_behind() {
    let (repo, temporary) = (odd_repository(), tempfile::tempdir().unwrap());
    let output = example(repo.path(), &[]).env("TMPDIR", temporary.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(totals(&output), totals_of_git(repo.path(), "%an"));
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0);
}

#[test]
fn what_is_no_repository_is_named() {
    let nowhere = tempfile::tempdir().unwrap();
    let output = example(nowhere.path(), &[]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(said.contains("is not a git repository with a commit"), "{said}");
}

fn run_example(repo: &Path, arguments: &[&str]) -> Output {
    let output = example(repo, arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

fn example(repo: &Path, arguments: &[&str]) -> Command {
    let mut command = examples::example("git_history");
    command.arg("--repo").arg(repo).arg("--json").args(arguments);
    command
}

fn totals(output: &Output) -> Vec<Totals> {
    String::from_utf8(output.stdout.clone())
        .unwrap()
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect()
}

/// What the lines of `git log --numstat` add up to by a placeholder of its format, sorted by bytes.
fn totals_of_git(repo: &Path, by: &str) -> Vec<Totals> {
    let format = format!("--format=%x01{by}");
    let log = git(repo, &["log", "--no-merges", "--numstat", "--date=short", &format]);
    let (mut totals, mut of, mut first) = (BTreeMap::<String, Totals>::new(), String::new(), false);
    for line in log.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
        if let Some(name) = line.strip_prefix(b"\x01") {
            (of, first) = (String::from_utf8_lossy(name).into_owned(), true);
            if by == "%ad" && of.is_empty() {
                of = "unknown".into();
            }
            continue;
        }
        let line = String::from_utf8_lossy(line);
        let mut columns = line.split('\t').map(|column| column.parse().unwrap_or(0));
        let totals =
            totals.entry(of.clone()).or_insert_with(|| Totals { of: of.clone(), ..Totals::default() });
        totals.commits += u64::from(std::mem::take(&mut first));
        totals.files += 1;
        totals.added += columns.next().unwrap();
        totals.deleted += columns.next().unwrap();
    }
    totals.into_values().collect()
}

/// Commits by several authors (one without a UTF-8 name) on several days (one unknown), a binary file, a rename, a merge, an empty commit, a deletion, a
/// file with tab and newline in its name, and one whose path is longer than a stream's id.
fn odd_repository() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    git(path, &["init", "--quiet", "--initial-branch=main", "."]);
    let deep = ["d".repeat(200), "e".repeat(200), "f".repeat(200)].join("/");
    std::fs::create_dir_all(path.join(&deep)).unwrap();
    let write = |name: &str, content: &[u8]| std::fs::write(path.join(name), content).unwrap();

    write("a", b"1\n2\n3\n4\n5\n6\n7\n8\n");
    write("tab\tand\nnewline", b"1\n");
    write(&format!("{deep}/file"), b"1\n2\n");
    commit(path, "Ada", "start");
    write("binary", b"\x00\x01\x02");
    write("a", b"1\n2\n3\n");
    commit(path, "Bj\u{f6}rn \"the\" Bear", "a binary file");
    git(path, &["mv", "a", "b"]);
    commit(path, "Ada", "a rename");
    git(path, &["switch", "--quiet", "--create", "side", "HEAD~1"]);
    write("c", b"1\n");
    commit(path, "\u{4f60}\u{597d}", "beside it");
    git(path, &["switch", "--quiet", "main"]);
    git(path, &["merge", "--quiet", "--no-ff", "--no-edit", "side"]);
    commit(path, "Nobody", "nothing");
    git(path, &["rm", "--quiet", "binary"]);
    commit(path, "Ada", "a deletion");
    for n in 0..40 {
        write("b", format!("{n}\n").repeat(n % 7).as_bytes());
        write(&format!("file-{}", n % 5), n.to_string().as_bytes());
        commit_on(path, ["Ada", "Bob", "Cyd"][n % 3], "more", &format!("2026-03-{:02}T12:00:00", 1 + n % 9));
    }
    rewrite_author(path, b"Inv\xfflid <a@example.org> 1772539200 +0000");
    write("c", b"1\n2\n3\n");
    commit(path, "Ada", "at a time that cannot be read");
    rewrite_author(path, b"Ada <a@example.org> once");
    dir
}

/// Gives the last commit an author that `git commit` would not take.
fn rewrite_author(repo: &Path, author: &[u8]) {
    let head = git(repo, &["cat-file", "commit", "HEAD"]);
    let lines = head.split_inclusive(|b| *b == b'\n');
    let odd = lines.flat_map(|line| match line.strip_prefix(b"author ") {
        Some(_) => [b"author ", author, b"\n"].concat(),
        None => line.to_vec(),
    });
    let object = repo.join(".git/odd-commit");
    std::fs::write(&object, odd.collect::<Vec<u8>>()).unwrap();
    let id = git(repo, &["hash-object", "-t", "commit", "-w", "--literally", object.to_str().unwrap()]);
    git(repo, &["reset", "--quiet", "--hard", String::from_utf8(id).unwrap().trim()]);
}

fn commit(repo: &Path, author: &str, message: &str) {
    commit_on(repo, author, message, "2026-02-28T23:30:00-08:00");
}

fn commit_on(repo: &Path, author: &str, message: &str, date: &str) {
    git(repo, &["add", "--all"]);
    git(
        repo,
        &[
            "commit",
            "--quiet",
            "--allow-empty",
            "--message",
            message,
            "--author",
            &format!("{author} <a@example.org>"),
            "--date",
            date,
        ],
    );
}

fn git(repo: &Path, arguments: &[&str]) -> Vec<u8> {
    let mut git = Command::new("git");
    git.arg("-C").arg(repo).args([
        "-c",
        "user.name=Committer",
        "-c",
        "user.email=c@example.org",
        "-c",
        "core.quotePath=true",
    ]);
    let output = git.args(arguments).output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

//! The example on a repository with everything that is odd about real ones, against what git itself adds up to.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use ermine_testkit::pg::TestDatabase;
use serde::Deserialize;

#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
struct Totals {
    author: String,
    commits: u64,
    files: u64,
    added: u64,
    deleted: u64,
}

#[tokio::test]
async fn totals_are_those_of_git_and_a_second_run_changes_nothing() {
    let repo = odd_repository();
    let database = TestDatabase::create().await;
    let first = run_example(repo.path(), &database.url());
    let expected = totals_of_git(repo.path());
    let files: u64 = expected.iter().map(|t| t.files).sum();
    assert_eq!(totals(&first), expected);
    let said = String::from_utf8_lossy(&first.stderr).into_owned();
    assert!(said.contains(&format!("{files} events in the history, {files} of them stored now")), "{said}");

    let second = run_example(repo.path(), &database.url());
    assert_eq!(totals(&second), expected);
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains(&format!("{files} events in the history, 0 of them stored now")), "{said}");
}

#[tokio::test]
async fn what_is_no_repository_is_named() {
    let nowhere = tempfile::tempdir().unwrap();
    let database = TestDatabase::create().await;
    let output = example(nowhere.path(), &database.url()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(said.contains("is not a git repository with a commit"), "{said}");
}

fn run_example(repo: &Path, store: &str) -> Output {
    let output = example(repo, store).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

fn example(repo: &Path, store: &str) -> Command {
    // Cargo builds examples beside the tests, but does not say where.
    let test = std::env::current_exe().unwrap();
    let example: PathBuf = test.ancestors().nth(2).unwrap().join("examples/git_history");
    assert!(
        example.exists(),
        "the example is not built: run `cargo test -p ermine`, which builds it, without naming a test binary"
    );
    let mut command = Command::new(example);
    command.arg("--repo").arg(repo).args(["--json", "--store", store]);
    command
}

fn totals(output: &Output) -> Vec<Totals> {
    String::from_utf8(output.stdout.clone())
        .unwrap()
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect()
}

/// What the lines of `git log --numstat` add up to, sorted by the author's bytes.
fn totals_of_git(repo: &Path) -> Vec<Totals> {
    let log = git(repo, &["log", "--no-merges", "--numstat", "--format=%x01%an"]);
    let (mut totals, mut author, mut first) = (BTreeMap::<String, Totals>::new(), String::new(), false);
    for line in log.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
        if let Some(name) = line.strip_prefix(b"\x01") {
            (author, first) = (String::from_utf8_lossy(name).into_owned(), true);
            continue;
        }
        let line = String::from_utf8_lossy(line);
        let mut columns = line.split('\t').map(|column| column.parse().unwrap_or(0));
        let of_author = totals
            .entry(author.clone())
            .or_insert_with(|| Totals { author: author.clone(), ..Totals::default() });
        of_author.commits += u64::from(std::mem::take(&mut first));
        of_author.files += 1;
        of_author.added += columns.next().unwrap();
        of_author.deleted += columns.next().unwrap();
    }
    totals.into_values().collect()
}

/// Commits by several authors (one without a UTF-8 name), a binary file, a rename, a merge, an empty commit, a deletion, a
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
        commit(path, ["Ada", "Bob", "Cyd"][n % 3], "more");
    }
    // An author whose name is not UTF-8 has to be written past the checks of `git commit`.
    let head = String::from_utf8(git(path, &["cat-file", "commit", "HEAD"])).unwrap();
    let invalid: Vec<u8> = head
        .replace("author Ada", "author Inv\u{1}lid")
        .bytes()
        .map(|b| if b == 1 { 0xff } else { b })
        .collect();
    let object = path.join(".git/odd-commit");
    std::fs::write(&object, invalid).unwrap();
    let id = git(path, &["hash-object", "-t", "commit", "-w", "--literally", object.to_str().unwrap()]);
    git(path, &["reset", "--quiet", "--hard", String::from_utf8(id).unwrap().trim()]);
    dir
}

fn commit(repo: &Path, author: &str, message: &str) {
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

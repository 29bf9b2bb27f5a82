//! The files of the workspace, and how a broken rule is told.

use std::{fs, path::Path, process::Command};

/// The root of the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the workspace")
}

/// A text file, by its path from the root.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    /// The lines with their numbers, from 1.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// The lines that hold code, not only a comment.
    pub(crate) fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.lines().filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    /// The crate under `crates/` that the file belongs to.
    pub(crate) fn package(&self) -> &str {
        self.path.strip_prefix("crates/").and_then(|rest| rest.split('/').next()).unwrap_or_default()
    }

    /// Whether it is a Rust file of a crate's library, not of its tests.
    pub(crate) fn is_library_source(&self) -> bool {
        let inside = self.path.strip_prefix("crates/").and_then(|rest| rest.split_once('/'));
        inside.is_some_and(|(_, rest)| rest.starts_with("src/") && is_rust(rest))
    }
}

fn is_rust(path: &str) -> bool {
    path.ends_with(".rs")
}

/// Every text file that git tracks, or would track.
pub(crate) fn all() -> Vec<File> {
    let mut git = Command::new("git");
    git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(root());
    let output = git.output().expect("git is installed");
    assert!(
        output.status.success(),
        "git cannot list the files: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let list = String::from_utf8(output.stdout).expect("paths are UTF-8");
    let paths = list.split_terminator('\0').map(str::to_owned);
    paths
        .filter_map(|path| fs::read_to_string(root().join(&path)).ok().map(|text| File { path, text }))
        .collect()
}

/// Every Rust file, except those of the rules themselves, which have to spell out what they forbid.
pub(crate) fn rust() -> Vec<File> {
    all().into_iter().filter(|it| is_rust(&it.path) && !it.path.starts_with("xtask/tests/tidy/")).collect()
}

/// The Rust files of the libraries under `crates/`.
pub(crate) fn library_sources() -> Vec<File> {
    rust().into_iter().filter(File::is_library_source).collect()
}

/// Fails when there is a finding. `way_out` says what to do about each.
#[track_caller]
pub(crate) fn report(findings: &[String], way_out: &str) {
    assert!(findings.is_empty(), "\n{}\n-> {way_out}\n", findings.join("\n"));
}

/// The lines of `files` that `is_bad`, as `path:line: text`.
pub(crate) fn code_lines(files: &[File], is_bad: impl Fn(&str) -> bool) -> Vec<String> {
    let mut findings = Vec::new();
    for file in files {
        let bad = file.code().filter(|(_, line)| is_bad(line));
        findings.extend(bad.map(|(number, line)| format!("{}:{number}: {}", file.path, line.trim())));
    }
    findings
}

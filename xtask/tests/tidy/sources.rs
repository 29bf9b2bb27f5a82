//! Rules about what stands in source files.

use crate::files::{all, code_lines, library_sources, report, rust};

#[test]
fn sql_lives_in_adapters() {
    let mut files = library_sources();
    files.retain(|file| !matches!(file.package(), "ermine-postgres" | "ermine-sqlite" | "ermine-testkit"));
    let findings = code_lines(&files, |line| {
        let line = line.to_lowercase();
        line.contains('"')
            && (line.contains("\"select ")
                || line.contains("insert into ")
                || line.contains("delete from ")
                || (line.contains("update ") && line.contains(" set ")))
    });
    report(
        &findings,
        "put the statement behind a port of ermine-core, and its SQL into the adapter's src/sql/",
    );
}

#[test]
fn every_sql_file_says_what_it_is_for() {
    let mut files = all();
    files.retain(|it| {
        it.path.starts_with("crates/") && it.path.contains("/src/sql/") && it.path.ends_with(".sql")
    });
    let bare = files.iter().filter(|file| !file.text.starts_with("--"));
    let findings: Vec<String> = bare.map(|file| format!("{}:1: no header", file.path)).collect();
    report(&findings, "begin the file with a comment: `-- name: what it does and why this way`");
}

#[test]
fn every_task_has_an_owner() {
    let findings =
        code_lines(&library_sources(), |line| line.contains("tokio::spawn") || line.contains("task::spawn("));
    report(&findings, "spawn it into a JoinSet that somebody awaits");
}

#[test]
fn no_test_is_ignored() {
    let findings = code_lines(&rust(), |line| line.contains("#[ignore"));
    report(&findings, "make the test fit for every run, or move it to `cargo xtask stress`");
}

#[test]
fn nothing_is_left_to_do() {
    let findings = code_lines(&rust(), |line| line.contains("todo!(") || line.contains("unimplemented!("));
    report(&findings, "write it, or return an error that says what is missing");
}

#[test]
fn library_files_are_short() {
    const LINES_MAX: usize = 600;
    let files = library_sources();
    let long = files.iter().map(|file| (file, file.lines().count())).filter(|(_, lines)| *lines > LINES_MAX);
    let findings: Vec<String> = long
        .map(|(file, lines)| format!("{}:{LINES_MAX}: {lines} lines, {LINES_MAX} at most", file.path))
        .collect();
    report(&findings, "look for the seam and make two files, or move the tests to <file>/tests.rs");
}

#[test]
fn the_mark_is_computed_without_clock_or_runtime() {
    let mut files = library_sources();
    files.retain(|file| file.package() == "ermine-highwater");
    let banned = [
        "Instant::now",
        "SystemTime",
        "Timestamp::now",
        "async fn",
        "async move",
        ".await",
        "mpsc",
        "std::net",
    ];
    let findings = code_lines(&files, |line| banned.iter().any(|word| line.contains(word)));
    report(
        &findings,
        "pass time and answers in as arguments; the driver in ermine-daemon owns clock and I/O",
    );
}

#[test]
fn no_path_of_one_machine_is_written_down() {
    // Spelled in halves, because this file is checked as well.
    let roots = [concat!("/wo", "rk/"), concat!("/ho", "me/"), concat!("/Us", "ers/")];
    let is_absolute = |line: &str, root: &str| {
        line.match_indices(root).any(|(at, _)| {
            !line[..at].ends_with(|before: char| before.is_alphanumeric() || ".-_~}".contains(before))
        })
    };
    let mut findings = Vec::new();
    for file in all() {
        let bad = file.lines().filter(|(_, line)| roots.iter().any(|root| is_absolute(line, root)));
        findings.extend(bad.map(|(number, line)| format!("{}:{number}: {}", file.path, line.trim())));
    }
    report(&findings, "write it relative to the root of the workspace, or take it from the environment");
}

//! The examples as their users run them: twice, in a directory of their own.

use std::{path::Path, process::Command};

use ermine_testkit::pg::TestDatabase;
use tempfile::TempDir;

/// An example of this crate.
pub(crate) fn example(name: &str) -> Command {
    // Cargo builds examples beside the tests, but does not say where.
    let test = std::env::current_exe().unwrap();
    let example = test.ancestors().nth(2).unwrap().join("examples").join(name);
    assert!(
        example.exists(),
        "the example {name} is not built: run `cargo test -p ermine`, which builds it, without naming a test binary"
    );
    Command::new(example)
}

/// What an example prints when it is run in `directory`.
fn run(name: &str, directory: &Path, arguments: &[&str]) -> String {
    let output = example(name).current_dir(directory).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    String::from_utf8(output.stdout).unwrap()
}

/// All lines, in their order, with others in between.
#[track_caller]
fn assert_lines(said: &str, expected: &[&str]) {
    let mut lines = said.lines().map(str::trim);
    for line in expected {
        assert!(lines.any(|it| it == *line), "{line}\nis not where it should be in\n{said}");
    }
}

#[test]
fn the_program_of_the_readme_runs_as_it_stands_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let program = std::fs::read_to_string(root.join("examples/quick_start.rs")).unwrap();
    let (_, program) = program.split_once("\n\n").unwrap();
    assert!(readme.contains(&format!("```rust,no_run\n{program}```")), "the README shows another program");

    let directory = TempDir::new().unwrap();
    let said = run("quick_start", directory.path(), &[]);
    assert_eq!(said, "Some(Trip { driver: \"ada\", km: 12.5, ended: false })\n");
    assert!(directory.path().join("trips.db").exists());
}

#[test]
fn trips_go_on_where_they_were_and_a_new_version_starts_afresh() {
    trips(&[]);
}

#[tokio::test]
async fn trips_are_the_same_on_postgres() {
    let database = TestDatabase::create().await;
    trips(&["--store", &database.url()]);
}

fn trips(store: &[&str]) {
    let directory = TempDir::new().unwrap();
    let first = run("trips", directory.path(), store);
    assert_lines(
        &first,
        &[
            "The store holds 0 trips of earlier runs; five more set out.",
            "trip-001: ada has driven 153.5 km in 2 legs",
            "trip-003 was aborted and has no view",
            "The longest trips that have ended:",
            "TripCustomName:All is at 18",
            "the store holds 18 events of 5 trips, the highest is 18",
            "the progress of TripCustomName:All is 18",
            "the high-water mark is 18",
            "TripCustomName:All is 0 events and 0 s behind",
            "TripCustomName:All is at 18, running",
        ],
    );
    let longest = first.lines().filter(|line| line.contains(", since ")).map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        columns[..4].join(" ")
    });
    let longest: Vec<String> = longest.collect();
    assert_eq!(longest, ["trip-005 611 km radia,", "trip-002 497.75 km grace,", "trip-001 153.5 km ada,"]);

    let second = run("trips", directory.path(), store);
    assert_lines(
        &second,
        &[
            "The store holds 5 trips of earlier runs; five more set out.",
            "trip-006: ada has driven 153.5 km in 2 legs",
            "TripCustomName:All is at 36",
        ],
    );
    let version_2 = run("trips", directory.path(), &[store, &["--projection-version", "2"]].concat());
    assert_lines(
        &version_2,
        &["TripCustomName:All is at 36", "TripCustomName:V2:All is at 54", "the high-water mark is 54"],
    );
}

#[test]
fn a_bank_keeps_its_books() {
    let directory = TempDir::new().unwrap();
    bank(directory.path(), &[]);
}

#[tokio::test]
async fn a_bank_keeps_its_books_on_postgres() {
    let (database, directory) = (TestDatabase::create().await, TempDir::new().unwrap());
    bank(directory.path(), &["--store", &database.url()]);
}

fn bank(directory: &Path, store: &[&str]) {
    const NOTICE: &str = "notice: ada withdrew 700 euros on 2026-02-02";
    let first = run("bank", directory, store);
    assert_lines(
        &first,
        &[
            "refused: grace has 80 euros and cannot withdraw 1000000",
            "statement ada:2026-01: 1 bookings, +1200 euros",
            "statement ada:2026-02: 1 bookings, -700 euros",
            "statement grace:2026-01: 1 bookings, +80 euros",
            "balance of ada: 500 euros",
            "balance of grace: 80 euros",
        ],
    );
    assert_eq!(first.matches(NOTICE).count(), 1, "{first}");

    let second = run("bank", directory, store);
    assert_lines(
        &second,
        &[
            "refused: grace has 160 euros and cannot withdraw 1000000",
            "statement ada:2026-02: 2 bookings, -1400 euros",
            "balance of ada: 1000 euros",
        ],
    );
    assert_eq!(
        second.matches(NOTICE).count(),
        1,
        "of the new withdrawal, not again of the old one: {second}"
    );
}

//! Which crate may depend on which: the crate map of `docs/src/architecture.md`, as a table.

use std::process::Command;

use cargo_metadata::{DependencyKind, MetadataCommand};

use crate::files::{report, root};

const CORE: &str = "ermine-core";

/// Crates and the crates of ours that they may depend on; dev-dependencies are free.
const ARROWS: &[(&str, &[&str])] = &[
    (CORE, &["ermine-macros"]),
    ("ermine-macros", &[]),
    ("ermine-highwater", &[CORE]),
    ("ermine-coordinator", &[CORE]),
    ("ermine-daemon", &[CORE, "ermine-highwater"]),
    ("ermine-postgres", &[CORE]),
    ("ermine-sqlite", &[CORE]),
    ("ermine-memory", &[CORE]),
    ("ermine-conformance", &[CORE]),
    ("ermine-testkit", &[CORE]),
    ("ermine-cli", &[CORE, "ermine-daemon", "ermine-coordinator"]),
    (
        "ermine",
        &[
            CORE,
            "ermine-cli",
            "ermine-conformance",
            "ermine-coordinator",
            "ermine-daemon",
            "ermine-highwater",
            "ermine-macros",
            "ermine-memory",
            "ermine-postgres",
            "ermine-sqlite",
        ],
    ),
    ("ermine-tests", &["ermine", "ermine-testkit"]),
    ("xtask", &[]),
];

#[test]
fn crates_depend_only_along_the_arrows() {
    let metadata =
        MetadataCommand::new().current_dir(root()).no_deps().exec().expect("cargo reads the workspace");
    let mut findings = Vec::new();
    for package in &metadata.packages {
        let manifest = package.manifest_path.strip_prefix(root()).unwrap_or(&package.manifest_path);
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| package.name == *name) else {
            findings
                .push(format!("{manifest}:1: the crate {} has no row in the table of arrows", package.name));
            continue;
        };
        let binding = package.dependencies.iter().filter(|it| it.kind != DependencyKind::Development);
        let ours = binding.filter(|it| it.path.is_some() && !allowed.contains(&it.name.as_str()));
        findings
            .extend(ours.map(|it| format!("{manifest}:1: {} must not depend on {}", package.name, it.name)));
    }
    report(
        &findings,
        "let the two meet in ermine-core; a new arrow needs a row in arrows.rs and in the crate map",
    );
}

#[test]
fn pure_crates_are_free_of_the_runtime_and_of_drivers() {
    let mut findings = Vec::new();
    for package in [CORE, "ermine-macros", "ermine-highwater"] {
        let mut tree = Command::new(env!("CARGO"));
        tree.args(["tree", "--package", package, "--edges", "normal", "--prefix", "none"])
            .current_dir(root());
        let output = tree.output().expect("cargo runs");
        assert!(output.status.success(), "cargo tree failed: {}", String::from_utf8_lossy(&output.stderr));
        let list = String::from_utf8_lossy(&output.stdout).into_owned();
        let names = list.lines().filter_map(|line| line.split(' ').next());
        let impure =
            names.filter(|name| name.starts_with("tokio") || matches!(*name, "bb8" | "rusqlite" | "rustls"));
        findings.extend(impure.map(|name| format!("crates/{package}/Cargo.toml:1: {name} is in its tree")));
    }
    report(
        &findings,
        "move what needs it to the daemon or an adapter; `cargo tree -i <name>` tells who brings it",
    );
}

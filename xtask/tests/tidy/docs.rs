//! Rules about the documentation.

use std::path::Path;

use crate::files::{File, all, report, root};

const PAGES: &str = "docs/src/";
const SUMMARY: &str = "docs/src/SUMMARY.md";

fn documents() -> Vec<File> {
    let mut files = all();
    files.retain(|file| {
        file.path.ends_with(".md") && (file.path == "README.md" || file.path.starts_with(PAGES))
    });
    files
}

#[test]
fn links_lead_somewhere() {
    let mut findings = Vec::new();
    for file in documents() {
        let dir = root().join(&file.path).parent().map(Path::to_owned).unwrap_or_default();
        for (number, line) in prose(&file) {
            let broken = links(line).filter(|link| !dir.join(link).exists());
            findings.extend(broken.map(|link| format!("{}:{number}: {link} does not exist", file.path)));
        }
    }
    report(&findings, "correct the link, which is relative to the file that it stands in");
}

#[test]
fn the_summary_lists_every_page() {
    let documents = documents();
    let pages: Vec<&str> = documents.iter().filter_map(|file| file.path.strip_prefix(PAGES)).collect();
    if !root().join(PAGES).exists() {
        return;
    }
    let summary = documents.iter().find(|file| file.path == SUMMARY);
    let summary =
        summary.unwrap_or_else(|| panic!("{SUMMARY} is missing -> write it: it is the book's contents"));
    let listed: Vec<&str> = summary.lines().flat_map(|(_, line)| links(line)).collect();
    let missing = pages.iter().filter(|page| {
        **page != "SUMMARY.md" && !listed.iter().any(|it| it.trim_start_matches("./") == **page)
    });
    let findings: Vec<String> = missing.map(|page| format!("{PAGES}{page}:1: not in the summary")).collect();
    report(&findings, "add the page to docs/src/SUMMARY.md");
}

/// The lines outside of code blocks.
fn prose(file: &File) -> impl Iterator<Item = (usize, &str)> {
    let mut in_code = false;
    file.lines().filter(move |(_, line)| {
        let is_fence = line.trim_start().starts_with("```");
        in_code ^= is_fence;
        !is_fence && !in_code
    })
}

/// The relative targets of `[text](target)`, without their anchors.
fn links(line: &str) -> impl Iterator<Item = &str> {
    let targets = line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ', '#']).next());
    targets.filter(|target| !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:"))
}

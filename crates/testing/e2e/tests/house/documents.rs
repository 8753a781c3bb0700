//! The documents name things that exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::repository;

/// Every document of the repository, and of the book.
fn documents() -> Vec<PathBuf> {
    let top = fs::read_dir(repository::root()).expect("the top folder is readable");
    let mut found: Vec<_> = top.map(|entry| entry.expect("an entry is readable").path()).collect();
    found.retain(|path| path.extension().is_some_and(|ending| ending == "md"));
    found.extend(repository::files_below("docs", ".md"));
    found.extend(repository::files_below("benches", ".md"));
    found.extend(repository::files_below("examples", ".md"));
    found.sort();
    found
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    let mut broken = Vec::new();
    for document in documents() {
        let text = fs::read_to_string(&document).expect("a document is readable");
        for target in link_targets(&text) {
            if target.contains("://") || target.starts_with('#') || target.starts_with("mailto:") {
                continue;
            }
            let file = target.split('#').next().unwrap_or_default();
            if !document.parent().unwrap_or(Path::new(".")).join(file).exists() {
                broken.push(format!("{}: {target}", repository::relative(&document)));
            }
        }
    }
    assert!(broken.is_empty(), "links that lead nowhere:\n{}", broken.join("\n"));
}

#[test]
fn every_page_of_the_book_is_in_its_summary() {
    let summary = repository::read("docs/src/SUMMARY.md");
    let listed: BTreeSet<_> = link_targets(&summary).map(str::to_owned).collect();
    let source = repository::root().join("docs/src");
    for page in repository::files_below("docs/src", ".md") {
        let name = page.strip_prefix(&source).expect("the page is below docs/src").display().to_string();
        assert!(name == "SUMMARY.md" || listed.contains(&name), "docs/src/SUMMARY.md does not list {name}");
    }
}

/// ARCHITECTURE.md closes each invariant with `Held by:` and names in backquotes.
#[test]
fn every_invariant_names_a_test_or_check_that_exists() {
    let architecture = repository::read("ARCHITECTURE.md");
    let sources: Vec<_> = ["crates", "examples", "fuzz"]
        .iter()
        .flat_map(|folder| repository::files_below(folder, ".rs"))
        .map(|path| fs::read_to_string(path).expect("a source file is readable"))
        .collect();
    let exists = |name: &str| {
        let function = format!("fn {name}(");
        repository::root().join(name).exists() || sources.iter().any(|text| text.contains(&function))
    };

    let mut invariants = 0;
    let mut missing = Vec::new();
    for paragraph in architecture.split("\n\n").flat_map(|part| part.split("\n- ")) {
        let Some((_, holders)) = paragraph.split_once("Held by:") else { continue };
        invariants += 1;
        let names: Vec<_> = holders.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "this invariant names no test or check:\n{paragraph}");
        missing.extend(names.into_iter().filter(|name| !exists(name)).map(str::to_owned));
    }
    assert!(invariants >= 10, "ARCHITECTURE.md lists its invariants, each with what holds it");
    assert!(missing.is_empty(), "ARCHITECTURE.md names tests or checks that do not exist: {missing:#?}");
}

#[test]
fn the_readme_shows_a_command_within_its_first_twenty_lines() {
    let readme = repository::read("README.md");
    let first_block = readme.lines().position(|line| line.starts_with("```")).expect("the README has a code block");
    assert!(first_block < 20, "the first code block opens at line {}", first_block + 1);
}

/// The targets of Markdown links, code blocks left out.
fn link_targets(text: &str) -> impl Iterator<Item = &str> {
    let prose = text.split("```").step_by(2);
    prose.flat_map(|part| part.split("](").skip(1)).filter_map(|rest| rest.split(')').next())
}

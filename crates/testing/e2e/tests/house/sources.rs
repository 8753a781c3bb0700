//! What the sources of the core may name.

use std::fs;

use crate::repository;

/// Folders whose code is deterministic: events and time in, actions out.
const DETERMINISTIC: &[&str] = &["crates/base", "crates/core", "crates/adapters"];

/// Words that bring in a clock, a socket, a file, a thread or entropy, and what to do instead.
const FORBIDDEN: &[(&str, &str)] = &[
    ("std::net", "sockets belong to the host"),
    ("std::fs", "files belong to the host"),
    ("std::thread", "threads belong to the enclave's shell"),
    ("std::process", "processes belong to the binary"),
    ("std::env", "settings come in as values"),
    ("SystemTime", "time comes in with the event"),
    ("Instant::now", "time comes in with the event"),
    ("thread_rng", "randomness comes in as a seed"),
    ("rand::random", "randomness comes in as a seed"),
    ("RandomState", "iteration order must not depend on the process"),
];

/// Words that leave a promise behind.
const PROMISES: &[&str] = &["todo!(", "unimplemented!(", "FIXME", "not yet implemented"];

#[test]
fn the_core_names_no_clock_socket_file_or_thread() {
    let mut found = Vec::new();
    for folder in DETERMINISTIC {
        for (place, line) in code_lines(folder).into_iter().filter(|(place, _)| place.contains("/src/")) {
            for (word, instead) in FORBIDDEN {
                if line.contains(word) {
                    found.push(format!("{place}: {word}: {instead}"));
                }
            }
        }
    }
    assert!(found.is_empty(), "the core is deterministic:\n{}", found.join("\n"));
}

#[test]
fn no_source_leaves_a_promise_behind() {
    let mut found = Vec::new();
    for (place, line) in code_lines("crates").into_iter().chain(code_lines("examples")) {
        for word in PROMISES {
            if line.contains(word) && !place.starts_with("crates/testing/e2e/tests/house/") {
                found.push(format!("{place}: {word}"));
            }
        }
    }
    assert!(found.is_empty(), "unfinished code:\n{}", found.join("\n"));
}

/// Lines of code below `folder`, each with its place; comments and what follows `#[cfg(test)]` left out.
fn code_lines(folder: &str) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    for path in repository::files_below(folder, ".rs") {
        let name = repository::relative(&path);
        if name.contains("/tests/") || name.ends_with("/tests.rs") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a source file is readable");
        let code = text.lines().enumerate().take_while(|(_, line)| line.trim() != "#[cfg(test)]");
        for (number, line) in code.filter(|(_, line)| !line.trim_start().starts_with("//")) {
            lines.push((format!("{name}:{}", number + 1), line.to_owned()));
        }
    }
    lines
}

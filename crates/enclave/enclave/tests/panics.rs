//! A panic tells its place at most: its words may hold what an enclave keeps private.

use std::process::Command;

const MARKER: &str = "the-planted-marker-of-this-test";

/// Shown by a process of its own, this test program once more: the hook is the whole process's.
#[test]
fn the_words_of_a_panic_are_not_printed() {
    let mut child = Command::new(std::env::current_exe().unwrap());
    let output = child.args(["--exact", "panics_with_private_words", "--ignored", "--nocapture"]).output().unwrap();
    assert!(output.status.success());
    let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(printed.contains("1 passed"), "{printed}");
    assert!(!printed.contains(MARKER), "{printed}");
}

#[test]
#[ignore = "what the other test runs"]
fn panics_with_private_words() {
    synod_enclave::redact_panics();
    let panicking = std::thread::spawn(|| panic!("{MARKER}"));
    assert!(panicking.join().is_err());
}

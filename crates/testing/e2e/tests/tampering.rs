//! One flipped byte anywhere in a node's ledger is found, and named by file and offset.

use std::fs;
use std::path::{Path, PathBuf};

use synod_e2e::{Finished, Sandbox, run};

#[test]
fn a_flipped_byte_anywhere_in_a_chunk_is_named_by_file_and_offset() {
    let sandbox = Sandbox::start();
    let mut client = sandbox.client(0);
    for key in 0..20 {
        assert_eq!(client.put(&format!("/app/log/{key}"), "a message").expect("the node answers").status, 200);
    }
    let stopped = sandbox.stop();
    let dir = &stopped.nodes[0].dir;
    verify(dir).succeeded();

    for chunk in chunks(dir) {
        let name = chunk.file_name().expect("a file has a name").to_string_lossy().into_owned();
        let whole = fs::read(&chunk).expect("a chunk is readable");
        for place in places(whole.len()) {
            let mut flipped = whole.clone();
            flipped[place] ^= 0x40;
            fs::write(&chunk, &flipped).expect("a chunk is writable");
            let found = verify(dir);
            assert_eq!(found.status, 1, "byte {place} of {name}: {}{}", found.stdout, found.stderr);
            let said = found.stderr;
            assert!(said.contains(&name), "byte {place}: the file is named: {said}");
            let offset = offset_in(&said).unwrap_or_else(|| panic!("byte {place}: an offset is named: {said}"));
            assert!(offset <= place, "byte {place}: the offset {offset} is of what holds the byte: {said}");
        }
        fs::write(&chunk, &whole).expect("a chunk is writable");
    }
    verify(dir).succeeded();
}

/// A crash in the middle of a write leaves a torn tail, which is no tampering.
#[test]
fn a_torn_tail_is_not_tampering() {
    let sandbox = Sandbox::start();
    let mut client = sandbox.client(0);
    for key in 0..5 {
        assert_eq!(client.put(&format!("/app/log/{key}"), "a message").expect("the node answers").status, 200);
    }
    let stopped = sandbox.stop();
    let dir = &stopped.nodes[0].dir;
    let chunk = chunks(dir).pop().expect("there is a chunk");
    let whole = fs::read(&chunk).expect("a chunk is readable");
    for cut in [1, 2, 7, 100] {
        fs::write(&chunk, &whole[..whole.len() - cut]).expect("a chunk is writable");
        let verified = verify(dir).succeeded();
        let said = format!("{}{}", verified.stdout, verified.stderr);
        assert!(said.contains("torn"), "{cut} bytes short: {said}");
    }
}

fn verify(dir: &Path) -> Finished {
    run(["ledger".as_ref(), "verify".as_ref(), dir.as_os_str()])
}

fn chunks(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir.join("ledger")).expect("a node has a ledger");
    let mut chunks: Vec<_> = entries.map(|entry| entry.expect("an entry is readable").path()).collect();
    chunks.retain(|path| path.extension().is_some_and(|ending| ending == "chunk"));
    chunks.sort();
    chunks
}

/// The first bytes, the last ones, and a spread between; every byte is a matter of the ledger's own tests.
fn places(size: usize) -> Vec<usize> {
    let spread = (0..size).step_by((size / 48).max(1));
    let mut places: Vec<_> = (0..16.min(size)).chain(spread).chain(size.saturating_sub(8)..size).collect();
    places.sort_unstable();
    places.dedup();
    places
}

/// The number after `at byte` in a message.
fn offset_in(message: &str) -> Option<usize> {
    let digits = message.split("at byte ").nth(1)?;
    digits.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

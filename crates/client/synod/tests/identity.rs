//! Certificates and keys of actors, as a user makes them.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

fn identity(dir: &Path, arguments: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_synod"));
    command.arg("identity").args(arguments.split(' ')).current_dir(dir).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_new_identity_is_shown_as_it_was_made_and_its_key_is_its_owners_alone() {
    let dir = tempfile::tempdir().unwrap();
    let made = identity(dir.path(), "new --name Delta --out delta");
    assert!(made.status.success(), "{}", text(&made.stderr));
    let mode = fs::metadata(dir.path().join("delta.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    for path in ["delta", "delta.crt", "delta.key"] {
        let shown = identity(dir.path(), &format!("show {path}"));
        let expected = if path == "delta.key" { String::new() } else { text(&made.stdout) };
        assert_eq!(text(&shown.stdout), expected, "{path}");
    }
    let json: serde_json::Value = serde_json::from_slice(&identity(dir.path(), "show delta --json").stdout).unwrap();
    let [only] = &json["certificates"].as_array().unwrap()[..] else { panic!("one certificate") };
    assert_eq!(only["name"], "Delta");
    assert!(text(&made.stdout).starts_with(only["id"].as_str().unwrap()));
}

#[test]
fn a_leaf_comes_with_the_authority_that_issued_it() {
    let dir = tempfile::tempdir().unwrap();
    let authority = text(&identity(dir.path(), "new --name Delta-CA --ca --out ca").stdout);
    let leaf = text(&identity(dir.path(), "new --name desk --issuer ca --out desk --days 7").stdout);
    assert_eq!(leaf.lines().count(), 2);
    assert_eq!(leaf.lines().nth(1), authority.lines().next());
    let chain = fs::read_to_string(dir.path().join("desk.crt")).unwrap();
    assert!(chain.ends_with(&fs::read_to_string(dir.path().join("ca.crt")).unwrap()));
}

#[test]
fn nothing_is_written_twice_and_an_authority_needs_its_own_key() {
    let dir = tempfile::tempdir().unwrap();
    assert!(identity(dir.path(), "new --name A --ca --out a").status.success());
    assert!(identity(dir.path(), "new --name B --ca --out b").status.success());
    let key = fs::read(dir.path().join("a.key")).unwrap();
    let again = identity(dir.path(), "new --name A --out a");
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).contains("cannot write a.key"), "{}", text(&again.stderr));
    assert_eq!(fs::read(dir.path().join("a.key")).unwrap(), key);
    let unseen = identity(dir.path(), "new --name \u{202e}A --out d");
    assert!(text(&unseen.stderr).contains("unseen characters"), "{}", text(&unseen.stderr));
    fs::copy(dir.path().join("b.key"), dir.path().join("a.key")).unwrap();
    let wrong = identity(dir.path(), "new --name C --issuer a --out c");
    assert!(text(&wrong.stderr).contains("the authority's key is not its certificate's"), "{}", text(&wrong.stderr));
    assert!(!dir.path().join("c.crt").exists());
}

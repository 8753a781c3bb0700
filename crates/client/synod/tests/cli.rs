//! The binary as a user meets it, as far as no network is needed.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output};

fn synod(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_synod")).args(arguments).env_remove("SYNOD_NODES").output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A command that must fail: nothing on standard output, the reason and last of all a hint on standard error.
fn check_failure(arguments: &[&str], reason: &str, hint: &str) {
    let output = synod(arguments);
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {stderr}");
    assert_eq!(stdout, "", "{arguments:?}");
    assert!(stderr.starts_with("error: ") && stderr.contains(reason), "{arguments:?}: {stderr}");
    let last = stderr.lines().last().unwrap();
    assert!(last.starts_with("hint: ") && last.contains(hint), "{arguments:?}: {stderr}");
}

#[test]
fn help_goes_to_standard_output_and_names_what_there_is() {
    let output = synod(&["--help"]);
    let help = text(&output.stdout);
    assert!(output.status.success() && output.stderr.is_empty());
    for word in ["sandbox", "node", "gateway", "log", "ledger", "receipt", "bench", "--json", "SYNOD_NODES"] {
        assert!(help.contains(word), "{word} is not in {help}");
    }
    for command in
        [["sandbox"].as_slice(), &["bench", "log"], &["bench", "replay"], &["node", "status"], &["receipt", "verify"]]
    {
        let mut arguments = command.to_vec();
        arguments.push("--help");
        let output = synod(&arguments);
        assert!(output.status.success() && text(&output.stdout).contains("Usage: synod"), "{arguments:?}");
    }
}

#[test]
fn a_command_line_that_is_not_understood_ends_with_status_2() {
    for arguments in [[].as_slice(), &["sandbox", "--nodes", "none"], &["bench", "log"], &["fly"]] {
        let output = synod(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn failures_say_what_to_do_next() {
    check_failure(&["node", "status", "--nodes", "/nowhere"], "cannot read the network file /nowhere", "SYNOD_NODES");
    check_failure(&["log", "get", "--key", "1", "--nodes", "/nowhere"], "cannot read the network file", "SYNOD_NODES");
    check_failure(
        &["bench", "log", "--batch", "2", "--nodes", "/nowhere"],
        "a log request holds one message",
        "--batch",
    );
    check_failure(
        &["bench", "replay", "x", "--rate", "2", "--nodes", "/nowhere"],
        "--rate does not apply",
        "leave it out",
    );
    check_failure(&["ledger", "verify", "/nowhere"], "cannot read /nowhere", "node's directory");
    check_failure(&["receipt", "verify", "/nowhere"], "no service", "--service");
    check_failure(
        &["receipt", "verify", "/nowhere", "--service", "/nowhere"],
        "No such file",
        "check the path /nowhere",
    );
    check_failure(&["node", "run", "--dir", "/nowhere"], "/nowhere", "synod sandbox");
}

#[test]
fn a_sandbox_that_cannot_have_its_port_leaves_nothing_running() {
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port().to_string();
    check_failure(&["sandbox", "--rpc-port", &port], &format!("port {port} of 127.0.0.1 is taken"), "--rpc-port");
}

#[test]
fn a_directory_without_a_ledger_is_told_from_a_ledger_that_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    check_failure(&["ledger", "verify", path], "there is no ledger file in", "node's directory");
    let chunk = dir.path().join("ledger_00000000000000000001.chunk");
    std::fs::write(&chunk, [7; 1_000]).unwrap();
    check_failure(&["ledger", "verify", path], "ledger_00000000000000000001.chunk: at byte 0", "another node's files");
    check_failure(&["ledger", "verify", Path::new(path).to_str().unwrap()], "at byte 0", "another node's files");
    let output = synod(&["ledger", "verify", "--json", path]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &json["ok"], &json["offset"]), (Some(1), &false.into(), &0.into()));
}

//! The sandbox's own promises, on real processes; what the networks in it promise is shown in the e2e crate.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

fn sandbox(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_synod"));
    command.arg("sandbox").args(arguments).env_remove("SYNOD_NODES");
    command
}

/// Runs `line` in a sandbox of one node in `dir`.
fn exec(dir: &Path, line: &str) -> Output {
    sandbox(&["--nodes", "1", "--dir", dir.to_str().unwrap(), "--exec", line]).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Waits for what must come soon.
fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "still not so: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn pid_of_node(dir: &Path) -> Option<u32> {
    fs::read_to_string(dir.join("node-1/pid")).ok()?.trim().parse().ok()
}

fn runs(pid: u32) -> bool {
    // A process that has ended and was not waited for yet is a zombie.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().next().map(|state| state != "Z")).unwrap_or(false)
}

fn signal(name: &str, pid: u32) {
    assert!(Command::new("kill").args([format!("-{name}"), pid.to_string()]).status().unwrap().success());
}

/// A sandbox that runs until it is told to stop, with its node's process id.
fn running(dir: &Path) -> (Child, u32) {
    let mut command = sandbox(&["--nodes", "1", "--rpc-port", "0", "--json", "--dir", dir.to_str().unwrap()]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line).unwrap();
    let shown: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(shown["accounts"].as_array().unwrap().len(), 10);
    assert_eq!(shown["service_digest"].as_str().unwrap().len(), 64);
    assert!(shown["rpc_url"].as_str().unwrap().starts_with("http://127.0.0.1:"));
    (child, pid_of_node(dir).unwrap())
}

#[test]
fn a_command_finds_its_network_and_its_status_is_the_sandboxs() {
    let dir = tempfile::tempdir().unwrap();
    let line = "synod log put --key 7 --message hello && synod log get --key 7 && test -f \"$SYNOD_NODES\" \
                && test \"$SYNOD_DIR\" = \"$(dirname \"$SYNOD_NODES\")\" && echo $SYNOD_RPC_URL && exit 7";
    let output = exec(dir.path(), line);
    let stdout = text(&output.stdout);
    assert_eq!(output.status.code(), Some(7), "{stdout}{}", text(&output.stderr));
    assert!(stdout.starts_with("2.2\nhello\nhttp://127.0.0.1:"), "{stdout}");
}

#[test]
fn an_earlier_network_goes_on_where_it_stopped() {
    let dir = tempfile::tempdir().unwrap();
    assert!(exec(dir.path(), "synod log put --key 1 --message kept").status.success());
    let service = fs::read(dir.path().join("service.crt")).unwrap();
    let output = exec(dir.path(), "synod log get --key 1");
    assert_eq!(text(&output.stdout), "kept\n", "{}", text(&output.stderr));
    assert_eq!(fs::read(dir.path().join("service.crt")).unwrap(), service);
    let other = sandbox(&["--nodes", "2", "--dir", dir.path().to_str().unwrap(), "--exec", "true"]).output().unwrap();
    assert_eq!(other.status.code(), Some(1));
    assert!(text(&other.stderr).contains("has 1 nodes, not 2"), "{}", text(&other.stderr));
}

#[test]
fn a_network_of_members_only_has_as_many_as_asked_for_and_speaks_as_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let line = "test -f \"$SYNOD_DIR/members/member-5.key\" && test ! -e \"$SYNOD_DIR/members/member-6.key\" \
                && test ! -e \"$SYNOD_DIR/participants\" && grep -c members/member-1 \"$SYNOD_NODES\" \
                && grep -c 'admin = \"public\"' \"$SYNOD_DIR/genesis.toml\" && synod log put --key 7 --message hello";
    let wishes = ["--nodes", "1", "--members", "5", "--participants", "0", "--admin", "public", "--dir"];
    let output = sandbox(&wishes).arg(dir.path()).args(["--exec", line]).output().unwrap();
    assert_eq!(text(&output.stdout), "2\n1\n2.2\n", "{}", text(&output.stderr));
}

#[test]
fn keys_are_readable_by_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    assert!(exec(dir.path(), "true").status.success());
    for file in [
        "node-1/slot.key",
        "node-1/session.key",
        "node-1/service.key",
        "members/member-1.key",
        "participants/participant-1.key",
        "accounts.json",
        "auditor/admin.key",
    ] {
        let mode = fs::metadata(dir.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[test]
fn a_node_that_dies_is_started_again_and_knows_what_it_knew() {
    let dir = tempfile::tempdir().unwrap();
    let line = "synod log put --key 1 --message kept; kill -9 $(cat \"$SYNOD_DIR/node-1/pid\"); synod log get --key 1";
    let output = exec(dir.path(), line);
    let stderr = text(&output.stderr);
    assert!(text(&output.stdout).ends_with("kept\n"), "{}{stderr}", text(&output.stdout));
    assert!(stderr.contains("node 1 ended (signal: 9 (SIGKILL)); starting it again"), "{stderr}");
}

#[test]
fn one_directory_is_held_by_one_sandbox_and_free_once_it_was_told_to_stop() {
    let dir = tempfile::tempdir().unwrap();
    let (mut child, node) = running(dir.path());
    let second = exec(dir.path(), "true");
    assert_eq!(second.status.code(), Some(1));
    assert!(text(&second.stderr).contains("another sandbox runs in"), "{}", text(&second.stderr));
    signal("TERM", child.id());
    assert!(child.wait().unwrap().success());
    assert!(!runs(node), "the node stopped before its sandbox did");
    assert!(exec(dir.path(), "true").status.success());
}

#[test]
fn nodes_do_not_outlive_a_sandbox_that_was_killed() {
    let dir = tempfile::tempdir().unwrap();
    let (mut child, node) = running(dir.path());
    assert!(runs(node));
    child.kill().unwrap();
    child.wait().unwrap();
    wait_for("the node is gone", || (!runs(node)).then_some(()));
}

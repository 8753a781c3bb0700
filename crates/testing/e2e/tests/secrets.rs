//! Nothing that the host sees holds private plaintext.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use synod_e2e::{Finished, Sandbox, decide, join_node, npm_tools, status, wait_until};

const MESSAGE: &str = "planted-message-7f3a9c51d2";
const NAME: &str = "planted-actor-5e1d0b77";
const ADDRESS: &str = "planted-address-c94e.example.org:7000";
const NOTE: &str = "planted reason of a proposal 20b6";
const WORD: &[u8; 32] = b"planted-storage-word-0123456789a";

/// Plants a message, a contract's storage word and the participants' names, then searches each file of each
/// node's directory, the recording of all that crossed the host boundary among them.
#[test]
fn a_planted_message_storage_word_and_actor_name_are_nowhere_the_host_sees() {
    let sandbox = Sandbox::with_arguments(&["--record-boundary"]);
    let put = sandbox.synod(&["log", "put", "--key", "7", "--message", MESSAGE]).succeeded();
    for node in 0..sandbox.nodes.len() {
        let read = sandbox.client(node).send("GET", "/app/log/7", &[("synod-at-least", put.stdout.trim())], b"");
        let read = read.expect("the node answers");
        assert_eq!((read.status, read.text()), (200, MESSAGE.to_owned()), "the message is there to be found");
    }
    keep_word(&sandbox);
    let names = actor_names(&sandbox.dir);
    assert!(!names.is_empty(), "the sandbox names its members and participants");

    let stopped = sandbox.stop();
    let mut markers = vec![("the message".to_owned(), MESSAGE.into()), ("the storage word".to_owned(), WORD.to_vec())];
    markers.extend(names.iter().map(|name| (format!("the name {name}"), name.clone().into_bytes())));
    for node in &stopped.nodes {
        let files = files_below(&node.dir);
        let recording = node.dir.join("boundary");
        let crossed = fs::read(&recording).expect("the boundary was recorded");
        assert!(contains(&crossed, b"> record ") && contains(&crossed, b"< received "), "the recording is not empty");
        assert!(files.iter().any(|file| file.extension().is_some_and(|ending| ending == "chunk")), "{files:?}");
        for file in &files {
            let bytes = fs::read(file).expect("a node's file is readable");
            for (what, marker) in &markers {
                for (form, needle) in forms(marker) {
                    assert!(!contains(&bytes, &needle), "{} holds {what} as {form}", file.display());
                }
            }
        }
    }
}

/// Plants an actor's name, a node's address and a proposal's note by governance, then searches as above. Only a network
/// whose genesis block says that governance is public shows them, and its ledger alone.
#[test]
fn what_members_decide_is_nowhere_the_host_sees_unless_the_network_is_public() {
    for admin in ["sealed", "public"] {
        let sandbox = Sandbox::with_arguments(&["--record-boundary", "--admin", admin]);
        let (joining, proposal) = join_node(&sandbox, 4, ADDRESS);
        let actor = sandbox.dir.join(NAME).display().to_string();
        sandbox.synod(&["identity", "new", "--name", NAME, "--out", &actor]).succeeded();
        let added = fs::read_to_string(&proposal).expect("join printed a proposal");
        let action = "[[action]]\naction = 'add_participant'";
        let added = format!("{added}\n{action}\nname = '{NAME}'\ncertificate_file = '{NAME}.crt'\n");
        let note = format!("note = '{NOTE}'\n");
        let lines = added.lines().filter(|line| !line.starts_with("note"));
        fs::write(&proposal, lines.fold(note, |text, line| text + line + "\n")).expect("a file can be written");
        decide(&sandbox, &proposal);
        let constitution = sandbox.synod(&["constitution", "show"]).succeeded().stdout;
        assert!(constitution.contains(NAME) && constitution.contains(ADDRESS), "{constitution}");
        let shown = sandbox.synod(&["proposal", "show", "1"]).succeeded().stdout;
        assert!(shown.contains(NOTE), "{shown}");
        wait_until("every running node has it", || {
            let nodes: Vec<_> = status(&sandbox).into_iter().filter(|node| node.id != 4).collect();
            nodes.iter().all(|node| node.committed.is_some() && node.committed == nodes[0].last).then_some(())
        });

        let stopped = sandbox.stop();
        for dir in stopped.nodes.iter().map(|node| &node.dir).chain([&joining]) {
            for file in files_below(dir) {
                let bytes = fs::read(&file).expect("a node's file is readable");
                // The recording shows what goes into the ledger, too, but nothing of what clients and nodes say.
                let is_ledger = dir != &joining && file.extension().is_some_and(|ending| ending == "chunk");
                let is_recording = file.ends_with("boundary");
                for marker in [NAME, ADDRESS, NOTE].map(str::as_bytes) {
                    let found = forms(marker).into_iter().find(|(_, needle)| contains(&bytes, needle));
                    let found = found.map(|(form, _)| form);
                    let text = String::from_utf8_lossy(marker);
                    match (admin, is_ledger, is_recording) {
                        ("public", true, _) => assert_eq!(found, Some("plain bytes"), "{} {text}", file.display()),
                        ("public", _, true) => {}
                        _ => assert_eq!(found, None, "{} holds {text}", file.display()),
                    }
                }
            }
        }
    }
}

/// Stores [`WORD`] in a contract with an unmodified tool.
fn keep_word(sandbox: &Sandbox) {
    let contracts = fs::read(npm_tools().join("contracts.json")).expect("the contracts are compiled");
    let contracts: serde_json::Value = serde_json::from_slice(&contracts).expect("JSON");
    let accounts = fs::read(sandbox.dir.join("accounts.json")).expect("the sandbox leaves accounts.json");
    let accounts: serde_json::Value = serde_json::from_slice(&accounts).expect("JSON");
    let key = accounts[0]["private_key"].as_str().expect("an account has a key");
    let cast = |arguments: &[&str]| {
        let mut cast = Command::new(npm_tools().join("node_modules/.bin/cast"));
        cast.args(arguments).env("ETH_RPC_URL", &sandbox.rpc_url);
        Finished::from(cast.output().expect("cast runs")).succeeded()
    };
    let bytecode = contracts["Vault"]["bytecode"].as_str().expect("compiled");
    let vault = cast(&["send", "--json", "--private-key", key, "--create", bytecode]).json();
    let vault = vault["contractAddress"].as_str().expect("deployed");
    let word = format!("0x{}", hex(WORD));
    cast(&["send", "--private-key", key, vault, "keep(bytes32)", &word]);
    assert_eq!(cast(&["call", vault, "word()(bytes32)"]).stdout.trim(), word);
}

/// The names under which members and participants hold their certificates.
fn actor_names(dir: &Path) -> Vec<String> {
    let folders = ["members", "participants"].map(|folder| dir.join(folder));
    let certificates = folders.iter().flat_map(|folder| files_below(folder));
    let names = certificates.filter(|file| file.extension().is_some_and(|ending| ending == "crt"));
    names.map(|file| file.file_stem().expect("a file has a name").to_string_lossy().into_owned()).collect()
}

/// What a marker may look like on a disk.
fn forms(marker: &[u8]) -> [(&'static str, Vec<u8>); 4] {
    let lower = hex(marker);
    // Base64 of the middle, at each of the three alignments, shares this core; one alignment is enough for a probe.
    [
        ("plain bytes", marker.to_vec()),
        ("hexadecimal digits", lower.clone().into_bytes()),
        ("upper-case hexadecimal digits", lower.to_uppercase().into_bytes()),
        ("bytes in reverse order", marker.iter().rev().copied().collect()),
    ]
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut to_visit = vec![folder.to_path_buf()];
    while let Some(folder) = to_visit.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.expect("an entry is readable").path();
            if path.is_dir() { to_visit.push(path) } else { found.push(path) }
        }
    }
    found
}

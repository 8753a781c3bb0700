//! Nothing that the host sees holds private plaintext.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use synod_e2e::{Finished, Sandbox, Stopped, decide, join_node, npm_tools, run, status, wait_until};

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
            let held = Haystack::read(file);
            for (what, marker) in &markers {
                assert_eq!(held.form_of(marker), None, "{} holds {what}", file.display());
            }
        }
    }
}

/// Plants an actor's name, a node's address and a proposal's note by governance, then searches as above. Only a network
/// whose genesis block says that governance is public shows them, and its ledger alone: there an audit needs no key.
#[test]
fn what_members_decide_is_nowhere_the_host_sees_unless_the_network_is_public() {
    for admin in ["sealed", "public"] {
        let sandbox = Sandbox::with_arguments(&["--record-boundary", "--admin", admin]);
        let (joining, proposal) = join_node(&sandbox, 4, ADDRESS);
        let actor = sandbox.dir.join(NAME).display().to_string();
        sandbox.synod(&["identity", "new", "--name", NAME, "--out", &actor]).succeeded();
        let found = Haystack::read(Path::new(&format!("{actor}.crt"))).form_of(NAME.as_bytes());
        assert_eq!(found, Some("base64"), "a certificate left in PEM would be found");
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
                let held = Haystack::read(&file);
                // The recording shows what goes into the ledger, too, but nothing of what clients and nodes say.
                let is_ledger = dir != &joining && file.extension().is_some_and(|ending| ending == "chunk");
                let is_recording = file.ends_with("boundary");
                for marker in [NAME, ADDRESS, NOTE].map(str::as_bytes) {
                    let found = held.form_of(marker);
                    let text = String::from_utf8_lossy(marker);
                    match (admin, is_ledger, is_recording) {
                        ("public", true, _) => assert_eq!(found, Some("plain bytes"), "{} {text}", file.display()),
                        ("public", _, true) => {}
                        _ => assert_eq!(found, None, "{} holds {text}", file.display()),
                    }
                }
            }
        }
        audit(admin, &stopped);
    }
}

/// Whoever has the files of a public network audits them; of a sealed one, who has the key.
fn audit(admin: &str, stopped: &Stopped) {
    let (node, key) = (&stopped.nodes[0].dir, stopped.dir.join("auditor/admin.key"));
    let [node, key] = [node, &key].map(|path| path.to_str().expect("paths of tests are text"));
    let keyless = ["ledger", "audit", node];
    let with_key = [&keyless[..], &["--key", key]].concat();
    let says_all = |audited: Finished| {
        let audited = audited.succeeded();
        for marker in [NAME, ADDRESS, NOTE] {
            assert!(audited.stdout.contains(marker), "{admin}: {marker} is not in\n{}", audited.stdout);
        }
    };
    for form in [&[][..], &["--json"]] {
        match run([&keyless, form].concat()) {
            audited if admin == "public" => says_all(audited),
            Finished { status, stdout, stderr } => {
                assert_eq!((status, stdout.as_str()), (1, ""), "{stderr}");
                assert!(stderr.contains("hint: name the auditor's key of this network with --key"), "{stderr}");
                assert!([NAME, ADDRESS, NOTE].iter().all(|marker| !stderr.contains(marker)), "{stderr}");
            }
        }
        says_all(run([&with_key, form].concat()));
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

/// A file's bytes, and the same without the ends of lines: PEM breaks its lines anywhere.
struct Haystack {
    bytes: Vec<u8>,
    joined: Vec<u8>,
}

impl Haystack {
    fn read(file: &Path) -> Self {
        let bytes = fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let joined = bytes.iter().copied().filter(|byte| !b"\r\n".contains(byte)).collect();
        Self { bytes, joined }
    }

    /// The form in which a marker is there, if it is.
    fn form_of(&self, marker: &[u8]) -> Option<&'static str> {
        let form = forms(marker).into_iter().find(|(_, needle)| contains(&self.bytes, needle));
        let is_base64 = || base64_forms(marker).iter().any(|needle| contains(&self.joined, needle));
        form.map(|(form, _)| form).or_else(|| is_base64().then_some("base64"))
    }
}

/// What a marker may look like on a disk, besides base64.
fn forms(marker: &[u8]) -> [(&'static str, Vec<u8>); 4] {
    let lower = hex(marker);
    [
        ("plain bytes", marker.to_vec()),
        ("hexadecimal digits", lower.clone().into_bytes()),
        ("upper-case hexadecimal digits", lower.to_uppercase().into_bytes()),
        ("bytes in reverse order", marker.iter().rev().copied().collect()),
    ]
}

/// What base64 (RFC 4648, section 4) makes of a marker that begins at the first, second or third byte of a group: those
/// characters that depend on no neighbour.
fn base64_forms(marker: &[u8]) -> [Vec<u8>; 3] {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    [0, 1, 2].map(|place| {
        let bytes = [&[0; 2][..place], marker].concat();
        let bit = |at: usize| usize::from(bytes[at / 8] >> (7 - at % 8) & 1);
        let whole = (8 * place).div_ceil(6)..8 * bytes.len() / 6;
        whole.map(|at| ALPHABET[(6 * at..6 * at + 6).fold(0, |value, at| 2 * value + bit(at))]).collect()
    })
}

/// The three texts hold the marker at each of the three places.
#[test]
fn base64_is_recognised_wherever_a_marker_begins() {
    for (place, encoded) in ["Zm9vYmFy", "eGZvb2Jhcnk=", "eHhmb29iYXJ5"].into_iter().enumerate() {
        let needle = &base64_forms(b"foobar")[place];
        assert!(needle.len() >= 7 && contains(encoded.as_bytes(), needle), "{}", String::from_utf8_lossy(needle));
    }
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

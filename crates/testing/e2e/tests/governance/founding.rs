//! Founders begin a network with a constitution that they wrote.

use std::fs;
use std::path::{Path, PathBuf};

use synod_e2e::{Finished, Options, Sandbox, run};
use tempfile::TempDir;

/// A folder with the certificates that the example names, and its text.
struct Founders {
    folder: TempDir,
    example: String,
}

impl Founders {
    fn new() -> Self {
        let founders = Self { folder: tempfile::tempdir().unwrap(), example: fs::read_to_string(example()).unwrap() };
        for name in ["north", "south", "east"] {
            founders.identity(&["--name", name, "--ca", "--out"], name);
            founders.identity(&["--name", "desk", "--issuer", &founders.path(name), "--out"], &format!("{name}-desk"));
        }
        founders.identity(&["--name", "forwarder", "--out"], "forwarder");
        founders.identity(&["--name", "stranger", "--out"], "stranger");
        founders
    }

    fn identity(&self, arguments: &[&str], out: &str) {
        let out = self.path(out);
        run(["identity", "new"].iter().chain(arguments).chain([&out.as_str()])).succeeded();
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn write(&self, text: &str) -> String {
        let file = self.path("constitution.toml");
        fs::write(&file, text).unwrap();
        file
    }

    fn check(&self, text: &str) -> Finished {
        run(["constitution", "check", &self.write(text)])
    }
}

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../examples/governance/constitution.toml")
}

#[test]
fn a_constitution_is_refused_with_the_line_of_each_reason_before_anything_is_made() {
    let founders = Founders::new();
    let said = founders.check(&founders.example).succeeded().stdout;
    assert_eq!(
        said,
        "a network can begin with it: \"harbours\", members 3, participants 1, nodes 3, adapters log, evm\n"
    );
    let line_of = |text: &str, part: &str| text[..text.find(part).unwrap()].matches('\n').count() + 1;
    let changed = |from: &str, to: &str| {
        assert!(founders.example.contains(from), "{from}");
        founders.example.replacen(from, to, 1)
    };
    // A change, where its text begins, and a part of the reason.
    let rows = [
        ("proposal_expiry_seconds", "proposal_expiry = 1 #", "proposal_expiry = 1", "unknown field"),
        ("south.crt", "nowhere.crt", "certificate_file = \"nowhere", "cannot read"),
        ("south.crt", "north.crt", "[[member]]\nname = \"south\"", "north"),
        ("owner = \"forwarder\"", "owner = \"west\"", "owner = \"west\"", "there is no actor \"west\""),
        ("slot = 3", "slot = 2", "[[node]]\nslot = 2\nname = \"forwarder-1\"", "the slot 2 is taken"),
        ("slot = 3", "slot = 3\npublic_key = \"00\"", "public_key = \"00\"", "leave out public_key"),
        ("{ majority = {} }\nremove", "{ m_of_n = 4 }\nremove", "default = { m_of_n", "4"),
        ("required = [\"north\"]", "required = [\"west\"]", "approve_code =", "west"),
        ("name = \"evm\"", "name = \"fabric\"", "[[adapter]]\nname = \"fabric\"", "there is no adapter \"fabric\""),
        ("\"alloc\"", "\"fork\": \"paris\", \"alloc\"", "[[adapter]]\nname = \"evm\"", "fork \"paris\""),
    ];
    for (from, to, place, reason) in rows {
        let text = changed(from, to);
        let said = founders.check(&text);
        let line = line_of(&text, place);
        let problem = format!("constitution.toml:{line}:");
        let is_told = said.stderr.lines().any(|said| said.contains(&problem) && said.contains(reason));
        assert!(said.status == 1 && is_told, "{to}: not {problem}..{reason} but {}", said.stderr);
    }

    let two = changed("south.crt", "nowhere.crt").replace("owner = \"north\"", "owner = \"west\"");
    let file = founders.write(&two);
    let said = run(["constitution", "check", "--json", &file]);
    assert_eq!(said.status, 1);
    assert_eq!(said.json()["problems"].as_array().unwrap().len(), 3, "south is no owner either: {}", said.stdout);
    let net = founders.path("net");
    let begun = run(["sandbox", "--constitution", &file, "--identity", &founders.path("north-desk"), "--dir", &net]);
    assert!(begun.status == 1 && begun.stderr.contains("constitution.toml:"), "{}", begun.stderr);
    let file = founders.write(&founders.example);
    let begun = run(["sandbox", "--constitution", &file, "--identity", &founders.path("stranger"), "--dir", &net]);
    assert!(begun.stderr.contains("that of an actor of the constitution"), "{}", begun.stderr);
    assert!(!Path::new(&net).join("network.json").exists() && !Path::new(&net).join("node-1").exists());
}

/// North starts it, and is voted out by the two others: it keeps nothing.
#[test]
fn the_founder_who_began_the_network_is_voted_out_and_the_network_resumes_without_it() {
    let founders = Founders::new();
    let file = founders.write(&founders.example.replace("required = [\"north\"]", "required = [\"south\"]"));
    let desk = |name: &str| founders.path(&format!("{name}-desk"));
    let start = |arguments: &[&str]| {
        let arguments = arguments.iter().map(Into::into).collect();
        Sandbox::with(Options { dir: Some(founders.path("net").into()), arguments })
    };
    let sandbox = start(&["--constitution", &file, "--identity", &desk("north")]);
    let in_force = sandbox.synod(&["constitution", "show"]).succeeded().stdout;
    for part in ["name = \"harbours\"", "owner = \"forwarder\"", "proposal_expiry_seconds = 1209600"] {
        assert!(in_force.contains(part), "{part} in\n{in_force}");
    }
    sandbox.synod(&["log", "put", "--key", "1", "--message", "by north"]).succeeded();

    let removal = founders.path("remove.toml");
    let node = "[[action]]\naction = 'replace_node'\nnode = 1\nowner = 'south'\n";
    fs::write(&removal, format!("{node}[[action]]\naction = 'remove_member'\nid = 'north'\n")).unwrap();
    let by = |who: &str, arguments: &[&str]| {
        let identity = desk(who);
        sandbox.synod(&[arguments, &["--identity", &identity]].concat())
    };
    by("south", &["proposal", "submit", &removal]).succeeded();
    by("south", &["ballot", "submit", "1", "accept"]).succeeded();
    by("east", &["ballot", "submit", "1", "accept"]).succeeded();
    let refused = by("north", &["proposal", "list"]);
    assert!(refused.status == 1 && refused.stderr.contains("NotAuthorized"), "{}", refused.stderr);

    sandbox.stop();
    let net = founders.path("net");
    let again = run(["sandbox", "--constitution", &file, "--identity", &desk("south"), "--dir", &net]);
    assert!(again.stderr.contains("holds a network already"), "{}", again.stderr);
    // The network file still speaks as north, who was voted out: whoever goes on says who they are.
    let sandbox = start(&["--identity", &desk("south")]);
    sandbox.synod(&["log", "put", "--key", "2", "--message", "by south"]).succeeded();
    assert!(!sandbox.synod(&["constitution", "show"]).succeeded().stdout.contains("name = \"north\""));
}

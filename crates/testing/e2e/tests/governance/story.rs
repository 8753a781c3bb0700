//! The story of the guide.

use std::fs;
use std::path::{Path, PathBuf};

use synod_e2e::{Sandbox, run};
use synod_types::TxId;

/// Every decision of the story, in order. How many nodes are removed until the participant's leads is chance.
const DECISIONS: [&str; 16] = [
    "accepted add Delta",
    "accepted three of four decide",
    "accepted member-3 leaves",
    "accepted a majority decides again",
    "accepted the founder leaves",
    "accepted add Echo, twice",
    "accepted release 1.2 may run",
    "accepted new members by all, emergencies by one",
    "accepted release 1.2 is broken",
    "rejected add Foxtrot",
    "withdrawn proposals stay open for a week",
    "accepted proposals stay open for a month",
    "expired blocks of two calls",
    "accepted standing rules may accept nodes of actors",
    "accepted participant-1 runs a node",
    "withdrawn participant-1 runs a second node",
];

/// Runs the script, then reads its decisions; and has each node's files audited, the new node's among them.
#[test]
fn the_story_is_told_to_its_end_and_every_node_holds_the_same_constitution() {
    let sandbox = Sandbox::start();
    let results = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../examples/governance/story.sh");
    let line = format!("STORY_RESULTS='{}' bash '{}'", results.path().display(), script.display());
    let told = sandbox.shell(&line);
    assert_eq!(told.status, 0, "{}\n{}", told.stdout, told.stderr);

    let text = fs::read_to_string(results.path().join("decisions")).unwrap();
    let decisions: Vec<_> = text.lines().map(decision).collect();
    let found: Vec<_> = decisions.iter().map(|(_, what)| what.as_str()).collect();
    assert_eq!(found[..DECISIONS.len()], DECISIONS, "{text}");
    let [removals @ .., elsewhere] = &found[DECISIONS.len()..] else { panic!("no more decisions: {text}") };
    assert!(removals.iter().all(|what| what.starts_with("accepted node ")), "{text}");
    assert_eq!(*elsewhere, "accepted another network: proposals stay open for a day");
    let txids: Vec<_> = decisions[..decisions.len() - 1].iter().map(|(txid, _)| *txid).collect();
    assert!(txids.is_sorted(), "one order: {text}");
    for (txid, what) in &decisions {
        assert!(told.stdout.contains(&txid.to_string()), "{what} was printed with its transaction");
    }

    let nodes: Vec<_> = (1..=4).map(|id| sandbox.dir.join(format!("node-{id}"))).collect();
    let joined = decisions[14].0;
    let at_the_join: Vec<_> = nodes.iter().map(|node| audited(&sandbox, node, joined)).collect();
    assert!(at_the_join[0].contains("node-of-participant-1"), "{}", at_the_join[0]);
    assert!(at_the_join.iter().all(|constitution| *constitution == at_the_join[0]), "{at_the_join:#?}");
    let live = fs::read_to_string(results.path().join("constitution.toml")).unwrap();
    assert_eq!(audited(&sandbox, &nodes[3], *txids.last().unwrap()), live);
}

/// `TXID\tproposal ID STATUS\tTITLE`
fn decision(line: &str) -> (TxId, String) {
    let [txid, proposal, title] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("not a decision: {line}") };
    (txid.parse().unwrap(), format!("{} {title}", proposal.rsplit(' ').next().unwrap()))
}

/// The constitution at a transaction, as an auditor with the key finds it in a node's files.
fn audited(sandbox: &Sandbox, node: &Path, at: TxId) -> String {
    let key: PathBuf = sandbox.dir.join("auditor/admin.key");
    let arguments =
        ["ledger", "audit", "--key", key.to_str().unwrap(), "--at", &at.to_string(), node.to_str().unwrap()];
    run(arguments).succeeded().stdout
}

//! Leaders that die around a decision.

use std::process::{Command, Stdio};

use serde_json::Value;
use synod_e2e::{leader, run, status, synod, wait_until};

use crate::world::World;

/// In each round a member casts the deciding ballot while the leader is killed: at once, or as soon as somebody else hears of
/// the decision. Wherever that falls (before the ballot is ordered, before it is committed, before it is answered), the member
/// hears of one decision, and an audit finds one, in the transaction that the member was told.
#[test]
fn a_decision_whose_leader_is_killed_is_found_exactly_once() {
    let world = World::with_nodes(3);
    let mut told = Vec::new();
    for round in 0..6 {
        let (id, _) = world.propose(&format!("[[action]]\naction = 'set_proposal_expiry'\nseconds = {}\n", 60 + round));
        world.run(&world.member(1), &["ballot", "submit", &id, "accept"]).succeeded();
        let since = world.sandbox.synod(&["constitution", "show", "--json"]).succeeded().json();
        let leader = leader(&world.sandbox).pid.expect("the leader runs here");
        let ballot = spawn(&world, &["--json", "ballot", "submit", &id, "accept"], 2);
        if round % 2 == 1 {
            let after = since["txid"].as_str().unwrap();
            let watch = spawn(&world, &["--json", "gov", "watch", "--after", after, "--once", "2"], 3);
            assert!(watch.wait_with_output().unwrap().status.success());
        }
        assert!(Command::new("kill").args(["-9", &leader.to_string()]).status().unwrap().success());
        let output = ballot.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(answer["status"], "Accepted");
        told.push((id, answer["txid"].as_str().unwrap().to_owned()));
        wait_until("the killed node is back", || {
            status(&world.sandbox).iter().all(|node| node.role.is_some()).then_some(())
        });
    }
    let found = decisions(&world);
    assert_eq!(found, told);
}

/// Runs a command as a member, its output in pipes.
fn spawn(world: &World, arguments: &[&str], member: u64) -> std::process::Child {
    let mut command = Command::new(synod());
    command.args(arguments).env("SYNOD_NODES", &world.sandbox.network_file);
    command.env("SYNOD_IDENTITY", world.member(member)).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Each closed proposal with the transaction that closed it, as an auditor finds them in the files of the leader of now.
fn decisions(world: &World) -> Vec<(String, String)> {
    let dir = leader(&world.sandbox).dir.expect("the leader runs here");
    let key = world.sandbox.dir.join("auditor/admin.key");
    let audit = run(["ledger", "audit", "--json", "--key", key.to_str().unwrap(), dir.to_str().unwrap()]).succeeded();
    let audit = audit.json();
    let transactions = audit["transactions"].as_array().unwrap();
    let closed = |transaction: &Value| -> Vec<(String, String)> {
        let txid = transaction["txid"].as_str().unwrap().to_owned();
        let events = transaction["events"].as_array().unwrap().clone();
        let closed = events.into_iter().filter(|event| event["event"] == "closed");
        closed.map(|event| (event["data"]["id"].to_string(), txid.clone())).collect()
    };
    transactions.iter().flat_map(closed).collect()
}

//! Nodes are killed under load, and nothing that was acknowledged is lost or done twice.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, Instant};

use synod_e2e::{Acknowledged, Load, NodeStatus, Sandbox, leader, run, status, wait_until};

#[test]
fn ten_leaders_killed_one_after_the_other_lose_nothing_and_double_nothing() {
    check(10, |leader, _| vec![leader.clone()]);
}

#[test]
fn two_nodes_killed_at_once_lose_nothing_and_double_nothing() {
    check(2, |leader, followers| vec![leader.clone(), followers[0].clone()]);
}

#[test]
fn all_nodes_killed_at_once_lose_nothing_and_double_nothing() {
    check(2, |leader, followers| [std::slice::from_ref(leader), followers].concat());
}

/// Kills `victims` under load, `rounds` times, each time after the last ones are back in the quorum.
fn check(rounds: usize, victims: fn(&NodeStatus, &[NodeStatus]) -> Vec<NodeStatus>) {
    let sandbox = Sandbox::start();
    let before = settled(&sandbox);
    let load = Load::start(&sandbox, WRITERS);
    for round in 1..=rounds {
        let enough = load.count() + WRITES_BETWEEN_KILLS;
        wait_until("writes are acknowledged", || (load.count() >= enough).then_some(()));
        let leader = leader(&sandbox);
        let others: Vec<_> = status(&sandbox).into_iter().filter(|node| node.id != leader.id).collect();
        let victims = victims(&leader, &others);
        let view = leader.view.expect("a leader has a view").max(load.view());

        kill(&victims);
        let killed = Instant::now();
        wait_until("a new leader acknowledges writes", || (load.view() > view).then_some(()));
        let gap = killed.elapsed();
        eprintln!("round {round}: node(s) {:?} killed, writes go on after {gap:?}", ids(&victims));
        assert!(gap <= GAP_MAX, "writes went on only {gap:?} after the kill, {GAP_MAX:?} are allowed");
        wait_until("the killed nodes are back in the quorum", || are_back(&sandbox, &victims));
    }
    let acknowledged = load.stop();
    let after = settled(&sandbox);

    let written = after - before;
    assert_eq!(
        written,
        acknowledged.len() as u64,
        "one transaction for each acknowledged write, however often it was sent"
    );
    assert_read_back(&sandbox, &acknowledged);
    assert_retries_are_recognised(&sandbox, &acknowledged);
    assert_eq!(settled(&sandbox), after, "a retry writes nothing");
    assert_ledgers_agree(sandbox);
}

/// Every acknowledged message is there: all of them on one node, a sample on each other.
fn assert_read_back(sandbox: &Sandbox, acknowledged: &[Acknowledged]) {
    for node in 0..sandbox.nodes.len() {
        let mut client = sandbox.client(node);
        let step = if node == 0 { 1 } else { 16 };
        for write in acknowledged.iter().step_by(step) {
            let at_least = write.txid.to_string();
            let path = format!("/app/log/{}", write.key);
            let read = client.send("GET", &path, &[("synod-at-least", &at_least)], b"").expect("the node answers");
            assert_eq!((read.status, read.text()), (200, write.message.clone()), "{write:?} at node {}", node + 1);
        }
    }
}

/// The same request under the same id, sent to every node, is answered with the transaction of the first time.
fn assert_retries_are_recognised(sandbox: &Sandbox, acknowledged: &[Acknowledged]) {
    let repeated = acknowledged.iter().filter(|write| write.attempts > 1);
    let sample: Vec<_> = repeated.chain(acknowledged.last()).rev().take(20).collect();
    for node in 0..sandbox.nodes.len() {
        let mut client = sandbox.client(node);
        for write in &sample {
            let id = write.request_id.to_hex();
            let path = format!("/app/log/{}", write.key);
            let headers = [("synod-request-id", id.as_str())];
            let again = client.send("PUT", &path, &headers, write.message.as_bytes()).expect("the node answers");
            assert_eq!(again.status, 200, "{}", again.text());
            assert_eq!(again.header("synod-txid"), Some(write.txid.to_string().as_str()), "{write:?} again");
        }
    }
}

/// `synod ledger verify` passes on every node's files, and all roots are the same.
fn assert_ledgers_agree(sandbox: Sandbox) {
    let stopped = sandbox.stop();
    let mut roots = BTreeSet::new();
    for node in &stopped.nodes {
        let verified = run(["ledger".as_ref(), "verify".as_ref(), "--json".as_ref(), node.dir.as_os_str()]).succeeded();
        let verified = verified.json();
        let root = &verified["root"];
        assert!(root.is_string(), "ledger verify names the root: {verified}");
        roots.insert(root.to_string());
    }
    assert_eq!(roots.len(), 1, "all nodes hold the same root");
}

/// The seqno up to which everything is committed on every node, once nothing is on its way.
fn settled(sandbox: &Sandbox) -> u64 {
    wait_until("all nodes have committed the same", || {
        let nodes = status(sandbox);
        let seqnos: BTreeSet<_> = nodes.iter().flat_map(|node| [node.last, node.committed]).collect();
        let all_answer = nodes.len() == sandbox.nodes.len();
        match seqnos.into_iter().collect::<Vec<_>>()[..] {
            [Some(txid)] if all_answer => Some(txid.seqno.0),
            _ => None,
        }
    })
}

/// Whether each victim runs as a new process and has committed as much as the leader had when it was asked.
fn are_back(sandbox: &Sandbox, victims: &[NodeStatus]) -> Option<()> {
    let reached = leader(sandbox).committed?;
    let nodes = status(sandbox);
    let is_back = |victim: &NodeStatus| {
        let now = nodes.iter().find(|node| node.id == victim.id);
        now.is_some_and(|now| now.pid != victim.pid && now.pid.is_some() && now.committed >= Some(reached))
    };
    victims.iter().all(is_back).then_some(())
}

/// `kill -9`, all in one system call each, one right after the other.
fn kill(victims: &[NodeStatus]) {
    let pids = victims.iter().map(|node| node.pid.expect("a running node has a process").to_string());
    let killed = Command::new("kill").arg("-9").args(pids).status().expect("kill runs");
    assert!(killed.success(), "the nodes were running");
}

fn ids(nodes: &[NodeStatus]) -> Vec<u64> {
    nodes.iter().map(|node| node.id).collect()
}

/// How soon writes must go on, also where the supervisor has to start a majority again first.
const GAP_MAX: Duration = Duration::from_secs(2);

/// Enough to have writes in every stage when a node dies.
const WRITERS: u64 = 6;

/// So that each kill falls into full load.
const WRITES_BETWEEN_KILLS: u64 = 50;

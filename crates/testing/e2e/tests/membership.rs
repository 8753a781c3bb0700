//! A node joins a running network by the members' vote, leads it, and another one is voted out.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use synod_e2e::{Client, Load, NodeStatus, Sandbox, decide, join_node, leader, run, status, synod, wait_until};

/// Through the command line and the doors that users have: the proposal that `synod node join` prints is submitted as it
/// is, and no file of another node is touched.
#[test]
fn a_node_joins_by_vote_and_leads_and_a_removed_one_says_that_it_is_none_any_more() {
    let sandbox = Sandbox::start();
    let first = write(&sandbox, 1, "before it joined");

    let (node_4, proposal) = join_node(&sandbox, 4, "the-new-node.example.org:7000");
    let configurations: Vec<_> = sandbox.nodes.iter().map(|node| read(&node.dir.join("node.toml"))).collect();
    let mut process = RunningNode::start(&node_4);
    wait_until("the new node says what it waits for", || {
        process.said().contains("not in the node list yet").then_some(())
    });
    wait_until("it tells how it is", || role(&sandbox, 4).filter(|role| role != "leader" && role != "follower"));
    let address = address_of(&sandbox, 4);
    let mut early = Client::connect(&address, &sandbox.identity).expect("the new node listens");
    let refused = early.get("/app/log/1").expect("it answers");
    assert_eq!((refused.status, refused.error_code().as_str()), (503, "NodeJoining"), "{}", refused.text());

    decide(&sandbox, &proposal);
    wait_until("the new node follows", || role(&sandbox, 4).filter(|role| role == "follower"));
    assert!(process.said().contains("in the node list now"), "{}", process.said());
    let mut at_4 = Client::connect(&address, &sandbox.identity).expect("the new node takes clients");
    assert_eq!(message(&mut at_4, 1, &first), "before it joined");
    assert_eq!(at_4.put("/app/log/2", "by the new node").expect("it answers").status, 200);
    let untouched: Vec<_> = sandbox.nodes.iter().map(|node| read(&node.dir.join("node.toml"))).collect();
    assert_eq!(configurations, untouched, "nobody has to be told where the new node is");

    let removal = sandbox.dir.join("remove.toml");
    fs::write(&removal, "[[action]]\naction = 'remove_node'\nnode = 1\n").expect("a file can be written");
    decide(&sandbox, &removal);
    wait_until("the removed node knows that it is none any more", || {
        role(&sandbox, 1).filter(|role| role == "removed")
    });
    let mut at_1 = sandbox.client(0);
    for refused in [at_1.put("/app/log/3", "to nobody"), at_1.get("/app/log/1")] {
        let refused = refused.expect("it answers");
        assert_eq!((refused.status, refused.error_code().as_str()), (503, "NodeRemoved"), "{}", refused.text());
    }
    let after = write(&sandbox, 4, "after the removal");
    assert_eq!(message(&mut at_4, 4, &after), "after the removal");

    lead(&sandbox, 4);
    // Connected anew: the node may have been one of those that were killed meanwhile.
    let put = Client::connect(&address, &sandbox.identity).and_then(|mut at_4| at_4.put("/app/log/5", "by its leader"));
    let put = put.expect("the leader answers");
    assert_eq!(put.status, 200, "{}", put.text());
    wait_until("all nodes agree", || agree(&sandbox).then_some(()));

    process.stop();
    let stopped = sandbox.stop();
    for id in 1..=4 {
        let ledger = stopped.dir.join(format!("node-{id}"));
        run(["ledger".as_ref(), "verify".as_ref(), ledger.as_os_str()]).succeeded();
    }
    // The network file names the new node, in whose place the sandbox finds it.
    let sandbox = stopped.resume();
    wait_until("the network is as it was", || agree(&sandbox).then_some(()));
    assert_eq!(role(&sandbox, 1).as_deref(), Some("removed"));
    let last = write(&sandbox, 6, "after a restart of all");
    let mut at_4 = Client::connect(&address_of(&sandbox, 4), &sandbox.identity).expect("the new node is back");
    assert_eq!(message(&mut at_4, 6, &last), "after a restart of all");
}

/// The new node is killed as it catches up, and so is the leader; then the leader is voted out. Writers go on all the time.
#[test]
fn a_node_that_joins_and_a_leader_that_is_removed_under_load_lose_nothing() {
    let sandbox = Sandbox::start();
    let load = Load::start(&sandbox, 4);
    let written = |more: u64| {
        let enough = load.count() + more;
        wait_until("writes go on", || (load.count() >= enough).then_some(()));
    };
    written(500);
    let (dir, proposal) = join_node(&sandbox, 4, "the-new-node.example.org:7000");
    let mut node_4 = RunningNode::start(&dir);
    decide(&sandbox, &proposal);
    node_4.kill();
    node_4 = RunningNode::start(&dir);
    kill(&leader(&sandbox));
    wait_until("the new node takes part", || role(&sandbox, 4).filter(|role| role == "follower" || role == "leader"));
    written(200);

    // Writers know the first three nodes: one of them that leads is voted out.
    let out = wait_until("one of the first three leads", || {
        let leader = leader(&sandbox);
        if leader.id == 4 {
            node_4.kill();
            node_4 = RunningNode::start(&dir);
        }
        Some(leader.id).filter(|id| *id != 4)
    });
    let removal = sandbox.dir.join("remove.toml");
    fs::write(&removal, format!("[[action]]\naction = 'remove_node'\nnode = {out}\n")).expect("a file can be written");
    decide(&sandbox, &removal);
    wait_until("the leader knows that it is removed", || role(&sandbox, out).filter(|role| role == "removed"));
    written(200);

    let acknowledged = load.stop();
    let mut at_4 = Client::connect(&address_of(&sandbox, 4), &sandbox.identity).expect("the new node takes clients");
    for write in &acknowledged {
        assert_eq!(message(&mut at_4, write.key, &write.txid.to_string()), write.message, "{write:?}");
    }
}

/// The removed node gets back the ledger that it had before, as if it had been away, and is started again. Nobody dials it
/// any more, and it dials nobody with a higher slot, unless it is alone for a while.
#[test]
fn a_node_that_was_removed_while_it_was_away_hears_so_when_it_comes_back() {
    let stopped = Sandbox::with_arguments(&["--nodes", "4"]).stop();
    let away = stopped.dir.join("node-1");
    let (ledger, kept) = (away.join("ledger"), stopped.dir.join("kept"));
    copy(&ledger, &kept);
    let sandbox = stopped.resume();
    let removal = sandbox.dir.join("remove.toml");
    fs::write(&removal, "[[action]]\naction = 'remove_node'\nnode = 1\n").expect("a file can be written");
    decide(&sandbox, &removal);
    wait_until("the network goes on without it", || role(&sandbox, 1).filter(|role| role == "removed"));

    let node = status(&sandbox).into_iter().find(|node| node.id == 1).expect("the sandbox runs it");
    fs::rename(&ledger, sandbox.dir.join("newer")).expect("a folder can be renamed");
    fs::rename(&kept, &ledger).expect("a folder can be renamed");
    kill(&node);
    let again = |now: &NodeStatus| now.id == 1 && now.pid.is_some() && now.pid != node.pid;
    wait_until("it is started again, and hears that it was removed", || {
        status(&sandbox).into_iter().find(|now| again(now) && now.role.as_deref() == Some("removed"))
    });
}

/// Kills one leader after the other until `wanted` leads.
fn lead(sandbox: &Sandbox, wanted: u64) {
    // The others win with even chances: this many times in a row is one case in a thousand million.
    for _ in 0..30 {
        let leader = leader(sandbox);
        if leader.id == wanted {
            return;
        }
        kill(&leader);
        let view = leader.view;
        wait_until("another leads", || status(sandbox).into_iter().find(|node| is_leader(node) && node.view > view));
        // As a follower, or as the leader: it may be back soon enough to win the election that its death began.
        wait_until("the killed one is back", || {
            role(sandbox, leader.id).filter(|role| role == "follower" || role == "leader")
        });
    }
    panic!("node {wanted} never led");
}

fn is_leader(node: &NodeStatus) -> bool {
    node.role.as_deref() == Some("leader")
}

/// Whether the nodes that are in the node list have one leader, and all the same committed transaction.
fn agree(sandbox: &Sandbox) -> bool {
    let nodes: Vec<_> = status(sandbox).into_iter().filter(|node| node.id != 1).collect();
    let leads = nodes.iter().filter(|node| is_leader(node)).count();
    let follows = nodes.iter().filter(|node| node.role.as_deref() == Some("follower")).count();
    let is_same = nodes.iter().all(|node| node.committed.is_some() && node.committed == nodes[0].last);
    nodes.len() == 3 && leads == 1 && follows == 2 && is_same
}

fn role(sandbox: &Sandbox, id: u64) -> Option<String> {
    status(sandbox).into_iter().find(|node| node.id == id)?.role
}

fn kill(node: &NodeStatus) {
    let pid = node.pid.expect("a running node has a process").to_string();
    assert!(Command::new("kill").args(["-9", &pid]).status().expect("kill runs").success());
}

/// Writes through any node that takes it; the transaction's id.
fn write(sandbox: &Sandbox, key: u64, message: &str) -> String {
    let put = sandbox.synod(&["log", "put", "--key", &key.to_string(), "--message", message]).succeeded();
    put.stdout.trim().to_owned()
}

/// Reads at one node, once it has `at_least`.
fn message(client: &mut Client, key: u64, at_least: &str) -> String {
    let read = client.send("GET", &format!("/app/log/{key}"), &[("synod-at-least", at_least)], b"");
    read.expect("the node answers").text()
}

fn address_of(sandbox: &Sandbox, id: u64) -> String {
    let config = read(&sandbox.dir.join(format!("node-{id}/node.toml")));
    let line =
        config.lines().find_map(|line| line.strip_prefix("client_address = ")).expect("it says where it listens");
    line.trim_matches('"').to_owned()
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder can be made");
    for entry in fs::read_dir(from).expect("a folder can be read") {
        let entry = entry.expect("an entry can be read");
        fs::copy(entry.path(), to.join(entry.file_name())).expect("a file can be copied");
    }
}

/// A node that no sandbox runs. It stops when this is dropped, or when the test's process ends.
struct RunningNode {
    child: Child,
    log: PathBuf,
}

impl RunningNode {
    fn start(dir: &Path) -> Self {
        let log = dir.join("log");
        let child = Command::new(synod())
            .args(["node", "run", "--supervised", "--dir"])
            .arg(dir)
            .stdin(Stdio::piped())
            .stderr(File::create(&log).expect("a file for messages can be made"))
            .spawn();
        Self { child: child.expect("the synod binary starts"), log }
    }

    fn kill(&mut self) {
        self.child.kill().expect("the node is our child");
        self.child.wait().expect("the node is our child");
    }

    fn said(&self) -> String {
        read(&self.log)
    }

    fn stop(&mut self) {
        drop(self.child.stdin.take());
        let status = self.child.wait().expect("the node is our child");
        assert!(status.success(), "the node ended with {status}: {}", self.said());
    }
}

impl Drop for RunningNode {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the new node said:\n{}", self.said());
        }
    }
}

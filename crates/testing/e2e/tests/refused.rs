//! A node whose disk is not to be trusted is stopped for good, by itself and by its supervisor.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use synod_e2e::{Finished, Node, NodeStatus, Sandbox, leader, run, status, wait_until};

/// The ledger of a follower is exchanged for an older copy while it runs; then it is killed and started again.
#[test]
fn a_node_whose_disk_was_rolled_back_is_not_started_again_until_an_operator_has_looked() {
    let stopped = Sandbox::start().stop();
    let (old, new) = (stopped.dir.join("old"), stopped.dir.join("new"));
    for node in &stopped.nodes {
        copy(&node.dir.join("ledger"), &old.join(node.id.to_string()));
    }
    let sandbox = stopped.resume();
    write(&sandbox, 5);
    let follower = follower(&sandbox);
    let dir = node(&sandbox, &follower).dir.clone();
    fs::rename(dir.join("ledger"), &new).expect("a folder can be renamed");
    fs::rename(old.join(follower.id.to_string()), dir.join("ledger")).expect("a folder can be renamed");
    kill(&follower);
    let refused = format!("node {} ended because it is refused", follower.id);
    wait_until("the supervisor gives the node up", || sandbox.said().contains(&refused).then_some(()));
    assert!(sandbox.said().contains("it is not started again\nhint: the end of"), "{}", sandbox.said());
    let log = fs::read_to_string(dir.join("log")).expect("a node has a log");
    assert!(log.contains("was rolled back"), "{log}");
    write(&sandbox, 5);

    // Nor does it start by hand, or with the network, as long as the mark is there.
    assert_refused(&run_node(&dir), "was rolled back");
    let sandbox = sandbox.stop().resume();
    assert!(sandbox.said().contains(&refused), "{}", sandbox.said());
    write(&sandbox, 5);
    let stopped = sandbox.stop();

    // With its own ledger back, which bears no mark, it is one of the network again.
    fs::remove_dir_all(dir.join("ledger")).expect("a folder can be removed");
    fs::rename(&new, dir.join("ledger")).expect("a folder can be renamed");
    let sandbox = stopped.resume();
    let all_answer = || status(&sandbox).iter().all(|node| node.role.is_some()).then_some(());
    wait_until("all nodes answer", all_answer);
    write(&sandbox, 5);
}

/// What is written to /dev/null cannot be synced: a follower's next vote goes there.
#[test]
fn a_node_whose_sync_failed_is_not_started_again_until_an_operator_has_looked() {
    let sandbox = Sandbox::start();
    let follower = follower(&sandbox);
    let dir = node(&sandbox, &follower).dir.clone();
    let vote = dir.join("ledger").join("vote.new");
    let _ = fs::remove_file(&vote);
    symlink("/dev/null", &vote).expect("a link can be made");
    kill(&leader(&sandbox));
    let failed = format!("node {} ended because a sync of its disk failed; it is not started again", follower.id);
    wait_until("the supervisor gives the node up", || sandbox.said().contains(&failed).then_some(()));
    write(&sandbox, 5);
    assert_refused(&run_node(&dir), "cannot sync");

    let stopped = sandbox.stop();
    fs::remove_file(dir.join("ledger").join("refused")).expect("the mark can be removed");
    let _ = fs::remove_file(&vote);
    let sandbox = stopped.resume();
    assert!(!sandbox.said().contains("not started again"), "{}", sandbox.said());
}

/// What a node holds of itself does not fit together: the log, or the vote record, is put back from an older copy.
#[test]
fn a_node_whose_log_and_vote_record_are_of_different_times_is_refused_and_bears_the_mark() {
    let stopped = Sandbox::start().stop();
    let ledger = stopped.nodes[0].dir.join("ledger");
    let (old, new) = (stopped.dir.join("old"), stopped.dir.join("new"));
    copy(&ledger, &old);
    let mut stopped = stopped;
    // The second start's vote record tells of the first one's entries.
    for _ in 0..2 {
        let sandbox = stopped.resume();
        write(&sandbox, 5);
        stopped = sandbox.stop();
    }
    copy(&ledger, &new);
    for (log, vote) in [(&old, &new), (&new, &old)] {
        fs::remove_dir_all(&ledger).expect("a folder can be removed");
        copy(log, &ledger);
        fs::copy(vote.join("vote"), ledger.join("vote")).expect("a file can be copied");
        let finished = run_node(&stopped.nodes[0].dir);
        assert_eq!(finished.status, 77, "{}", finished.stderr);
        assert!(finished.stderr.contains("was rolled back: its "), "{}", finished.stderr);
        assert_refused(&run_node(&stopped.nodes[0].dir), "was rolled back: its ");
    }
}

fn assert_refused(finished: &Finished, why: &str) {
    let said = &finished.stderr;
    assert_eq!(finished.status, 77, "{said}");
    assert!(said.contains("forbids a start") && said.contains("ledger/refused") && said.contains(why), "{said}");
    assert!(said.contains("hint: ") && said.contains("remove that file"), "{said}");
}

fn run_node(dir: &Path) -> Finished {
    run(["node".as_ref(), "run".as_ref(), "--dir".as_ref(), dir.as_os_str()])
}

/// Writes at whichever node takes writes.
fn write(sandbox: &Sandbox, count: u32) {
    for key in 0..count {
        sandbox.synod(&["log", "put", "--key", &key.to_string(), "--message", "a message"]).succeeded();
    }
}

fn follower(sandbox: &Sandbox) -> NodeStatus {
    let leader = leader(sandbox);
    status(sandbox).into_iter().find(|node| node.id != leader.id).expect("there are three nodes")
}

fn node<'a>(sandbox: &'a Sandbox, status: &NodeStatus) -> &'a Node {
    sandbox.nodes.iter().find(|node| node.id == status.id).expect("a status is of a node")
}

fn kill(node: &NodeStatus) {
    let pid = node.pid.expect("a running node has a process").to_string();
    assert!(Command::new("kill").args(["-9", &pid]).status().expect("kill runs").success());
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder can be made");
    for entry in fs::read_dir(from).expect("a folder can be read") {
        let entry = entry.expect("an entry can be read");
        fs::copy(entry.path(), to.join(entry.file_name())).expect("a file can be copied");
    }
}

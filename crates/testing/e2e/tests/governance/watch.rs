//! Members hear of what happens.

use std::process::{Command, Stdio};

use serde_json::Value;
use synod_e2e::{status, synod, wait_until};

use crate::world::World;

/// A member watches at node 1, which is killed half-way; it is told of everything once, in order, from the beginning on.
#[test]
fn a_watch_outlives_its_node_and_tells_each_event_once_in_order() {
    let world = World::with_nodes(3);
    let mut watch = Command::new(synod());
    watch.args(["--json", "gov", "watch", "--after", "0", "--once", "12"]);
    watch.env("SYNOD_NODES", &world.sandbox.network_file).env("SYNOD_IDENTITY", world.member(3));
    let watch = watch.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let expiry = |seconds: u64| format!("[[action]]\naction = 'set_proposal_expiry'\nseconds = {seconds}\n");
    world.decide(&expiry(60));
    let node = status(&world.sandbox).into_iter().find(|node| node.id == 1).and_then(|node| node.pid).unwrap();
    assert!(Command::new("kill").args(["-9", &node.to_string()]).status().unwrap().success());
    world.decide(&expiry(61));
    world.decide(&expiry(62));

    let output = watch.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Vec<Value> =
        output.stdout.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
    let found: Vec<_> =
        told.iter().map(|event| (event["data"]["id"].as_u64().unwrap(), event["event"].as_str().unwrap())).collect();
    let expected = [1, 2, 3].map(|id| ["proposed", "voted", "voted", "closed"].map(|event| (id, event))).concat();
    assert_eq!(found, expected);
    wait_until("the killed node is back", || {
        status(&world.sandbox).iter().all(|node| node.role.is_some()).then_some(())
    });

    // Who was away is told of what it missed, and of nothing else.
    let since = told[7]["id"].as_str().unwrap();
    let missed = world.run(&world.member(2), &["gov", "watch", "--after", since, "--once", "4"]).succeeded().stdout;
    assert_eq!(missed.lines().count(), 4);
    assert!(missed.lines().all(|line| line.contains("proposal 3")), "{missed}");
}

#[test]
fn who_is_removed_is_told_no_more() {
    let world = World::start();
    let mut watch = Command::new(synod());
    watch.args(["gov", "watch", "--after", "0"]);
    watch.env("SYNOD_NODES", &world.sandbox.network_file).env("SYNOD_IDENTITY", world.member(3));
    let watch = watch.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    world.decide("[[action]]\naction = 'remove_member'\nid = 'member-3'\n");
    let output = watch.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("(NotAuthorized)"), "{said}");
}

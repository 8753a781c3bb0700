//! What members do, by the command line: let nodes join, propose and vote.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use crate::Sandbox;

/// Makes the directory node-`id` for a node of member 1, beside those of the sandbox, and adds the node to the network
/// file. Gives the directory, and the file with the proposal that adds the node at `address`.
///
/// # Panics
/// If `synod node join` fails.
pub fn join_node(sandbox: &Sandbox, id: u64, address: &str) -> (PathBuf, PathBuf) {
    let path = |name: &str| sandbox.dir.join(name).display().to_string();
    let (dir, like, owner) = (path(&format!("node-{id}")), path("node-1"), path("members/member-1.crt"));
    let (number, network) = (id.to_string(), sandbox.network_file.display().to_string());
    let [client, peer] = free_ports().map(|port| format!("127.0.0.1:{port}"));
    let arguments = [
        ["--dir", &dir],
        ["--like", &like],
        ["--id", &number],
        ["--name", "the-new-node"],
        ["--owner", &owner],
        ["--address", address],
        ["--client-address", &client],
        ["--peer-address", &peer],
        ["--add-to", &network],
    ];
    let joined = sandbox.synod(&[&["node", "join"], arguments.as_flattened()].concat()).succeeded();
    let proposal = sandbox.dir.join("add-node.toml");
    fs::write(&proposal, joined.stdout).expect("a file can be written");
    (dir.into(), proposal)
}

/// Submits a proposal as member 1; members 1 and 2 of three vote until it is accepted.
///
/// # Panics
/// If it is not.
pub fn decide(sandbox: &Sandbox, proposal: &Path) {
    let member = |number: u32| sandbox.dir.join(format!("members/member-{number}")).display().to_string();
    let file = proposal.display().to_string();
    let submitted = sandbox.synod(&["proposal", "submit", &file, "--json", "--identity", &member(1)]).succeeded();
    let id = submitted.json()["proposal"].as_u64().expect("a proposal has a number").to_string();
    for number in 1..=2 {
        let vote = ["ballot", "submit", &id, "accept", "--json", "--identity", &member(number)];
        if sandbox.synod(&vote).succeeded().json()["status"] == "Accepted" {
            return;
        }
    }
    panic!("two of three members are enough: {}", sandbox.synod(&["proposal", "show", &id]).stdout);
}

/// Two ports that nobody holds, for a moment.
///
/// # Panics
/// If there are none.
pub fn free_ports() -> [u16; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port is free"));
    listeners.map(|listener| listener.local_addr().expect("it has one").port())
}

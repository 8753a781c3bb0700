//! Members decide while applications have all that a network can do.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use synod_e2e::{Sandbox, leader, synod, wait_until};

/// A load generator that keeps more requests waiting than a node takes in.
struct Load(Child);

impl Load {
    fn start(sandbox: &Sandbox) -> Self {
        let mut command = Command::new(synod());
        command.args(["bench", "log", "--connections", "12", "--depth", "4000", "--duration", "3600"]);
        command.env("SYNOD_NODES", &sandbox.network_file).stdout(Stdio::null()).stderr(Stdio::null());
        let load = Self(command.spawn().expect("the synod binary starts"));
        wait_until("the network is busy", || (committed(sandbox) > 100_000).then_some(()));
        load
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn committed(sandbox: &Sandbox) -> u64 {
    leader(sandbox).committed.map_or(0, |txid| txid.seqno.0)
}

/// Each by a process of its own, which connects, proves its identity, asks for what it must know, signs and submits.
#[test]
fn half_of_proposals_and_votes_are_answered_within_a_second_while_applications_saturate_the_network() {
    let sandbox = Sandbox::start();
    let mut load = Load::start(&sandbox);
    let before = committed(&sandbox);
    let member = sandbox.dir.join("members/member-1").display().to_string();
    let govern = |arguments: &[&str]| {
        let begun = Instant::now();
        let answer = sandbox.synod(&[arguments, &["--identity", &member, "--json"]].concat());
        (begun.elapsed(), answer.succeeded().json())
    };
    let (mut proposals, mut votes) = (Vec::new(), Vec::new());
    for number in 1..=COUNT {
        let file = sandbox.dir.join(format!("proposal-{number}.toml"));
        let text = format!("note = \"{number}\"\n[[action]]\naction = \"set_lease\"\nseconds = {}\n", 60 + number);
        fs::write(&file, text).expect("a file can be written");
        let (took, answer) = govern(&["proposal", "submit", &file.display().to_string()]);
        assert_eq!(answer["proposal"], number);
        proposals.push(took);
        let (took, answer) = govern(&["ballot", "submit", &number.to_string(), "accept"]);
        assert_eq!(answer["status"], "Open", "one of three members is not enough");
        votes.push(took);
    }
    assert!(load.0.try_wait().expect("its state can be asked for").is_none(), "the load went on to the end");
    assert!(committed(&sandbox) > before + 1_000, "and so did the network");
    for (what, mut times) in [("proposals", proposals), ("votes", votes)] {
        times.sort();
        let half = times[times.len() / 2];
        println!("{what}: from {:?} to {:?}, half of them within {half:?}", times[0], times[times.len() - 1]);
        // Half of them: this machine may have other things to do besides.
        assert!(half < Duration::from_secs(1), "{what}: {times:?}");
    }
}

const COUNT: u64 = 12;

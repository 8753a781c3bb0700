//! Changes of the nodes that are interrupted wherever a disk holds something new.

use std::time::Duration;

use bytes::Bytes;
use synod_governance::Action;
use synod_node::{Role, StartError, StopReason};
use synod_types::{NodeId, View};

use crate::harness::Cluster;
use crate::membership::{check, newcomer, other_key, other_seed, others, removal, run_until_removed, voters};
use crate::organisation::{founder_of, propose};

/// What members decide, of three nodes.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Add,
    Remove(Who),
    /// Another node for one that leaves.
    Exchange(Who),
    /// Another key for one that stays.
    Rekey(Who),
}

#[derive(Clone, Copy, Debug)]
enum Who {
    Leader,
    Follower,
}

const KINDS: [Kind; 7] = [
    Kind::Add,
    Kind::Remove(Who::Follower),
    Kind::Remove(Who::Leader),
    Kind::Exchange(Who::Follower),
    Kind::Exchange(Who::Leader),
    Kind::Rekey(Who::Follower),
    Kind::Rekey(Who::Leader),
];

/// A decision that is on its way.
struct Change {
    cluster: Cluster,
    ballot: Bytes,
    /// Who leaves.
    gone: Option<NodeId>,
    /// Who gets another key, and whether its machine has it.
    rekeyed: Option<(NodeId, bool)>,
    /// Who is listed in the end.
    listed: Vec<u64>,
}

impl Change {
    /// The same each time: the ballot that decides has just reached the leader.
    fn begin(kind: Kind) -> Self {
        let mut cluster = Cluster::new(3);
        let leader = cluster.run_until_leader();
        let follower = others(&cluster, &[leader])[0];
        let of = |who| match who {
            Who::Leader => leader,
            Who::Follower => follower,
        };
        let (mut actions, mut gone, mut rekeyed) = (Vec::new(), None, None);
        match kind {
            Kind::Add => {}
            Kind::Remove(who) | Kind::Exchange(who) => gone = Some(of(who)),
            Kind::Rekey(who) => rekeyed = Some((of(who), false)),
        }
        actions.extend(gone.map(removal));
        if matches!(kind, Kind::Add | Kind::Exchange(_)) {
            actions.push(newcomer(&mut cluster, 4));
            cluster.start(NodeId(4));
        }
        if let Some((node, _)) = rekeyed {
            actions.push(other_key(&mut cluster, node));
            cluster.replace_credential(node, node.0 as u8);
        }
        let slots = if actions.iter().any(|action| matches!(action, Action::AddNode(_))) { 1..=4 } else { 1..=3 };
        let listed = slots.filter(|slot| Some(NodeId(*slot)) != gone).collect();
        propose(&mut cluster, leader, 50, actions);
        let ballot = founder_of(&cluster).accept_last(&cluster, leader);
        cluster.submit_governance(leader, 1_000, 51, ballot.clone());
        Self { cluster, ballot, gone, rekeyed, listed }
    }

    /// After how many steps some disk holds something new, to the end of the change.
    fn moments(kind: Kind) -> Vec<usize> {
        let mut change = Self::begin(kind);
        let until = change.cluster.now().after(Duration::from_secs(2));
        let (mut moments, mut seen) = (vec![0], change.cluster.disks());
        for step in 1.. {
            change.cluster.step();
            let disks = change.cluster.disks();
            if disks != seen {
                moments.push(step);
                seen = disks;
            }
            if change.cluster.now() > until {
                break;
            }
        }
        moments
    }

    /// Starts a machine under the key that its node has by its log, as its operator does.
    fn start(&mut self, node: NodeId) {
        let started = self.cluster.try_start(node);
        if started == Err(StartError::Credential { node }) {
            self.turn_key(node);
            self.cluster.start(node);
        } else {
            started.unwrap();
        }
    }

    fn turn_key(&mut self, node: NodeId) {
        let (_, has_new) = self.rekeyed.as_mut().filter(|(rekeyed, _)| *rekeyed == node).expect("it has one key");
        *has_new = !*has_new;
        self.cluster.replace_credential(node, if *has_new { other_seed(node) } else { node.0 as u8 });
    }

    /// Starts whom the others' decision has stopped.
    fn tend(&mut self) {
        let Some((node, _)) = self.rekeyed else { return };
        let is_down = self.cluster.nodes().all(|running| running != node);
        if is_down && self.cluster.stop_reason(node) == Some(StopReason::CredentialReplaced { node }) {
            self.turn_key(node);
            self.start(node);
        }
    }

    fn run_for(&mut self, time: Duration) {
        for _ in 0..time.as_millis() / 100 {
            self.cluster.run_for(Duration::from_millis(100));
            self.tend();
        }
    }

    /// The decision is made, once, and consensus follows.
    fn finish(mut self, words: &str) {
        self.ask_again(words);
        self.run_for(Duration::from_secs(3));
        let listed: Vec<_> = self.listed.iter().copied().map(NodeId).collect();
        self.cluster.run_until_one_leads(&listed, View(0));
        assert_eq!(check(&mut self.cluster, &self.listed, 1), voters(&self.listed), "{words}");
        if let Some(gone) = self.gone {
            run_until_removed(&mut self.cluster, gone);
        }
        self.cluster.restart_all();
        check(&mut self.cluster, &self.listed, 2);
    }

    fn ask_again(&mut self, words: &str) {
        let founder = founder_of(&self.cluster).id();
        for _ in 0..100 {
            let leads = |node: &NodeId| self.cluster.status(*node).role == Role::Leader;
            if let Some(leader) = self.cluster.nodes().find(leads) {
                let answer = self.cluster.govern(leader, founder, 51, self.ballot.clone());
                let is_accepted = |body: &[u8]| String::from_utf8_lossy(body).contains("Accepted");
                // Whoever leads hands over, stops or has not heard enough of the others.
                if answer.is_ok_and(|answer| is_accepted(&answer.replies[0].body)) {
                    return;
                }
            }
            self.run_for(Duration::from_millis(200));
        }
        panic!("{words}: nothing is decided");
    }
}

#[test]
fn every_node_may_be_restarted_at_any_entry_of_a_change_and_all_at_once_after_it() {
    let mut count = 0;
    for kind in KINDS {
        for (number, steps) in Change::moments(kind).into_iter().enumerate() {
            for all in [true, false] {
                let mut change = Change::begin(kind);
                (0..steps).for_each(|_| change.cluster.step());
                let running: Vec<_> = change.cluster.nodes().collect();
                let restarted = if all { running } else { vec![running[number % running.len()]] };
                restarted.iter().for_each(|node| change.cluster.stop(*node));
                restarted.iter().for_each(|node| change.start(*node));
                change.finish(&format!("{kind:?}, {restarted:?} after {steps} steps"));
                count += 1;
            }
        }
    }
    assert!(count > 100, "{count} restarts");
}

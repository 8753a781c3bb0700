//! The end of a run: faults stop, and then the cluster must go on, agree, and have kept its word.

use std::time::Duration;

use synod_governance::Tables;
use synod_node::Role;
use synod_types::{Configuration, NodeId, Time};

use crate::check::audit::Audit;
use crate::check::{Checked, membership, violated};
use crate::governor::READABLE;
use crate::report::Probes;
use crate::site::{Fate, Site};
use crate::world::World;

/// How long the cluster may take to serve everyone once nothing is wrong any more, in microseconds: an
/// election or two, a request that waits for [`synod_node::PATIENCE`] at a node that lost it, and slow links.
pub const RECOVERY_MAX: u64 = 20_000_000;

impl World {
    /// Ends all faults, and has each client write once at each node; returns how long that took.
    ///
    /// # Errors
    /// If it takes too long, or another claim does not hold.
    pub fn recover(&mut self) -> Checked<u64> {
        self.heal()?;
        self.governor.retire();
        let nodes = self.taking_part();
        for client in 1..self.clients.len() {
            self.send_on_errands(client, &nodes);
        }
        let began = self.now;
        self.settle()?;
        let recovery = self.now.since(began);
        if self.swarm.newcomers > 0 {
            // What takes part changes between transactions; it counts as committed when one is that follows it.
            let nodes = self.taking_part();
            self.send_on_errands(1, &nodes[..1]);
            self.settle()?;
        }
        Ok(recovery)
    }

    fn settle(&mut self) -> Checked {
        if self.run_while_not(RECOVERY_MAX, Self::is_settled)? {
            return Ok(());
        }
        violated("a cluster without faults serves everyone", self.state_of_affairs())
    }

    /// Goes on for longer than anyone may wait, and checks that nobody still does.
    ///
    /// # Errors
    /// If a node has left someone without any answer, or another claim does not hold.
    pub fn outlast_patience(&mut self) -> Checked {
        // A removed node that does not know is left by its own clock alone, which may be slow.
        let patience = synod_node::PATIENCE * if self.swarm.newcomers > 0 { 2 } else { 1 };
        let until = self.now.after(patience).plus(1_000_000);
        self.run_until(until)?;
        for (node, site) in &self.sites {
            let sessions = site.process.as_ref().map(|process| &process.sessions);
            if let Some(session) = sessions.and_then(|sessions| sessions.values().next()) {
                return violated("everyone gets an answer", format!("node {node} has left {session:?} without one"));
            }
        }
        Ok(())
    }

    /// From now on nothing goes wrong, and whoever is down comes up.
    ///
    /// # Errors
    /// The first claim that does not hold.
    pub fn heal(&mut self) -> Checked {
        self.trace.note(self.now, NodeId(0), "all faults end", &[]);
        self.healed_at = Some(self.now);
        self.swarm.crash_between_actions_ppm = 0;
        self.swarm.crash_at_disk_step = None;
        self.swarm.falsified_ppm = 0;
        self.network.heal();
        let nodes = self.slots.clone();
        let pairs: Vec<_> =
            nodes.iter().flat_map(|a| nodes.iter().map(move |b| (*a, *b))).filter(|(a, b)| a != b).collect();
        self.unblock(&pairs);
        for (a, b) in self.network.pairs() {
            self.plan_dial(a, b);
        }
        for node in nodes {
            let now = self.now;
            let site = self.site(node);
            site.disk.heal();
            if site.paused_until > now {
                site.paused_until = now;
                self.plan_wake(node, now.plus(1));
            }
            let site = self.site(node);
            if matches!(site.fate, Fate::ToBeRolledBack { .. }) {
                site.fate = Fate::Honest;
            }
            if site.process.is_none() && site.takes_part() && site.incarnation > 0 {
                self.plan_start(1_000, node);
            }
        }
        self.start_the_listed();
        self.end_deafness()?;
        self.set_clocks_right()
    }

    /// Whoever has refused a block does not heed the leader that sent it for the rest of the view. Falsified blocks make
    /// that happen to a leader who does no wrong, so it is asked to hand over.
    fn end_deafness(&mut self) -> Checked {
        match self.leader().filter(|_| self.probes.falsified > 0) {
            Some(leader) => self.shut_down(leader),
            None => Ok(()),
        }
    }

    /// Whose clock is so far behind another's, or behind a block, that it would refuse what is ordered has it set
    /// forward. Without that a network whose blocks come from a clock that was wrong waits until the right ones have
    /// caught up.
    fn set_clocks_right(&mut self) -> Checked {
        let now = self.now;
        let fastest = self.sites.values().map(|site| site.clock.shows(now)).fold(self.latest_block, Time::max);
        for node in self.slots.clone() {
            let behind = fastest.since(self.sites[&node].clock.shows(now));
            if behind > CLOCKS_APART_MAX {
                self.set_clock_forward(node, behind.as_micros() as u64)?;
            }
        }
        Ok(())
    }

    /// The nodes that are listed and were not refused.
    fn taking_part(&self) -> Vec<NodeId> {
        let listed = self.truth.listed();
        let takes_part = |site: &&Site| site.takes_part() && listed.contains(&site.id);
        self.sites.values().filter(takes_part).map(|site| site.id).collect()
    }

    /// Whether consensus has followed the node list, and who was removed knows, if any of those whom it believes is there.
    pub(crate) fn is_followed(&self) -> bool {
        let listed = self.truth.listed();
        let role = |site: &Site| site.process.as_ref().map(|process| process.node.status().role);
        let believes_somebody = |site: &Site| {
            let tables = site.process.as_ref().map(|process| process.node.government().committed());
            let known = tables.map(|tables| Tables::new(tables).nodes().expect(READABLE));
            known.is_some_and(|known| known.keys().any(|node| listed.contains(node)))
        };
        self.governor.is_done()
            && self.sites.values().filter(|site| site.takes_part()).all(|site| {
                let role = role(site);
                if listed.contains(&site.id) {
                    return role.is_some_and(|role| !matches!(role, Role::Joining | Role::Removed));
                }
                let never_was = site.id > self.truth.last_listed();
                role.is_none_or(|role| role == Role::Removed || never_was || !believes_somebody(site))
            })
    }

    /// Whether every client was served, and all nodes have committed the same.
    pub fn is_settled(&self) -> bool {
        let committed = self.truth.last();
        let agrees = |site: &crate::site::Site| {
            site.process.as_ref().is_some_and(|process| {
                let status = process.node.status();
                status.committed == committed
                    && status.last == committed
                    && process.queue.is_empty()
                    && status.role != Role::Resuming
            })
        };
        let taking_part = self.taking_part();
        self.clients.iter().all(crate::client::Client::is_done)
            && taking_part.iter().all(|node| agrees(&self.sites[node]))
            && self.is_followed()
    }

    fn state_of_affairs(&self) -> String {
        let of = |site: &crate::site::Site| match &site.process {
            Some(process) => {
                let status = process.node.status();
                let role = status.role.name();
                format!(
                    "node {} {role} in view {} last {} committed {}",
                    site.id, status.view, status.last, status.committed
                )
            }
            None => format!("node {} is down", site.id),
        };
        let waiting = self.clients.iter().filter(|client| !client.is_done()).count();
        let sites: Vec<_> = self.sites.values().map(of).collect();
        let listed: Vec<_> = self.truth.listed().iter().map(|node| node.0).collect();
        let decides = if self.governor.is_done() { "" } else { "members wait; " };
        format!("{decides}{waiting} clients wait; {listed:?} are listed; {}", sites.join("; "))
    }

    /// Compares all that was promised with all that is on disk. `seed` chooses whose files the offline verifier reads;
    /// the other nodes' records are compared with those, byte for byte.
    ///
    /// # Errors
    /// The first claim that does not hold.
    pub fn audit(&self, seed: u64) -> Checked {
        let Self { consortium, truth, history, governor, .. } = self;
        let audit = Audit { consortium, truth, history, governor };
        let (listed, configuration) = membership::check(truth.committed())?;
        if listed != truth.listed() || configuration != Configuration::of(listed.iter().copied()) {
            let seen = format!("{listed:?} are listed, and {configuration:?} take part");
            return violated("consensus follows the node list", seen);
        }
        let nodes = self.taking_part();
        for node in &nodes {
            audit.disk(*node, &self.sites[node].disk)?;
        }
        let all = seed.is_multiple_of(ALL_VERIFIED_EVERY);
        let chosen = nodes[(seed % nodes.len() as u64) as usize];
        for node in &nodes {
            if all || *node == chosen {
                let verified = audit.verify(*node, &self.sites[node].disk)?;
                if *node == chosen {
                    audit.replay(&verified)?;
                }
            }
        }
        Ok(())
    }

    /// The probes, with those that are counted at the end.
    pub fn final_probes(&self) -> Probes {
        let again = self.history.asked().iter().filter(|asked| asked.times > 1 && asked.answer.is_some()).count();
        Probes {
            views: self.truth.views_led() as u64,
            committed: self.truth.committed().len() as u64,
            committed_by_successors: self.truth.committed_by_successors(),
            answered_again: again as u64,
            changes: self.truth.changes() as u64,
            rotations: self.truth.rotations().count() as u64,
            removed: self.sites.values().filter(|site| is_removed(site)).count() as u64,
            ..self.probes
        }
    }
}

fn is_removed(site: &Site) -> bool {
    site.process.as_ref().is_some_and(|process| process.node.status().role == Role::Removed)
}

/// Half of what a follower takes: drifting clocks go on to part.
const CLOCKS_APART_MAX: Duration = Duration::from_secs(synod_node::BLOCK_TIME_AHEAD_MAX.as_secs() / 2);

/// Verifying takes two signature checks for each block; the same records on another disk give the same result,
/// so in most runs one node's files are enough.
const ALL_VERIFIED_EVERY: u64 = 8;

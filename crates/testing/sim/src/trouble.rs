//! What goes wrong, carried out.

use synod_node::{Event, Role};
use synod_types::{NodeId, View};

use crate::check::Checked;
use crate::clock::Instant;
use crate::disk::Ending;
use crate::site::{Fate, Session};
use crate::swarm::{Direction, Trouble, Who};
use crate::world::{Happening, Local, World};

impl World {
    /// Something goes wrong.
    pub(crate) fn trouble(&mut self, trouble: Trouble) -> Checked {
        if self.healed_at.is_some() || self.is_rolling_back() {
            return Ok(());
        }
        self.trace.remark(self.now, NodeId(0), || format!("{trouble:?}"));
        match trouble {
            Trouble::Crash { who, lasts } => {
                for node in self.hit(who) {
                    let down = self.chance.between(1_000, lasts.max(1_000));
                    self.crash_for(node, down);
                }
            }
            Trouble::Pause { who, lasts } => {
                for node in self.hit(who) {
                    self.pause(node, lasts);
                }
            }
            Trouble::Partition { who, direction, lasts } => self.partition(who, direction, lasts),
            Trouble::Cut { who } => {
                for node in self.hit(who) {
                    self.cut_all(node);
                }
            }
            Trouble::Shutdown { who } => {
                for node in self.hit(who) {
                    self.shut_down(node)?;
                }
            }
            Trouble::ClockStep { who, by } => {
                for node in self.hit(who) {
                    self.set_clock_forward(node, by)?;
                }
            }
            Trouble::RollBack { who } => self.begin_roll_back(who),
            Trouble::Forge { who } => {
                let chosen = self.hit(who).into_iter().find(|node| self.may_be_rolled_back(*node));
                chosen.into_iter().for_each(|node| self.forge(node));
            }
        }
        Ok(())
    }

    /// Those whom a trouble hits, of the nodes that run.
    fn hit(&mut self, who: Who) -> Vec<NodeId> {
        let mut running = self.running();
        self.chance.shuffle(&mut running);
        match who {
            Who::Leader => self.leader().or(running.first().copied()).into_iter().collect(),
            Who::Anyone => running.into_iter().take(1).collect(),
            Who::Two => running.into_iter().take(2).collect(),
            Who::Everyone => running,
        }
    }

    /// The process on a machine ends at once; the machine stays off.
    pub fn crash(&mut self, node: NodeId, how: &'static str) {
        if self.sites[&node].process.is_none() {
            return;
        }
        self.trace.note(self.now, node, how, &[]);
        let after = if self.healed_at.is_none() { self.chance.between(1_000, 1_500_000) } else { 10_000 };
        self.crash_until(after, node);
    }

    /// The process on a machine ends at once, and starts again after a while.
    pub fn crash_for(&mut self, node: NodeId, micros: u64) {
        if self.sites[&node].process.is_none() {
            return;
        }
        self.trace.note(self.now, node, "crashes", &[("for", micros)]);
        self.crash_until(micros, node);
    }

    /// A node's process dies or its machine loses power; the latter often comes soon after the former.
    fn crash_until(&mut self, micros: u64, node: NodeId) {
        self.probes.crashes += 1;
        if self.chance.chance(self.swarm.power_fails_ppm) {
            self.switch_off(node, Ending::Power);
        } else {
            self.probes.deaths_of_processes += 1;
            let mid_write = self.chance.chance(250_000);
            self.switch_off(node, if mid_write { Ending::ProcessMidWrite } else { Ending::Process });
            if self.chance.chance(POWER_FAILS_AFTER_PPM) {
                let after = self.chance.between(0, POWER_FAILS_WITHIN);
                self.queue.push(self.now.plus(micros + after), Happening::PowerFails(node));
            }
        }
        self.plan_start(micros, node);
    }

    /// A machine loses power soon after its process had died, whether that runs again or not.
    pub(crate) fn lose_power(&mut self, node: NodeId) {
        if self.healed_at.is_some() || !matches!(self.sites[&node].fate, Fate::Honest) || self.is_rolling_back() {
            return;
        }
        self.trace.note(self.now, node, "loses power", &[]);
        self.probes.losses_of_power_after += 1;
        self.switch_off(node, Ending::Power);
        self.plan_start(1_000, node);
    }

    /// Ends the process and breaks its connections.
    pub(crate) fn switch_off(&mut self, node: NodeId, ending: Ending) {
        let sessions = self.site(node).end(ending);
        for session in sessions {
            match session {
                Session::Write { client, request } => self.break_connection(client, request),
                Session::Govern { .. } => self.break_from_members(),
                _ => {}
            }
        }
        for peer in self.slots.clone() {
            if peer != node && self.network.cut(node, peer) {
                self.plan_peer_gone(peer, node);
            }
        }
    }

    /// A node learns, sooner or later, that its channel to `peer` is gone.
    fn plan_peer_gone(&mut self, node: NodeId, peer: NodeId) {
        let after = if self.chance.chance(800_000) { self.chance.below(1_000) } else { self.chance.below(2_000_000) };
        self.plan(after, node, Local::PeerGone(peer));
    }

    /// A machine stands still for a while.
    pub fn pause(&mut self, node: NodeId, micros: u64) {
        self.trace.note(self.now, node, "stands still", &[("for", micros)]);
        self.probes.pauses += 1;
        let until = self.now.plus(micros);
        self.site(node).paused_until = until;
    }

    /// A node's clock jumps ahead.
    ///
    /// # Errors
    /// The first claim that does not hold.
    pub fn set_clock_forward(&mut self, node: NodeId, micros: u64) -> Checked {
        self.trace.note(self.now, node, "has its clock set forward", &[("by", micros)]);
        self.site(node).clock.ahead += i64::try_from(micros).expect("clocks differ by minutes");
        self.event(node, Event::Timeout)
    }

    /// Asks a node to stop in good order.
    ///
    /// # Errors
    /// The first claim that does not hold.
    pub fn shut_down(&mut self, node: NodeId) -> Checked {
        let leads = self.process(node).is_some_and(|process| process.node.status().role == Role::Leader);
        self.trace.note(self.now, node, "is asked to stop", &[("leads", u64::from(leads))]);
        self.probes.hand_overs += u64::from(leads);
        self.event(node, Event::Shutdown)
    }

    fn partition(&mut self, who: Who, direction: Direction, lasts: u64) {
        let inside = self.hit(who);
        let outside: Vec<_> = self.slots.iter().copied().filter(|node| !inside.contains(node)).collect();
        let mut pairs = Vec::new();
        for a in &inside {
            for b in &outside {
                if direction != Direction::Inbound {
                    pairs.push((*a, *b));
                }
                if direction != Direction::Outbound {
                    pairs.push((*b, *a));
                }
            }
        }
        self.block(&pairs);
        self.queue.push(self.now.plus(lasts), Happening::Unblock(pairs));
    }

    /// Blocks links, each from its first to its second node.
    pub fn block(&mut self, pairs: &[(NodeId, NodeId)]) {
        self.probes.partitions += 1;
        for (from, to) in pairs {
            self.trace.note(self.now, *from, "no longer reaches", &[("node", to.0)]);
            self.network.block(*from, *to, true);
        }
    }

    /// Opens links again; what they held goes on.
    pub fn unblock(&mut self, pairs: &[(NodeId, NodeId)]) {
        for (from, to) in pairs {
            self.trace.note(self.now, *from, "reaches again", &[("node", to.0)]);
            for parcel in self.network.block(*from, *to, false) {
                self.queue.push(self.now, Happening::Arrival(parcel));
            }
        }
    }

    fn cut_all(&mut self, node: NodeId) {
        for peer in self.slots.clone() {
            if peer != node && self.network.cut(node, peer) {
                self.probes.cuts += 1;
                self.trace.note(self.now, node, "loses its channel", &[("to", peer.0)]);
                self.plan_peer_gone(node, peer);
                self.plan_peer_gone(peer, node);
                self.plan_dial(node, peer);
            }
        }
    }

    /// Takes an image of a node's disk, to put it back later.
    fn begin_roll_back(&mut self, who: Who) {
        let node = self.hit(who).into_iter().find(|node| self.may_be_rolled_back(*node));
        let (Some(node), true) = (node, self.is_all_well()) else {
            return self.queue.push(self.now.plus(ROLL_BACK_PAUSE), Happening::Trouble(Trouble::RollBack { who }));
        };
        let image = self.site(node).disk.image();
        let witnesses = self.witnesses(node);
        self.site(node).fate = Fate::ToBeRolledBack { image, witnesses, went_on_at: None };
        let after = self.chance.between(50_000, 800_000);
        self.queue.push(self.now.plus(after), Happening::RollBack(node));
    }

    /// A node is told that its disk has synced, and counts on that.
    pub(crate) fn note_sync(&mut self, node: NodeId) {
        let now = self.now;
        let site = self.site(node);
        if let Fate::ToBeRolledBack { image, went_on_at: at @ None, .. } = &mut site.fate
            && site.disk.went_on_since(image)
        {
            *at = Some(now);
        }
    }

    /// Puts the disk back to the image while its node is down, once a peer has heard how far the node had gone on.
    pub(crate) fn roll_back(&mut self, node: NodeId) {
        let Fate::ToBeRolledBack { witnesses, went_on_at, .. } = &self.sites[&node].fate else { return };
        let are_there = *witnesses == self.witnesses(node) && self.healed_at.is_none();
        let is_seen =
            self.is_all_well() && went_on_at.is_some_and(|at| self.was_heard_since(at.plus(TOLD_WITHIN), node));
        if are_there && !is_seen {
            return self.queue.push(self.now.plus(ROLL_BACK_PAUSE), Happening::RollBack(node));
        }
        let goes_on = are_there && self.may_be_rolled_back(node);
        let fate = std::mem::replace(&mut self.site(node).fate, Fate::Honest);
        if let Fate::ToBeRolledBack { image, .. } = fate
            && goes_on
        {
            self.probes.leaders_rolled_back += u64::from(self.leader() == Some(node));
            self.roll_back_to(node, image);
        }
    }

    /// Who could see how far a node is: the processes of its peers.
    fn witnesses(&self, node: NodeId) -> Vec<(NodeId, u64)> {
        let peers = self.sites.iter().filter(|(id, site)| **id != node && site.process.is_some());
        peers.map(|(id, site)| (*id, site.incarnation)).collect()
    }

    /// Whether some peer has a message that the node sent after `at`, and so all that it sent it before.
    fn was_heard_since(&self, at: Instant, node: NodeId) -> bool {
        let processes = self.sites.values().filter_map(|site| site.process.as_ref());
        processes.filter_map(|process| process.heard.get(&node)).any(|heard| *heard > at)
    }

    /// Whether all nodes run, and all can hear each other.
    fn is_all_well(&self) -> bool {
        self.network.keeps_order()
            && self.running().len() == self.consortium.nodes.len()
            && self.network.pairs().iter().all(|(a, b)| self.network.is_clear(*a, *b))
            && self.sites.values().all(|site| site.paused_until <= self.now)
    }

    /// Whether a disk was rolled back and its node not refused yet: other troubles wait until it is, because
    /// nobody can refuse what nobody is there to see.
    pub(crate) fn is_rolling_back(&self) -> bool {
        self.sites.values().any(|site| matches!(site.fate, Fate::RolledBack))
    }

    /// Crashes a node, puts its disk back, and starts it again.
    pub(crate) fn roll_back_to(&mut self, node: NodeId, image: crate::medium::Image) {
        self.trace.note(self.now, node, "is rolled back", &[]);
        self.probes.roll_backs += 1;
        self.switch_off(node, Ending::Process);
        let site = self.site(node);
        site.disk.put_back(image);
        site.fate = Fate::RolledBack;
        self.plan_start(50_000, node);
    }

    /// Crashes a node and adds an engine entry of a later view to its log: with it the node would win any election.
    pub fn forge(&mut self, node: NodeId) {
        self.trace.note(self.now, node, "has a host that forges", &[]);
        let view = self.sites[&node].process.as_ref().map_or(View(0), |process| process.node.status().view);
        self.switch_off(node, Ending::Power);
        let site = self.site(node);
        site.disk.forge_engine_entry(View(view.0 + FORGED_VIEWS_AHEAD));
        site.fate = Fate::Forged;
        self.plan_start(50_000, node);
    }

    /// Only one disk is ever rolled back, and never so that the rest could not go on.
    fn may_be_rolled_back(&self, node: NodeId) -> bool {
        let honest = |id: &NodeId| matches!(self.sites[id].fate, Fate::Honest);
        let others_honest = self.consortium.nodes.iter().filter(|id| **id != node).all(honest);
        others_honest && self.consortium.nodes.len() > 2
    }
}

/// Within so long of a sync a node has told all peers of it, however its clock runs.
const TOLD_WITHIN: u64 = 200_000;

/// How long a roll-back waits for a moment at which somebody would see it.
const ROLL_BACK_PAUSE: u64 = 100_000;

/// How often a machine loses power soon after its process died, in a million times.
const POWER_FAILS_AFTER_PPM: u32 = 300_000;

/// How soon after the process was started again: before its first sync, often.
const POWER_FAILS_WITHIN: u64 = 300_000;

/// More than a view that the node may have entered meanwhile: an entry that it filed itself is no forgery.
const FORGED_VIEWS_AHEAD: u64 = 100;

//! Who takes part: consensus follows the node list that members decide.
//!
//! A governance block changes the node list from the next block on; consensus follows it, one node at a time: see
//! [`crate::steps`]. Where it stands is in the log, so whoever leads next goes on from where it finds things.
//!
//! As long as somebody takes part who is not listed, nothing but the beginning of a view is sealed: such a node may
//! be elected once more, and its successor must be able to build on the view that it opened. So whoever can be
//! elected after a transaction may sign what follows it. See [`synod_ledger::Signers`].
//!
//! A node that learns that it was left out, from its log or from a peer, leaves for good: slots are not used again. It serves
//! nobody and stands for no election, but still answers those who ask for its vote or its word: whoever asks has not
//! heard that it was left out, and may depend on it until then.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use synod_consensus::PeerProgress;
use synod_types::boundary::{Append, LogRecord};
use synod_types::{ConfigurationChange, Decode, LogIndex, NodeId, Time};

use crate::chain::Position;
use crate::clients::HANDOVER_PATIENCE;
use crate::event::{Action, Refusal, Serving, StopReason};
use crate::node::{Engine, Node};
use crate::peer::PeerMessage;
use crate::resume::Circle;
use crate::steps::{Presence, Scene, Step};

/// For how long a node counts as there that was heard: the engine forgets all at once whom it heard, once in an
/// election timeout. Longer than a leader is heard between its heartbeats, and shorter than an operator takes.
const HEARD_WITHIN: Duration = Duration::from_secs(1);

impl Node {
    /// Whether everyone who takes part at the end of the log is listed there, and this node under its own key.
    pub(crate) fn may_seal_transactions(&self) -> bool {
        let Engine::Running(consensus) = &self.engine else { return false };
        let keys = self.chain.last().tip.signers.keys();
        keys.node(self.id) == Some(self.seals.own_key())
            && consensus.participants().all(|node| keys.nodes.contains_key(&node))
    }

    /// As leader, has consensus follow the node list by at most one step; all nodes look whether they have left.
    pub(crate) fn follow_node_list(&mut self, now: Time) {
        self.leave_if_removed();
        self.stop_if_replaced(now);
        match self.next_step(now) {
            Some(Step::Change(change)) => {
                let Engine::Running(consensus) = &mut self.engine else { unreachable!("a leader's engine runs") };
                // If it cannot be now, the next event asks again.
                let _ = consensus.change_configuration(change);
                self.work_off_effects(now);
            }
            Some(Step::HandOver) => {
                self.hand_over();
                self.work_off_effects(now);
            }
            None => {}
        }
    }

    fn next_step(&self, now: Time) -> Option<Step> {
        let Engine::Running(consensus) = &self.engine else { return None };
        if consensus.role() != synod_consensus::Role::Leader
            || consensus.is_changing_configuration()
            || consensus.transferring_to().is_some()
        {
            return None;
        }
        if self.leadership.is_none() {
            // It was elected and may not open its view.
            return Some(Step::HandOver);
        }
        let (last, committed) = (&self.chain.last().tip.signers, &self.chain.committed().tip.signers);
        // A decision that is not committed may still be taken back.
        if !Arc::ptr_eq(last, committed) && last.keys().nodes != committed.keys().nodes {
            return None;
        }
        let (keys, configuration) = (last.keys(), consensus.configuration());
        let may_lead = keys.node(self.id) == Some(self.seals.own_key());
        // After each event, so nothing is made unless there is something to do.
        if may_lead && configuration.learners.is_empty() && configuration.voters.iter().eq(keys.nodes.keys()) {
            return None;
        }
        let listed: BTreeSet<_> = keys.nodes.keys().copied().collect();
        let scene = Scene {
            own: self.id,
            may_lead,
            listed: &listed,
            configuration,
            committed: consensus.committed(),
            peers: self.presences(now),
        };
        scene.next_step()
    }

    /// What a leader knows of the others that take part.
    pub(crate) fn presences(&self, now: Time) -> BTreeMap<NodeId, Presence> {
        let Engine::Running(consensus) = &self.engine else { return BTreeMap::new() };
        let of = |peer: PeerProgress| {
            let is_there =
                peer.recently_active || self.heard.get(&peer.node).is_some_and(|at| now.since(*at) < HEARD_WITHIN);
            (peer.node, Presence { is_there, matched: peer.matched })
        };
        consensus.peers().into_iter().map(of).collect()
    }

    /// Hands leadership to the listed voter that is furthest; whether there was any to hand over, and anyone to take it.
    pub(crate) fn hand_over(&mut self) -> bool {
        let listed = &self.chain.last().tip.signers.keys().nodes;
        let Engine::Running(consensus) = &mut self.engine else { return false };
        let voters = &consensus.configuration().voters;
        let may_lead = |peer: &PeerProgress| voters.contains(&peer.node) && listed.contains_key(&peer.node);
        let furthest = consensus.peers().into_iter().filter(may_lead).max_by_key(presence);
        furthest.is_some_and(|peer| consensus.transfer_leadership(peer.node).is_ok())
    }

    /// The other nodes that this one has to do with.
    pub(crate) fn peers(&self) -> Vec<NodeId> {
        match &self.engine {
            Engine::Idle => Vec::new(),
            Engine::Resuming { resuming, .. } => resuming.peers().collect(),
            Engine::Running(_) => self.circle().nodes().filter(|node| *node != self.id).collect(),
        }
    }

    /// All nodes that this one knows of.
    pub(crate) fn circle(&self) -> Circle {
        match &self.engine {
            Engine::Idle => Circle::default(),
            Engine::Resuming { resuming, .. } => resuming.circle().clone(),
            Engine::Running(consensus) => {
                let listed = self.chain.last().tip.signers.keys().nodes.keys().copied();
                Circle {
                    known_at: self.chain.committed().record.index,
                    voters: consensus.configuration().voters.clone(),
                    others: consensus.participants().chain(listed).collect(),
                }
            }
        }
    }

    /// Tells who has a part, if that has changed.
    pub(crate) fn tell_circle(&mut self) {
        let (told, listed) = (&self.circle_told, &self.chain.last().tip.signers.keys().nodes);
        let nodes: BTreeSet<_> = match &self.engine {
            Engine::Idle => return,
            // Until it is confirmed what the disk holds, whoever may have a part has one.
            Engine::Resuming { resuming, .. } => resuming.circle().nodes().chain(listed.keys().copied()).collect(),
            Engine::Running(consensus) => {
                let has_part = |node| listed.contains_key(&node) || consensus.participants().any(|other| other == node);
                let is_told = |node| told.contains(&node);
                // After each event, so nothing is made unless it differs.
                if consensus.participants().chain(listed.keys().copied()).all(is_told)
                    && told.iter().copied().all(has_part)
                {
                    return;
                }
                consensus.participants().chain(listed.keys().copied()).collect()
            }
        };
        if nodes != self.circle_told {
            self.circle_told.clone_from(&nodes);
            self.actions.push_back(Action::Circle(nodes));
        }
    }

    /// Whether `peer` has a slot that is listed and speaks under a key that no list gave to it, as far as this node knows.
    /// One that was its key before speaks for it until its channel ends: so it hears that it is not any more.
    pub(crate) fn has_other_key(&self, peer: NodeId) -> bool {
        let Some(proved) = self.proved.get(&peer) else { return false };
        let last = self.chain.last().tip.signers.keys().node(peer);
        self.is_listed(peer) && !self.seals.had_key(peer, *proved) && last.is_none_or(|key| key.digest() != *proved)
    }

    /// Whether the node list has this node's slot under another key than its own.
    fn is_listed_otherwise(&self, position: &Position) -> bool {
        position.tip.signers.keys().node(self.id).is_some_and(|key| key != self.seals.own_key())
    }

    /// Whether this node serves clients.
    pub fn serving(&self) -> Serving {
        let voters = match &self.engine {
            _ if self.removed => return Serving::NoMore,
            Engine::Idle => return Serving::NotYet,
            Engine::Resuming { resuming, .. } => &resuming.circle().voters,
            Engine::Running(consensus) => &consensus.configuration().voters,
        };
        // Consensus makes a voter only of who is listed and has caught up. One that members removed serves until it is
        // left out; one whose key is not in the list has been away for longer than that.
        let is_known = !self.is_listed_otherwise(self.chain.committed());
        if is_known && voters.contains(&self.id) { Serving::Now } else { Serving::NotYet }
    }

    /// Tells how clients are to be served, if that has changed.
    pub(crate) fn tell_serving(&mut self) {
        let serving = self.serving();
        if serving != self.serving_told {
            self.serving_told = serving;
            self.actions.push_back(Action::Serving(serving));
        }
    }

    /// Whether the node list names `node`, as committed or at the end of the log.
    pub(crate) fn is_listed(&self, node: NodeId) -> bool {
        let is_listed = |position: &Position| position.tip.signers.keys().node(node).is_some();
        is_listed(self.chain.committed()) || is_listed(self.chain.last())
    }

    /// Whether members have removed `node`, by a decision that stands.
    pub(crate) fn was_removed(&self, node: NodeId) -> bool {
        !self.is_listed(node) && self.seals.had_slot(node)
    }

    /// Whether members have removed `node`, and consensus has left it out as well.
    fn has_left(&self, node: NodeId) -> bool {
        self.was_removed(node)
            && match &self.engine {
                Engine::Idle => false,
                Engine::Resuming { resuming, .. } => resuming.circle().nodes().all(|known| known != node),
                Engine::Running(consensus) => consensus.participants().all(|participant| participant != node),
            }
    }

    /// Tells a node that was removed that it was, if it does not know; whether it was.
    pub(crate) fn tell_if_removed(&mut self, node: NodeId) -> bool {
        let has_left = self.has_left(node);
        if has_left {
            self.send(node, &PeerMessage::Removed);
        }
        has_left
    }

    /// A change of the configuration is committed: that is filed, and whoever is left out is told. It may have been a node
    /// that nobody could reach, and that knows nothing.
    pub(crate) fn on_changed(&mut self, record: &LogRecord) {
        self.kept.committed = record.index;
        // What is told to be committed is on this disk: a log that lacks it, or holds another view's, is none of this record.
        self.kept.synced = self.synced.end();
        assert!(self.kept.committed <= self.kept.synced.0, "an entry is told as committed only when it is synced here");
        let vote = Some(self.seals.seal_vote(&self.kept));
        let (ticket, records) = (self.synced.last_ticket(), Vec::new());
        self.actions.push_back(Action::Append(Append { ticket, truncate_from: None, records, vote }));
        let change = ConfigurationChange::from_bytes(&record.payload).expect("it was checked when it was appended");
        if change.node != self.id {
            self.tell_if_removed(change.node);
        }
    }

    fn leave_if_removed(&mut self) {
        if self.has_left(self.id) {
            self.leave();
        }
    }

    /// Serves nobody any more. Everyone who waits is told; what is committed stays to be asked for.
    pub(crate) fn leave(&mut self) {
        if self.removed {
            return;
        }
        self.removed = true;
        self.stop_leading();
        if let Engine::Running(consensus) = &mut self.engine {
            consensus.stand_no_more();
        }
        let mut waiting = self.inbox.drain();
        waiting.extend(self.layers.all_waiting());
        for waiting in waiting {
            self.respond(waiting, Err(Refusal::NodeRemoved));
        }
        self.expire_reads(Time(u64::MAX), Refusal::NodeRemoved);
    }

    /// Stops if its slot has another key by a decision that stands: the machine is to be started with that.
    fn stop_if_replaced(&mut self, now: Time) {
        // At a start with the new key the decision may not be known to be committed, or not be known at all.
        let is_replaced = |position| self.is_listed_otherwise(position) && self.seals.had_own_key();
        if self.stopping.is_some() || !is_replaced(self.chain.committed()) || !is_replaced(self.chain.last()) {
            return;
        }
        let reason = StopReason::CredentialReplaced { node: self.id };
        if self.hand_over() {
            self.stopping = Some((now.after(HANDOVER_PATIENCE), reason));
        } else {
            self.stop(reason);
        }
    }
}

/// How much a leader hears of a peer.
const fn presence(peer: &PeerProgress) -> (bool, LogIndex) {
    (peer.recently_active, peer.matched)
}

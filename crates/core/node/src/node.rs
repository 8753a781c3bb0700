//! The node: joins consensus, ledger, governance and the worker into one deterministic value.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use rand_chacha::ChaCha20Rng;
use synod_consensus::{Consensus, Effect, Promise, Restored};
use synod_types::{Digest, Encode, NodeId, Time, TxId, Untrusted, View, limits};

use crate::chain::Chain;
use crate::event::{Action, ClientRequest, Event, Response, Role, Serving, Status, StopReason};
use crate::government::Government;
use crate::history::History;
use crate::inbox::{Inbox, Origin};
use crate::indexes::Indexes;
use crate::latecomers::Latecomers;
use crate::layers::Layers;
use crate::leader::Leadership;
use crate::peer::PeerMessage;
use crate::probe::Probe;
use crate::reads::Reads;
use crate::requests::RequestTable;
use crate::resume::{Circle, Memory, Resuming, Standing};
use crate::sealing::Seals;
use crate::strangers::Strangers;
use crate::synced::Synced;
use crate::unheeded::Unheeded;
use crate::vote_record::VoteRecord;

/// One node of a network, without its worker, its disk and its sockets.
///
/// ```text
///   events in:   handle(now, event)          peer bytes, requests, Executed, Persisted, Timeout
///   actions out: poll_action() until None    Send, Append, Worker, Respond, ReadLedger
///   time:        poll_timeout()              when to say Timeout if nothing else happens
/// ```
///
/// The same events at the same times lead to the same actions, except for signature bytes.
pub struct Node {
    pub(crate) id: NodeId,
    pub(crate) engine: Engine,
    pub(crate) seals: Seals,
    pub(crate) chain: Chain,
    pub(crate) history: History,
    pub(crate) government: Government,
    pub(crate) requests: RequestTable,
    pub(crate) layers: Layers,
    pub(crate) leadership: Option<Leadership>,
    pub(crate) unheeded: Unheeded,
    pub(crate) strangers: Strangers,
    /// Blocks at the worker whose leadership ended meanwhile: their results are dropped as they come.
    pub(crate) stale_executions: u32,
    pub(crate) inbox: Inbox,
    pub(crate) reads: Reads,
    pub(crate) indexes: Indexes,
    pub(crate) memory: Memory,
    /// Peers that have not said what they remember of this node; `None` until it takes part.
    pub(crate) latecomers: Option<Latecomers>,
    /// What is kept beside the log.
    pub(crate) kept: VoteRecord,
    /// How far the log is on disk.
    pub(crate) synced: Synced,
    pub(crate) rng: ChaCha20Rng,
    pub(crate) probe: Box<dyn Probe>,
    pub(crate) actions: VecDeque<Action>,
    /// Answers of this event, sent together at its end.
    pub(crate) responses: Vec<Response>,
    pub(crate) unproved: Vec<ClientRequest>,
    pub(crate) peer_responses: BTreeMap<NodeId, Vec<Response>>,
    /// When to look for requests that waited too long.
    pub(crate) expiry_at: Option<Time>,
    /// When to stop and why, if that is to be and leadership is being handed over.
    pub(crate) stopping: Option<(Time, StopReason)>,
    pub(crate) stopped: bool,
    /// Members have removed the node, and consensus has left it out.
    pub(crate) removed: bool,
    /// The keys that peers with a channel proved to hold.
    pub(crate) proved: BTreeMap<NodeId, Digest>,
    /// When each of those who take part was heard the last time.
    pub(crate) heard: BTreeMap<NodeId, Time>,
    /// The nodes that were last said to have a part.
    pub(crate) circle_told: BTreeSet<NodeId>,
    /// How clients were last said to be served.
    pub(crate) serving_told: Serving,
}

/// The consensus engine, or what it waits for.
pub(crate) enum Engine {
    /// The disk is still being read.
    Idle,
    /// Peers have not confirmed yet what the disk holds; without an engine there is no vote and no acknowledgement.
    Resuming { resuming: Resuming, restored: Option<Box<(synod_consensus::Config, Restored)>> },
    /// In the order of the network.
    Running(Box<Consensus>),
}

/// How often requests that waited too long are looked for: fine beside the time they may wait.
const EXPIRY_INTERVAL: Duration = Duration::from_millis(250);

impl Node {
    /// Takes in one event. `now` never runs backwards from call to call.
    ///
    /// # Panics
    /// If the host, the worker or the engine breaks its contract: this node stops rather than lie.
    /// No client and no peer can bring that about.
    pub fn handle(&mut self, now: Time, event: Event) {
        if self.stopped {
            return;
        }
        self.advance(now);
        match event {
            Event::PeerProved { peer, key } => drop(self.proved.insert(peer, key)),
            Event::PeerConnected(peer) => self.on_peer_connected(peer),
            Event::PeerClosed(peer) => self.on_peer_closed(peer),
            Event::PeerMessage { from, bytes } => self.on_peer_message(now, from, bytes),
            Event::Requests(requests) => requests.into_iter().for_each(|request| {
                self.admit(now, Origin::Client(request.token), request);
            }),
            Event::Query { token, query } => self.on_query(now, token, query),
            Event::Executed(executed) => self.on_executed(executed),
            Event::Persisted(ticket) => self.on_persisted(now, ticket),
            Event::LedgerRead { ticket, records } => self.on_ledger_read(now, ticket, records),
            Event::Timeout => {}
            Event::Shutdown => self.on_shutdown(now),
        }
        self.settle(now);
    }

    /// The next thing to do, if any.
    pub fn poll_action(&mut self) -> Option<Action> {
        let action = self.actions.pop_front();
        if action.is_none() {
            self.reads.actions_are_taken();
        }
        action
    }

    /// When to say [`Event::Timeout`] if nothing else happens before.
    pub fn poll_timeout(&self) -> Option<Time> {
        let engine = match &self.engine {
            Engine::Idle => None,
            Engine::Resuming { resuming, .. } => Some(resuming.wakes_at()),
            Engine::Running(consensus) => consensus.poll_timeout(),
        };
        let stops_at = self.stopping.map(|(at, _)| at);
        let others = [self.block_closes_at(), self.expiry_at, stops_at, self.reads.opens_at(), self.synced.tell_at()];
        others.into_iter().chain([engine]).flatten().min()
    }

    /// How the node is.
    pub fn status(&self) -> Status {
        let last = &self.chain.last().tip;
        let (mut role, view, leader) = match &self.engine {
            Engine::Idle | Engine::Resuming { .. } => (Role::Resuming, last.entry_view, None),
            Engine::Running(consensus) => (role(consensus), consensus.view(), consensus.leader()),
        };
        if self.removed {
            role = Role::Removed;
        } else if role == Role::Follower && self.serving() == Serving::NotYet {
            // Its key is not in the list, as far as it knows.
            role = Role::Joining;
        }
        let committed = self.history.committed();
        Status { id: self.id, role, view, leader, last: TxId::new(last.tx_view, last.seqno), committed }
    }

    /// How many calls of requests to applications wait for their block, or for a leader.
    pub const fn waiting_calls(&self) -> usize {
        self.inbox.queued_calls()
    }

    /// The governance tables.
    pub const fn government(&self) -> &Government {
        &self.government
    }

    /// Has `probe` told as blocks pass through this node.
    pub fn set_probe(&mut self, probe: impl Probe + 'static) {
        self.probe = Box::new(probe);
    }

    /// Begins to take part, once the disk is read.
    pub(crate) fn begin(&mut self, now: Time) {
        self.advance(now);
        self.settle(now);
    }

    /// Moves every clock to `now`.
    fn advance(&mut self, now: Time) {
        match &mut self.engine {
            Engine::Idle => {}
            Engine::Resuming { resuming, .. } => {
                if resuming.is_time_to_ask(now) && !self.removed {
                    self.ask_all();
                }
            }
            Engine::Running(consensus) => consensus.handle_timeout(now),
        }
        self.work_off_effects(now);
        if self.expiry_at.is_some_and(|at| at <= now) {
            self.expire(now);
        }
        if let Some((_, reason)) = self.stopping.filter(|(at, _)| *at <= now) {
            self.stop(reason);
        }
        self.tell_synced_if_due(now);
        self.open_next_read();
    }

    /// Works off what the event set in motion, then sends the answers that came of it.
    fn settle(&mut self, now: Time) {
        self.resume_if_confirmed(now);
        self.work_off_effects(now);
        self.follow_node_list(now);
        self.pump(now);
        self.work_off_effects(now);
        let nobody_waits = self.inbox.is_idle() && self.reads.is_idle() && self.indexes.is_idle();
        self.expiry_at = if nobody_waits { None } else { self.expiry_at.or(Some(now.after(EXPIRY_INTERVAL))) };
        self.tell_circle();
        self.flush_answers();
        self.tell_serving();
    }

    /// Carries out what the engine asks for, to the end.
    pub(crate) fn work_off_effects(&mut self, now: Time) {
        loop {
            let Engine::Running(consensus) = &mut self.engine else { return };
            let Some(effect) = consensus.poll_effect() else { return };
            match effect {
                Effect::Send { to, bytes } => self.send(to, &PeerMessage::Consensus(bytes)),
                Effect::Truncated { from } => self.on_truncated(from),
                Effect::Append(append) => self.on_append(append),
                Effect::RoleChanged { role, view, leader } => self.on_role_changed(now, role, view, leader),
                Effect::Committed { records } => records.iter().for_each(|record| self.on_committed(record)),
                Effect::ReadReady { context, index } => self.on_read_ready(context, index),
                Effect::NeedRecords { from, to } => self.read_for_peer(from, to),
            }
        }
    }

    fn on_role_changed(&mut self, now: Time, role: synod_consensus::Role, view: View, leader: Option<NodeId>) {
        self.stop_leading();
        if let (Some(latecomers), Some(_)) = (&mut self.latecomers, leader) {
            latecomers.spoke_in(view);
        }
        if role == synod_consensus::Role::Leader {
            self.start_leading(now, view);
        }
        if let Some((_, reason)) = self.stopping.filter(|_| role != synod_consensus::Role::Leader) {
            self.stop(reason);
        }
        self.inbox.recall(now, leader.map(|leader| (leader, view)));
    }

    /// Sends a message. A larger one than the receiver takes would cost the channel, again and again.
    pub(crate) fn send(&mut self, to: NodeId, message: &PeerMessage) {
        let bytes = Bytes::from(message.to_bytes());
        assert!(bytes.len() <= limits::PEER_MESSAGE_BYTES_MAX, "blocks and batches are smaller than a message may be");
        self.actions.push_back(Action::Send { to, bytes });
    }

    fn on_peer_connected(&mut self, peer: NodeId) {
        self.inbox.recall_from(peer);
        if self.tell_if_removed(peer) {
            return;
        }
        let is_late = self.is_late(peer);
        // First of all on a new channel, so that the peer has seen nothing yet of this node's present life.
        if self.latecomers.is_none() || is_late {
            self.send(peer, &PeerMessage::Resume);
        }
        // Also of a node that is only starting: it may have ended before it told. A late one is told when it has answered.
        if !is_late {
            self.send(peer, &self.synced_message());
        }
    }

    /// Whether `peer` has not said what it remembers, though this node takes part.
    pub(crate) fn is_late(&self, peer: NodeId) -> bool {
        self.latecomers.as_ref().is_some_and(|latecomers| latecomers.includes(peer))
    }

    fn on_peer_closed(&mut self, peer: NodeId) {
        self.proved.remove(&peer);
        if let Engine::Running(consensus) = &mut self.engine
            && consensus.configuration().contains(peer)
        {
            consensus.unreachable(peer);
        }
    }

    /// A message that is not one of ours is dropped: the channel proves who sent it, not that its sender is sane.
    fn on_peer_message(&mut self, now: Time, from: NodeId, bytes: Untrusted<Bytes>) {
        let Ok(message) = bytes.check(|bytes| PeerMessage::from_bytes(&bytes)) else { return };
        if self.tell_if_removed(from) {
            return;
        }
        match message {
            // A node that no list names here, or not with its key, may have joined or got it since, and lead. Who speaks
            // for clients, sends a node away and is held to what it says is one that members have let in.
            PeerMessage::Forward(_) | PeerMessage::Removed if !self.is_listed(from) => {}
            PeerMessage::Forward(_) | PeerMessage::Removed | PeerMessage::Synced { .. } if self.has_other_key(from) => {
            }
            PeerMessage::Consensus(bytes) => self.on_consensus_message(now, from, Untrusted::new(bytes)),
            PeerMessage::Forward(requests) => requests.into_iter().for_each(|request| {
                self.admit(now, Origin::Peer(from, request.token), request);
            }),
            // Requests go to leaders that are listed, and so must answers come from one.
            PeerMessage::ForwardReply(_) if self.listed_leader() != Some(from) => {}
            PeerMessage::ForwardReply(responses) => {
                responses.into_iter().for_each(|response| self.on_forward_reply(from, response));
            }
            PeerMessage::Resume => {
                self.send(from, &PeerMessage::Remembered { promise: self.memory.of(from), circle: self.circle() });
            }
            PeerMessage::Remembered { promise, circle } => self.on_remembered(now, from, promise, circle),
            PeerMessage::Synced { view, index } => self.memory.note(from, Promise::acknowledged(view, index, view)),
            PeerMessage::Removed => self.leave(),
        }
    }

    fn ask_all(&mut self) {
        for peer in self.peers() {
            self.send(peer, &PeerMessage::Resume);
        }
    }

    fn on_remembered(&mut self, now: Time, from: NodeId, seen: Promise, circle: Circle) {
        let (was_late, is_stranger) = (self.is_late(from), self.is_stranger(from));
        let checked = match (&mut self.engine, &mut self.latecomers) {
            (Engine::Resuming { resuming, .. }, _) => {
                resuming.is_stranger(from, is_stranger);
                resuming.heard(now, from, seen, circle)
            }
            (Engine::Running(consensus), Some(latecomers)) => {
                let (index, view) = consensus.last();
                let view_at = |index| consensus.view_at(index);
                let standing = Standing { node: self.id, vote: self.kept.vote, last: (index, view), view_at: &view_at };
                latecomers.heard(&standing, from, seen, !is_stranger)
            }
            (Engine::Idle | Engine::Running(_), _) => Ok(()),
        };
        match checked {
            Err(reason) => self.stop(reason),
            Ok(()) if was_late => self.send(from, &self.synced_message()),
            Ok(()) => {}
        }
    }

    fn resume_if_confirmed(&mut self, now: Time) {
        let Engine::Resuming { resuming, restored } = &mut self.engine else { return };
        if self.stopped || !resuming.is_confirmed(now) {
            return;
        }
        let (config, restored) = *restored.take().expect("a node resumes once");
        let (disk, heard) = resuming.confirmed();
        self.latecomers = Some(Latecomers::new(heard, disk));
        let mut consensus = Consensus::new(&config, restored, now).expect("the configuration was checked at start");
        if self.removed {
            consensus.stand_no_more();
        }
        self.engine = Engine::Running(Box::new(consensus));
    }
}

fn role(consensus: &Consensus) -> Role {
    match consensus.role() {
        _ if !consensus.configuration().voters.contains(&consensus.id()) => Role::Joining,
        synod_consensus::Role::Follower => Role::Follower,
        synod_consensus::Role::Candidate => Role::Candidate,
        synod_consensus::Role::Leader => Role::Leader,
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("status", &self.status()).finish_non_exhaustive()
    }
}

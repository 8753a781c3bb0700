//! The [`Consensus`] value: what the node calls. What comes back is in `ready.rs`.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use raft::eraftpb::{ConfChangeSingle, ConfChangeType, ConfChangeV2, ConfState, HardState, Message, MessageType};
use raft::{NO_LIMIT, RawNode, ReadOnlyOption, StateRole};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use synod_types::boundary::{EntryKind, LogRecord};
use synod_types::limits::{BLOCK_BYTES_MAX, BLOCK_TRANSACTIONS_MAX};
use synod_types::{
    Configuration, ConfigurationChange, ConfigurationStep, Decode, Encode, LogIndex, NodeId, Seqno, Time, Untrusted,
    View,
};

use crate::acks::{Acks, drop_answer, drop_included};
use crate::admit::{Admitted, Standing};
use crate::clock::Clock;
use crate::config::{APPENDS_IN_FLIGHT_MAX, Config, ConfigError, MESSAGE_ENTRIES_BYTES_MAX, Ticks};
use crate::effect::{Effect, Role, Vote};
use crate::log::{RecordsRefused, entry_of};
use crate::misbehaviour::PeerMisbehaved;
use crate::reads::Reads;
use crate::restored::Restored;
use crate::storage::LogStorage;
use crate::sync_gate::SyncGate;
use crate::translate::context_bytes;

/// One node's part in replicating one log. See the crate's documentation for how it is driven.
pub struct Consensus {
    pub(crate) id: NodeId,
    /// What the network began with.
    start: Configuration,
    /// What applies: the changes up to the last entry that was told as committed.
    pub(crate) configuration: Configuration,
    pub(crate) raw: RawNode<LogStorage>,
    pub(crate) effects: VecDeque<Effect>,
    pub(crate) gate: SyncGate,
    pub(crate) acks: Acks,
    pub(crate) reads: Reads,
    /// What was told last, so that only changes are.
    pub(crate) told_role: (Role, View, Option<NodeId>),
    pub(crate) told_vote: Vote,
    /// The number of the last append with a vote, until that is synced.
    pub(crate) vote_under_way: Option<u64>,
    /// The last view in which requests for votes really left this node.
    pub(crate) asked: Option<View>,
    /// The last commit that went to all followers by itself.
    pub(crate) announced: u64,
    /// Counts the calls that may change what `admit` checks against.
    pub(crate) stamp: u64,
    clock: Clock,
    ticks: Ticks,
    rng: ChaCha8Rng,
    /// Whether this node stands for election after a silence.
    stands: bool,
    /// Our election timeout in ticks, and the role and term that it was drawn for.
    election_ticks: usize,
    drawn_for: (StateRole, u64),
}

/// Where the next block goes: what it is sealed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its index.
    pub index: LogIndex,
    /// Its view.
    pub view: View,
    /// Its first seqno.
    pub first_seqno: Seqno,
}

/// Why a block is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// This node does not lead.
    #[error("this node does not lead")]
    NotLeader {
        /// Who does, if known.
        leader: Option<NodeId>,
    },
    /// Leadership is being handed over. Ask again after each event: a transfer that fails ends
    /// after the least election timeout.
    #[error("leadership is being handed to node {to}")]
    TransferPending {
        /// The node that is to lead.
        to: NodeId,
    },
    /// The record was sealed for another place.
    #[error("the record does not continue the log, where {expected:?} comes next")]
    NotNext {
        /// Where the next block goes.
        expected: Place,
    },
    /// No follower would take it.
    #[error("the record holds {count} transactions in {size} bytes, above the limit of a block")]
    TooLarge {
        /// Its transactions.
        count: u32,
        /// The size of its payload.
        size: usize,
    },
}

/// Why leadership is not handed over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransferError {
    /// This node does not lead.
    #[error("this node does not lead")]
    NotLeader,
    /// Only another voter can lead.
    #[error("node {to} is not another voter")]
    NotAPeer {
        /// The node named.
        to: NodeId,
    },
}

/// Why the configuration is not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// This node may not propose.
    #[error(transparent)]
    NotNow(#[from] ProposeError),
    /// Another change is on its way, or nothing of this view is committed yet. Ask again after each event.
    #[error("another change of the configuration is on its way, or nothing of this view is committed")]
    Pending,
    /// The change is none from here.
    #[error("there is no such step from here: {change}")]
    NotAStep {
        /// The change.
        change: ConfigurationChange,
    },
    /// A leader does not remove itself: it hands leadership over first.
    #[error("a leader cannot remove itself")]
    Leader,
}

/// Too many reads wait for confirmation already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many reads wait for the leader's confirmation")]
pub struct TooManyReads;

/// Something happened between `admit` and `step`: what was checked may not hold any more. The
/// message was not stepped; admit it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the message was admitted before another call changed the state")]
pub struct StaleAdmission;

/// How far a peer is, as its leader knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerProgress {
    /// The peer.
    pub node: NodeId,
    /// The last entry that it acknowledged as synced in this view.
    pub matched: LogIndex,
    /// Whether it was heard from since the last check of the quorum.
    pub recently_active: bool,
}

impl Consensus {
    /// A follower that starts from `restored` and waits for a leader, or for its election timeout.
    ///
    /// # Errors
    /// If `config` contradicts itself.
    pub fn new(config: &Config, restored: Restored, now: Time) -> Result<Self, ConfigError> {
        let ticks = config.ticks()?;
        let start = Configuration::of(config.voters.iter().copied());
        let vote = restored.vote();
        let Restored { mut log, .. } = restored;
        log.set_bytes_max(config.retained_bytes_max);
        log.release(0);
        let applied = log.applied();
        let hard_state = HardState {
            term: vote.view.0,
            vote: vote.voted_for.map_or(raft::INVALID_ID, |node| node.0),
            commit: applied,
            ..HardState::default()
        };
        let refused = ConfigError::ConfigurationNotAllowed;
        let configuration = log.configuration_at(&start, applied).ok_or(refused.clone())?;
        log.configuration_at(&start, log.last()).ok_or(refused)?;
        let storage = LogStorage { log, hard_state, configuration: conf_state(&configuration) };
        let raw = RawNode::new(&engine_config(config.id, ticks, applied), storage, &silent_logger())
            .expect("the engine refuses only what Config::ticks refuses");

        let mut rng = seeded(config.seed, config.id);
        let incarnation = rng.next_u64();
        let mut consensus = Self {
            id: config.id,
            start,
            configuration,
            effects: VecDeque::new(),
            gate: SyncGate::default(),
            acks: Acks::default(),
            reads: Reads::new(config.id, incarnation, ticks.heartbeat),
            told_role: (Role::Follower, vote.view, None),
            told_vote: vote,
            vote_under_way: None,
            asked: None,
            announced: applied,
            stamp: 0,
            clock: Clock::new(now, config.tick, ticks.election_max),
            ticks,
            rng,
            stands: true,
            election_ticks: 0,
            drawn_for: (StateRole::Leader, 0),
            raw,
        };
        consensus.settle();
        Ok(consensus)
    }

    /// Time has come to `now`: heartbeats, elections and retries that are due happen.
    ///
    /// Call it first in each event, so that the event happens at its own time.
    pub fn handle_timeout(&mut self, now: Time) {
        let ticks = self.clock.advance(now);
        if ticks == 0 {
            return;
        }
        for _ in 0..ticks {
            let raft = &mut self.raw.raft;
            if !self.stands && raft.state != StateRole::Leader {
                // Long enough for others to have its vote, and never long enough to ask for theirs.
                let most = self.election_ticks.saturating_sub(2).max(self.ticks.election_min);
                raft.election_elapsed = raft.election_elapsed.min(most);
            }
            self.raw.tick();
            self.redraw_election_timeout();
        }
        if let Some(question) = self.reads.passed(ticks) {
            self.raw.read_index(context_bytes(Some(question)).to_vec());
        }
        self.settle();
    }

    /// When to call [`Consensus::handle_timeout`] at the latest.
    pub fn poll_timeout(&self) -> Option<Time> {
        let raft = &self.raw.raft;
        let engine = if raft.state == StateRole::Leader {
            let heartbeat = raft.heartbeat_timeout().saturating_sub(raft.heartbeat_elapsed());
            heartbeat.min(raft.election_timeout().saturating_sub(raft.election_elapsed))
        } else if raft.promotable() && self.stands {
            self.election_ticks.saturating_sub(raft.election_elapsed)
        } else {
            // Nothing else is due than to look whether the leader is still there, for whoever asks for a vote.
            self.ticks.election_max
        };
        let ticks = self.reads.next_retry().map_or(engine as u64, |retry| retry.min(engine as u64));
        Some(self.clock.after(ticks.max(1)))
    }

    /// Where the next block goes, if this node may propose one.
    ///
    /// # Errors
    /// If it does not lead, or hands leadership over.
    pub fn place(&self) -> Result<Place, ProposeError> {
        let raft = &self.raw.raft;
        if raft.state != StateRole::Leader {
            return Err(ProposeError::NotLeader { leader: self.leader() });
        }
        if let Some(to) = raft.lead_transferee {
            return Err(ProposeError::TransferPending { to: NodeId(to) });
        }
        let log = &self.raw.store().log;
        let first_seqno = log.next_seqno_after(log.last()).expect("the last entry is in the window or before it");
        Ok(Place { index: LogIndex(log.last() + 1), view: View(raft.term), first_seqno: Seqno(first_seqno) })
    }

    /// Appends a block that was sealed for the current [`Consensus::place`], and sends it.
    ///
    /// # Errors
    /// If this node may not propose, or `record` does not continue the log as it stands now.
    pub fn propose(&mut self, record: &LogRecord) -> Result<(), ProposeError> {
        let expected = self.place()?;
        let place = Place { index: record.index, view: record.view, first_seqno: record.first_seqno };
        if place != expected || record.kind != EntryKind::Block {
            return Err(ProposeError::NotNext { expected });
        }
        let (count, size) = (record.count, record.payload.len());
        if count as usize > BLOCK_TRANSACTIONS_MAX || size > BLOCK_BYTES_MAX {
            return Err(ProposeError::TooLarge { count, size });
        }
        let entries = vec![entry_of(record)].into();
        let message = Message { msg_type: MessageType::MsgPropose, from: self.id.0, entries, ..Message::default() };
        self.raw.step(message).expect("a leader without a pending transfer and without a size limit takes a proposal");
        let log = &self.raw.raft.raft_log;
        assert_eq!(
            (log.last_index(), log.last_term()),
            (place.index.0, place.view.0),
            "appended where it was sealed for"
        );
        self.settle();
        Ok(())
    }

    /// Appends a change of the configuration, and sends it. It applies on each node when it commits there; the record
    /// comes with [`Effect::Append`] like any other, and followers verify it like any other.
    ///
    /// # Errors
    /// If this node may not propose, another change is under way, or this one is no step from here.
    pub fn change_configuration(&mut self, change: ConfigurationChange) -> Result<LogRecord, ChangeError> {
        let place = self.place()?;
        let log = &self.raw.store().log;
        // A change may apply only where the leader knows what its predecessors committed (dissertation, section 4.1,
        // and the correction to it): after an entry of its own view.
        if log.is_changing() || log.view(log.applied()) != Some(place.view.0) {
            return Err(ChangeError::Pending);
        }
        if self.configuration.after(change).is_none() {
            return Err(ChangeError::NotAStep { change });
        }
        if change.step == ConfigurationStep::Remove && change.node == self.id {
            return Err(ChangeError::Leader);
        }
        let record = LogRecord {
            index: place.index,
            view: place.view,
            kind: EntryKind::Configuration,
            first_seqno: place.first_seqno,
            count: 0,
            payload: change.to_bytes().into(),
        };
        // Not as a proposal: the engine would read the entry's data as a message of its own.
        let raft = &mut self.raw.raft;
        let is_appended = raft.append_entry(&mut [entry_of(&record)]);
        assert!(is_appended, "a leader without a size limit appends");
        raft.pending_conf_index = place.index.0;
        raft.bcast_append();
        self.settle();
        Ok(record)
    }

    /// A change of the configuration is committed: from here on it applies.
    pub(crate) fn apply_change(&mut self, record: &LogRecord) {
        let change = ConfigurationChange::from_bytes(&record.payload).expect("it was checked when it was appended");
        self.configuration = self.configuration.after(change).expect("it was checked when it was appended");
        let kind = match change.step {
            ConfigurationStep::AddLearner => ConfChangeType::AddLearnerNode,
            ConfigurationStep::Promote => ConfChangeType::AddNode,
            ConfigurationStep::Remove => ConfChangeType::RemoveNode,
        };
        let single = ConfChangeSingle { node_id: change.node.0, change_type: kind, ..ConfChangeSingle::default() };
        let engine_change = ConfChangeV2 { changes: vec![single].into(), ..ConfChangeV2::default() };
        let state = self.raw.apply_conf_change(&engine_change).expect("the engine takes a step of one node");
        assert!(is_same(&state, &self.configuration), "the engine and we agree on who takes part");
        // The engine lets a leader lead on that has no part any more. It was elected while its removal was on its way.
        let raft = &mut self.raw.raft;
        if raft.state == StateRole::Leader && !self.configuration.voters.contains(&self.id) {
            raft.become_follower(raft.term, raft::INVALID_ID);
        }
    }

    /// Decodes and checks a message that `from`'s channel brought. Nothing changes yet: verify
    /// [`Admitted::entries`], then [`Consensus::step`].
    ///
    /// Payloads are slices of `bytes` and keep it alive while they are kept.
    ///
    /// # Errors
    /// If no correct peer sends such a message.
    pub fn admit(&self, from: NodeId, bytes: Untrusted<Bytes>) -> Result<Admitted, PeerMisbehaved> {
        self.standing().admit(from, bytes)
    }

    /// As [`Consensus::admit`], of somebody who speaks for `from` by a credential that is in no node list in force, as
    /// far as this node knows. It may have been given to `from` in an entry that this node can learn only from it: so it
    /// is heard as a leader and as a candidate, but not believed. Of its entries those are taken that a block follows,
    /// which the caller verifies; the log is committed up to `believed` at most, which the caller knows by other means;
    /// it answers no reads and hands nothing over.
    ///
    /// What it grants, acknowledges and asks of a leader counts if `counts` says so and it has a part.
    ///
    /// # Errors
    /// If no correct peer sends such a message.
    pub fn admit_stranger(
        &self,
        from: NodeId,
        bytes: Untrusted<Bytes>,
        counts: bool,
        believed: LogIndex,
    ) -> Result<Admitted, PeerMisbehaved> {
        Standing { counts, believed: Some(believed.0), ..self.standing() }.admit(from, bytes)
    }

    /// Lets an admitted message take effect.
    ///
    /// # Errors
    /// If another call came between; then nothing happened.
    pub fn step(&mut self, admitted: Admitted) -> Result<(), StaleAdmission> {
        if admitted.stamp != self.stamp {
            return Err(StaleAdmission);
        }
        if let Some(message) = admitted.message {
            let is_announcement = self.acks.is_announcement(self.raw.raft.term, &message);
            // The engine's errors are dropped proposals and unknown senders, and neither is admitted.
            self.raw.step(message).expect("an admitted message is one that the engine takes");
            if is_announcement {
                drop_answer(&mut self.raw.raft.msgs);
            }
            self.settle();
        }
        Ok(())
    }

    /// The host synced [`Append`](crate::Append) `number` and all before it.
    ///
    /// A number that no append has, or that was told before, changes nothing.
    pub fn persisted(&mut self, number: u64) {
        let Some((last, mut messages)) = self.gate.synced(number) else { return };
        self.raw.on_persist_ready(last);
        self.vote_under_way.take_if(|vote| *vote <= last);
        drop_included(&mut messages);
        self.send_synced(&messages);
        self.settle();
    }

    /// Asks for an index from which a linearizable read may be served, told as
    /// [`Effect::ReadReady`] with the same `context`. On any node; put again until answered.
    ///
    /// # Errors
    /// If too many reads wait already.
    pub fn read_index(&mut self, context: u64) -> Result<(), TooManyReads> {
        if !self.reads.add(context) {
            return Err(TooManyReads);
        }
        self.settle();
        Ok(())
    }

    /// Nobody waits any longer for the read with this `context`: it is not told, and its room is free.
    pub fn forget_read(&mut self, context: u64) {
        self.reads.forget(context);
    }

    /// Hands leadership to `to`: no proposals are taken until it leads, or the least election
    /// timeout has passed.
    ///
    /// # Errors
    /// If this node does not lead or `to` is not another voter.
    pub fn transfer_leadership(&mut self, to: NodeId) -> Result<(), TransferError> {
        if self.role() != Role::Leader {
            return Err(TransferError::NotLeader);
        }
        if to == self.id || !self.configuration.voters.contains(&to) {
            return Err(TransferError::NotAPeer { to });
        }
        self.raw.transfer_leader(to.0);
        self.settle();
        Ok(())
    }

    /// From now on this node stands for no election by itself. It still votes, and follows whoever leads.
    pub fn stand_no_more(&mut self) {
        self.stands = false;
        self.settle();
    }

    /// The channel to `node` broke: what was on its way may be lost, so a leader probes again.
    pub fn unreachable(&mut self, node: NodeId) {
        self.acks.unreachable(node);
        self.raw.report_unreachable(node.0);
        self.settle();
    }

    /// Answers [`Effect::NeedRecords`]: records from its `from` on, or none if the read failed.
    /// Every such effect must be answered, or the follower behind it waits on.
    ///
    /// The caller has verified that they are what was appended: followers will check them too, and
    /// would blame this node.
    ///
    /// # Errors
    /// If they were not asked for or are not entries of this log.
    pub fn records_read(&mut self, from: LogIndex, records: &[LogRecord]) -> Result<(), RecordsRefused> {
        self.raw.mut_store().log.fetched(from.0, records)?;
        if self.role() == Role::Leader {
            self.send_fetched();
        } else {
            self.raw.mut_store().log.forget_fetched();
        }
        self.settle();
        Ok(())
    }

    /// The next thing to do.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// This node's slot.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// What this node is in [`Consensus::view`].
    pub fn role(&self) -> Role {
        match self.raw.raft.state {
            StateRole::Follower => Role::Follower,
            StateRole::PreCandidate | StateRole::Candidate => Role::Candidate,
            StateRole::Leader => Role::Leader,
        }
    }

    /// The view that this node has reached.
    pub fn view(&self) -> View {
        View(self.raw.raft.term)
    }

    /// The leader of that view, if known.
    pub fn leader(&self) -> Option<NodeId> {
        node(self.raw.raft.leader_id)
    }

    /// Who takes part, as far as told as committed.
    pub const fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    /// Everyone who has a part, or had or has one at any entry that is not told as committed.
    pub fn participants(&self) -> impl Iterator<Item = NodeId> + '_ {
        let under_way = self.raw.store().log.changes_under_way().map(|change| change.node);
        self.configuration.members().chain(under_way)
    }

    /// The change of the configuration at entry `index`, if that is one.
    pub fn change_at(&self, index: LogIndex) -> Option<ConfigurationChange> {
        self.raw.store().log.change_at(index.0)
    }

    /// Whether a change of the configuration is on its way.
    pub fn is_changing_configuration(&self) -> bool {
        self.raw.store().log.is_changing()
    }

    /// The node to which leadership is being handed, if any.
    pub fn transferring_to(&self) -> Option<NodeId> {
        self.raw.raft.lead_transferee.map(NodeId)
    }

    /// The last entry of the log and its view; it may not be synced yet.
    pub fn last(&self) -> (LogIndex, View) {
        let log = &self.raw.store().log;
        (LogIndex(log.last()), View(log.last_view()))
    }

    /// The last entry told as [`Effect::Committed`], or restored as such.
    pub fn committed(&self) -> LogIndex {
        LogIndex(self.raw.store().log.applied())
    }

    /// The view of entry `index`, if the log reaches there.
    pub fn view_at(&self, index: LogIndex) -> Option<View> {
        self.raw.store().log.view(index.0).map(View)
    }

    /// How far each peer is, in order of node; empty unless this node leads.
    pub fn peers(&self) -> Vec<PeerProgress> {
        if self.role() != Role::Leader {
            return Vec::new();
        }
        let progress = |node: &NodeId| {
            let progress = self.raw.raft.prs().get(node.0)?;
            let matched = LogIndex(progress.matched);
            Some(PeerProgress { node: *node, matched, recently_active: progress.recent_active })
        };
        let others: Vec<_> = self.configuration.members().filter(|node| *node != self.id).collect();
        others.iter().filter_map(progress).collect()
    }

    fn standing(&self) -> Standing<'_> {
        let raft = &self.raw.raft;
        Standing {
            id: self.id,
            start: &self.start,
            configuration: &self.configuration,
            role: raft.state,
            view: self.view(),
            leader: self.leader(),
            committed: raft.raft_log.committed,
            asked: self.asked,
            incarnation: self.reads.incarnation(),
            takes_reads: raft.pending_read_count() < PEER_READS_MAX,
            log: &self.raw.store().log,
            stamp: self.stamp,
            counts: true,
            believed: None,
        }
    }

    /// The engine draws its election timeout from the thread's generator whenever its role or term
    /// changes (`reset`); ours, drawn from the seed, replaces it, so that runs replay.
    pub(crate) fn redraw_election_timeout(&mut self) {
        let raft = &mut self.raw.raft;
        let drawn_for = (raft.state, raft.term);
        if !self.stands {
            self.election_ticks = self.ticks.election_max - 1;
        } else if drawn_for != self.drawn_for {
            let spread = self.ticks.election_max - self.ticks.election_min;
            self.election_ticks = self.ticks.election_min + self.rng.next_u32() as usize % spread;
            self.drawn_for = drawn_for;
        }
        raft.set_randomized_election_timeout(self.election_ticks);
    }
}

fn conf_state(configuration: &Configuration) -> ConfState {
    let ids = |nodes: &BTreeSet<NodeId>| nodes.iter().map(|node| node.0).collect::<Vec<_>>();
    ConfState::from((ids(&configuration.voters), ids(&configuration.learners)))
}

fn is_same(state: &ConfState, configuration: &Configuration) -> bool {
    let nodes = |ids: &[u64]| ids.iter().copied().map(NodeId).collect::<BTreeSet<_>>();
    nodes(state.get_voters()) == configuration.voters && nodes(state.get_learners()) == configuration.learners
}

/// The engine's "no node" as `None`.
pub(crate) fn node(id: u64) -> Option<NodeId> {
    (id != raft::INVALID_ID).then_some(NodeId(id))
}

fn engine_config(id: NodeId, ticks: Ticks, applied: u64) -> raft::Config {
    raft::Config {
        id: id.0,
        election_tick: ticks.election_min,
        heartbeat_tick: ticks.heartbeat,
        min_election_tick: ticks.election_min,
        max_election_tick: ticks.election_max,
        applied,
        max_size_per_msg: MESSAGE_ENTRIES_BYTES_MAX,
        max_inflight_msgs: APPENDS_IN_FLIGHT_MAX,
        check_quorum: true,
        pre_vote: true,
        read_only_option: ReadOnlyOption::Safe,
        // `announce_commit` does it, less often.
        skip_bcast_commit: true,
        // Appending to a message that waits has no bound on its size.
        batch_append: false,
        priority: 0,
        // The engine would drop a block that was executed. Admission is bounded before execution.
        max_uncommitted_size: NO_LIMIT,
        max_committed_size_per_ready: NO_LIMIT,
    }
}

/// The engine's log lines say nothing that effects do not, and some print messages whole.
fn silent_logger() -> slog::Logger {
    slog::Logger::root(slog::Discard, slog::o!())
}

fn seeded(seed: u64, id: NodeId) -> ChaCha8Rng {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&id.0.to_le_bytes());
    ChaCha8Rng::from_seed(bytes)
}

/// The most reads of peers that a leader holds unconfirmed: each node has one question open, and
/// may have put it again to be safe.
const PEER_READS_MAX: usize = 256;

//! From what a disk holds to a node that takes part.
//!
//! ```text
//!  Start::new(config, genesis block)   the network, its governance, its adapters
//!  push(record) for each record        checked and replayed; poll_action gives the worker's messages
//!  finish(now, vote)                   the node: it asks its peers before it takes part
//! ```

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use synod_consensus::{ConfigError, RestoreError, Restored};
use synod_crypto::{NodeKey, ServiceKey, SessionKeys};
use synod_kv::WriteSet;
use synod_ledger::GenesisPublic;
use synod_types::boundary::{EntryKind, LogRecord, Restart};
use synod_types::{Decode, LogIndex, NodeId, Time, Untrusted, View};
use synod_worker::{Apply, ToWorker};

use crate::chain::{Chain, Position};
use crate::event::{Action, Serving};
use crate::government::Government;
use crate::history::History;
use crate::inbox::Inbox;
use crate::indexes::Indexes;
use crate::layers::Layers;
use crate::node::{Engine, Node};
use crate::probe::NoProbe;
use crate::reads::Reads;
use crate::requests::RequestTable;
use crate::resume::{Circle, Disk, Memory, Resuming};
use crate::sealing::{CheckRefused, Seals};
use crate::settings::SettingsProgress;
use crate::strangers::Strangers;
use crate::synced::Synced;
use crate::unheeded::Unheeded;
use crate::vote_record::{OutOfStep, VoteRecord};

/// What a node is told at its start.
pub struct Config {
    /// Its slot.
    pub id: NodeId,
    /// The slot's credential.
    pub node_key: NodeKey,
    /// The service identity.
    pub service_key: ServiceKey,
    /// The session keys of the epoch.
    pub session_keys: SessionKeys,
    /// Fresh randomness from the platform: all that this node draws comes from it.
    pub seed: [u8; 32],
    /// Times of elections; `None` for what suits a local network.
    pub times: Option<Times>,
}

/// How patient a node is with a leader that it does not hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// The least and the largest time of silence before a node stands for election.
    pub election_timeout: (Duration, Duration),
    /// How often a leader that has nothing to say is heard.
    pub heartbeat: Duration,
}

/// Why a node cannot start from what its disk holds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// A record does not continue the ledger, or its signature is not that of its node.
    #[error("record {index} of the ledger is refused")]
    Record {
        /// Which record.
        index: LogIndex,
        /// Why.
        source: CheckRefused,
    },
    /// A record does not continue the log.
    #[error("the log on disk is not one that this node can go on from")]
    Log(#[from] RestoreError),
    /// The genesis block does not open under the session keys at hand, or its tables are not valid.
    #[error("the genesis block does not open under these session keys, or its tables are not valid")]
    Genesis,
    /// The node is not in the genesis document, or times contradict each other.
    #[error("this node cannot take part")]
    Config(#[from] ConfigError),
    /// The vote record is not one that this node sealed.
    #[error("the vote record was not sealed by node {node}")]
    Vote {
        /// This node.
        node: NodeId,
    },
    /// The log ends in entries of the engine that this node did not file.
    #[error("the log ends in entries that node {node} did not file, from entry {index} on")]
    EngineEntry {
        /// This node.
        node: NodeId,
        /// The first of them.
        index: LogIndex,
    },
    /// The log is older than the vote record beside it.
    #[error("the disk of node {node} was rolled back: its log lacks entry {index} of view {view}, which it had synced")]
    LogRolledBack {
        /// This node.
        node: NodeId,
        /// The entry that the log held when the vote record was written.
        index: LogIndex,
        /// Its view.
        view: View,
    },
    /// The vote record is older than the log beside it.
    #[error("the disk of node {node} was rolled back: its vote record is of view {view}, its log of view {log_view}")]
    VoteRecordRolledBack {
        /// This node.
        node: NodeId,
        /// The view of the record.
        view: View,
        /// The view of the log's last entry.
        log_view: View,
    },
    /// The slot's credential is not the one that the node list names.
    #[error("the credential at hand is not that of slot {node}")]
    Credential {
        /// The slot.
        node: NodeId,
    },
}

impl StartError {
    /// Whether the node may be started from the same disk again, once what is wrong has been put right.
    pub const fn restart(&self) -> Restart {
        match self {
            Self::LogRolledBack { .. } | Self::VoteRecordRolledBack { .. } => Restart::Refused,
            _ => Restart::Allowed,
        }
    }
}

/// A node that reads its disk.
pub struct Start {
    node: Node,
    restored: Restored,
    disk: Disk,
    times: Option<Times>,
    retained_bytes_max: Option<usize>,
    /// The nodes that the network began with.
    first_nodes: Vec<NodeId>,
}

impl Start {
    /// Begins with the first record of the ledger, the genesis block.
    ///
    /// # Errors
    /// If it is not a genesis block that opens under the keys of `config`, or does not know this node.
    pub fn new(config: Config, genesis: Untrusted<LogRecord>) -> Result<Self, StartError> {
        let Ok(genesis) = genesis.check(Ok::<_, std::convert::Infallible>);
        let id = config.id;
        let restored = Restored::new(&genesis)?;
        let keys = (config.node_key, config.service_key, config.session_keys);
        let refused = |source| StartError::Record { index: genesis.index, source };
        let (seals, public, mut position) = Seals::new(id, &genesis, keys).map_err(refused)?;
        if public.keys.service != *seals.service_key() {
            return Err(StartError::Credential { node: id });
        }
        let (governance, setup) = open_genesis(&seals, &public, &position).ok_or(StartError::Genesis)?;
        let government = Government::begin(&governance).map_err(|_| StartError::Genesis)?;
        position.tables = government.committed().clone();
        position.settings = SettingsProgress::begin(&position.tables);
        let mut node = Node {
            id,
            engine: Engine::Idle,
            seals,
            chain: Chain::new(position.clone()),
            history: History::default(),
            government,
            requests: RequestTable::default(),
            layers: Layers::default(),
            leadership: None,
            unheeded: Unheeded::default(),
            strangers: Strangers::default(),
            stale_executions: 0,
            inbox: Inbox::default(),
            reads: Reads::default(),
            indexes: Indexes::default(),
            memory: Memory::default(),
            latecomers: None,
            kept: VoteRecord::default(),
            synced: Synced::new((position.tip.index, position.tip.entry_view)),
            rng: ChaCha20Rng::from_seed(config.seed),
            probe: Box::new(NoProbe),
            actions: VecDeque::new(),
            responses: Vec::new(),
            unproved: Vec::new(),
            peer_responses: BTreeMap::new(),
            expiry_at: None,
            stopping: None,
            stopped: false,
            removed: false,
            proved: BTreeMap::new(),
            heard: BTreeMap::new(),
            circle_told: BTreeSet::new(),
            serving_told: Serving::default(),
        };
        node.history.commit(position.tip.tx_view, position.record.first_seqno, position.tip.seqno);
        let apply = Apply { first_seqno: position.record.first_seqno, write_sets: [setup].into() };
        node.actions.push_back(Action::Worker(ToWorker::Apply(apply)));
        node.actions.push_back(Action::Worker(ToWorker::Commit { upto: position.tip.seqno }));
        let (txid, time) = (node.history.committed(), position.tip.time);
        node.actions.push_back(Action::Committed { txid, time });
        let disk = Disk::new((position.tip.index, position.tip.entry_view));
        let first_nodes = public.keys.nodes.keys().copied().collect();
        Ok(Self { node, restored, disk, times: config.times, retained_bytes_max: None, first_nodes })
    }

    /// Takes in the next record.
    ///
    /// # Errors
    /// If it does not continue the ledger, or its signature is not that of its node.
    pub fn push(&mut self, record: Untrusted<LogRecord>) -> Result<(), StartError> {
        let Ok(record) = record.check(Ok::<_, std::convert::Infallible>);
        let parent = self.node.chain.last();
        let position = self.node.seals.check(&record, parent);
        let position = position.map_err(|source| StartError::Record { index: record.index, source })?;
        self.restored.push(&record)?;
        self.disk.push((record.index, record.view));
        if record.kind == EntryKind::Block {
            self.restored.committed_up_to(position.tip.committed);
        }
        self.node.chain.note_checked(position);
        self.node.chain.append_checked(record.index, record.view);
        self.commit_known();
        Ok(())
    }

    /// Applies what is known to be committed.
    fn commit_known(&mut self) {
        while self.node.chain.committed().record.index < self.restored.committed() {
            let position = self.node.chain.commit_next();
            if position.record.count > 0 {
                self.node.commit_block(&position);
            }
        }
    }

    /// Keeps at most so many bytes of committed entries in memory for followers that lag; older ones are read back
    /// from the ledger. Without this call it is what suits a server.
    pub const fn retain(&mut self, bytes_max: usize) {
        self.retained_bytes_max = Some(bytes_max);
    }

    /// What the worker must be told, and what governance did after genesis, in order.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.node.poll_action()
    }

    /// The governance tables as the genesis block left them.
    pub const fn government(&self) -> &Government {
        self.node.government()
    }

    /// Ends reading. The node first asks its peers whether its disk holds what they saw it acknowledge.
    ///
    /// # Errors
    /// If the vote record was not sealed by this node, the log ends in what this node did not file, or the node is not
    /// one of the network's.
    pub fn finish(mut self, now: Time, vote: Option<Untrusted<Bytes>>) -> Result<Node, StartError> {
        let id = self.node.id;
        self.check_credential()?;
        let kept = vote
            .map(|vote| vote.check(|sealed| self.node.seals.open_vote(&sealed).ok_or(StartError::Vote { node: id })));
        if let Some(kept) = kept.transpose()? {
            self.restored.set_vote(kept.vote);
            self.node.kept = kept;
        }
        self.check_kept()?;
        self.restored.committed_through(self.node.kept.committed);
        self.commit_known();
        self.disk.vote = self.restored.vote();
        self.node.synced = Synced::new(self.disk.last());

        let circle = self.circle()?;
        let seed = rand_chacha::rand_core::Rng::next_u64(&mut self.node.rng);
        self.node.inbox.number_from(rand_chacha::rand_core::Rng::next_u64(&mut self.node.rng));
        let mut config = synod_consensus::Config::new(id, self.first_nodes, seed);
        if let Some(times) = self.times {
            config.election_timeout = times.election_timeout;
            config.heartbeat = times.heartbeat;
        }
        config.retained_bytes_max = self.retained_bytes_max.unwrap_or(config.retained_bytes_max);
        config.check()?;
        self.node.unheeded = Unheeded::new(config.election_timeout.1);
        self.node.strangers = Strangers::new(config.election_timeout.1);
        self.node.removed = self.node.was_removed(id) && circle.nodes().all(|node| node != id);
        let resuming = Resuming::new(now, id, circle, self.disk);
        self.node.engine = Engine::Resuming { resuming, restored: Some(Box::new((config, self.restored))) };
        self.node.begin(now);
        Ok(self.node)
    }
}

impl Start {
    /// Checks the credential at hand against the node list at the end of the log. A slot that this does not name is that of
    /// a node which is to join, or was removed; and a credential that the slot never had is one that it got while the
    /// node was away, or is to get.
    fn check_credential(&self) -> Result<(), StartError> {
        let (id, seals) = (self.node.id, &self.node.seals);
        let listed = self.node.chain.last().tip.signers.keys().node(id);
        let is_older = listed.is_some_and(|key| key != seals.own_key()) && seals.had_own_key();
        if is_older { Err(StartError::Credential { node: id }) } else { Ok(()) }
    }

    /// All nodes that the log names.
    fn circle(&self) -> Result<Circle, StartError> {
        let refused = StartError::Config(ConfigError::ConfigurationNotAllowed);
        let first = self.first_nodes.iter().copied();
        let configuration = self.restored.configuration(first).ok_or(refused)?;
        let listed = self.node.chain.last().tip.signers.keys().nodes.keys().copied();
        Ok(Circle {
            known_at: self.node.chain.committed().record.index,
            others: self.restored.participants(&configuration).into_iter().chain(listed).collect(),
            voters: configuration.voters,
        })
    }

    /// Checks the log against what is kept beside it.
    fn check_kept(&self) -> Result<(), StartError> {
        let (node, kept) = (self.node.id, &self.node.kept);
        let log = self.node.chain.uncommitted().rev().map(|position| &position.record);
        if let Some(index) = kept.stranger(log) {
            return Err(StartError::EngineEntry { node, index });
        }
        kept.fits(self.disk.last(), |index| self.disk.view_at(index)).map_err(|out_of_step| match out_of_step {
            OutOfStep::Log => StartError::LogRolledBack { node, index: kept.synced.0, view: kept.synced.1 },
            OutOfStep::Record => {
                StartError::VoteRecordRolledBack { node, view: kept.vote.view, log_view: self.disk.last().1 }
            }
        })
    }
}

/// What the genesis block wrote: the governance tables, and the adapters' maps as the worker takes them.
fn open_genesis(seals: &Seals, public: &GenesisPublic, position: &Position) -> Option<(WriteSet, WriteSet)> {
    if !public.fits(seals.session_keys()) {
        return None;
    }
    let opened = seals.open(position.block.as_ref()?)?;
    let governance = WriteSet::from_bytes(&opened.admin?.write_set).ok()?;
    let setup = WriteSet::from_bytes(&opened.content?.setup?).ok()?;
    Some((governance, setup))
}

//! The audit of governance: re-executes what the administrative ledger holds.
//!
//! [`synod_governance::execute`] is a function of the tables and the request, so whoever can open the administrative
//! parts needs to trust no enclave for what it made of the members' statements: [`Audit`] carries each recorded request
//! out again, from the genesis block on, and refuses a ledger in which anything else was written, or told to the
//! verifiers of later blocks. That the blocks themselves are genuine is [`synod_ledger::Verifier`]'s part: run it
//! over the same files, and hand on each block that it has verified.

use std::collections::BTreeMap;

use synod_crypto::{AdminKey, VerifyingKey};
use synod_governance::{
    Caller, Constitution, Env, Event, NodeEntry, ProposalId, Refused, Request, Shared, Status, Tables, execute,
};
use synod_kv::{EntryRefused, State, WriteSet};
use synod_ledger::{
    AdminRecord, BlockKind, GovernancePublic, OpenRefused, RequestRecord, SealedBlock, check_genesis, open_admin,
};
use synod_types::{ActorId, AdapterId, Decode, DecodeError, Digest, Encode, NodeId, Time, TxId};

use crate::governing::rotates;
use crate::government::kind;

/// Re-executes the governance of a ledger, block by block.
#[derive(Default)]
pub struct Audit {
    key: Option<AdminKey>,
    tables: State,
}

/// A governance transaction that was executed again, with the same result.
#[derive(Clone, Debug)]
pub struct Audited {
    /// Its id.
    pub txid: TxId,
    /// Its ledger time.
    pub time: Time,
    /// Who asked for what; `None` for the genesis transaction.
    pub asked: Option<(ActorId, Request)>,
    /// What happened, in order.
    pub events: Vec<Event>,
    /// The proposal that it was about.
    pub proposal: Option<ProposalId>,
    /// Where that proposal stood after it.
    pub status: Option<Status>,
}

/// Why a ledger does not stand up to the audit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditRefused {
    /// The administrative part cannot be opened.
    #[error("the administrative part does not open")]
    Open(#[from] OpenRefused),
    /// What is in it is not what this version writes.
    #[error("the administrative part is not one of this version")]
    Malformed(#[from] DecodeError),
    /// The tables cannot be read with this version.
    #[error("the governance tables are not those of this version")]
    Tables(#[from] EntryRefused),
    /// There is no governance request where there must be one.
    #[error("the block holds no governance request")]
    Missing,
    /// The genesis block writes something else than its constitution.
    #[error("the genesis block writes something else than a constitution")]
    Genesis,
    /// The actor had no part in the network, or another one.
    #[error("actor {actor} was not what the record says at that time")]
    Actor {
        /// Who.
        actor: ActorId,
    },
    /// The request does not do anything, and yet was recorded as done.
    #[error("the recorded request is one that governance refuses: {0}")]
    Refused(String),
    /// The request writes something else.
    #[error("the block writes something else than its request does")]
    WritesDiffer,
    /// What everyone is told of the nodes is not what the tables say.
    #[error("the node list that the block announces is not the one that was decided")]
    NodesDiffer,
    /// A new key of the service is announced and nobody decided that, or the other way round.
    #[error("the block announces a new key of the service without a decision, or keeps the old one against it")]
    ServiceDiffers,
}

impl Audit {
    /// An audit of a ledger whose administrative parts open under `key`, or are public.
    pub fn new(key: Option<AdminKey>) -> Self {
        Self { key, tables: State::default() }
    }

    /// The tables after the last block.
    pub const fn tables(&self) -> &State {
        &self.tables
    }

    /// The constitution after the last block; `None` before the genesis block.
    ///
    /// # Errors
    /// If the tables cannot be read with this version.
    pub fn constitution(&self) -> Result<Option<Constitution>, EntryRefused> {
        Constitution::from_state(&self.tables)
    }

    /// Takes in the next block, which was verified; blocks that hold no governance change nothing and give `None`.
    ///
    /// # Errors
    /// If what it holds is not what re-execution gives. The audit is of no use afterwards.
    pub fn block(&mut self, block: &SealedBlock) -> Result<Option<Audited>, AuditRefused> {
        match block.header.kind {
            BlockKind::Genesis => self.genesis(block).map(Some),
            BlockKind::Governance => self.governance(block).map(Some),
            BlockKind::ViewStart | BlockKind::Application => Ok(None),
        }
    }

    fn genesis(&mut self, block: &SealedBlock) -> Result<Audited, AuditRefused> {
        let (header, admin) = (&block.header, self.open(block)?);
        let writes = WriteSet::from_bytes(&admin.write_set)?;
        let mut tables = State::default();
        tables.apply(&writes, header.first_seqno);
        let constitution = Constitution::from_state(&tables)?.ok_or(AuditRefused::Genesis)?;
        let again = constitution.genesis_writes(header.time).map_err(|_| AuditRefused::Genesis)?;
        if again.to_bytes() != admin.write_set {
            return Err(AuditRefused::Genesis);
        }
        let public = check_genesis(block).map_err(|_| AuditRefused::Genesis)?.0;
        if public.keys.nodes != node_keys(&tables)? {
            return Err(AuditRefused::NodesDiffer);
        }
        self.tables = tables;
        let txid = TxId::new(header.view, header.first_seqno);
        Ok(Audited { txid, time: header.time, asked: None, events: Vec::new(), proposal: None, status: None })
    }

    fn governance(&mut self, block: &SealedBlock) -> Result<Audited, AuditRefused> {
        let (audited, tables) = carry_out_again(&self.tables, block, &self.open(block)?)?;
        self.tables = tables;
        Ok(audited)
    }

    fn open(&self, block: &SealedBlock) -> Result<AdminRecord, AuditRefused> {
        open_admin(block, self.key.as_ref())?.ok_or(AuditRefused::Missing)
    }
}

/// Carries the request of a governance block, whose administrative part is `admin`, out on the tables before it; returns
/// what came of it, and the tables after it.
///
/// # Errors
/// If the block says that anything else came of it.
pub fn carry_out_again(
    tables: &State,
    block: &SealedBlock,
    admin: &AdminRecord,
) -> Result<(Audited, State), AuditRefused> {
    let header = &block.header;
    let record = RequestRecord::from_shared(&admin.detail)?;
    let (AdapterId::GOVERNANCE, [call]) = (record.adapter, &record.calls[..]) else {
        return Err(AuditRefused::Missing);
    };
    let request = Request::from_bytes(&call.input)?;
    let actor = record.actor.id;
    let role = Tables::new(tables).actor(&actor)?.ok_or(AuditRefused::Actor { actor })?.role;
    if record.actor.kind != kind(role) as u8 {
        return Err(AuditRefused::Actor { actor });
    }
    let env = Env { network: header.network, seqno: header.first_seqno, time: header.time };
    // The session had proved who asks; every statement is signed besides.
    let caller = Caller { actor, role, key: Digest(actor.0), valid_until: Time(u64::MAX) };
    let outcome = execute(tables, &env, &caller, &request).map_err(refused)?;
    if outcome.writes.to_bytes() != admin.write_set {
        return Err(AuditRefused::WritesDiffer);
    }
    let mut after = tables.clone();
    after.apply(&outcome.writes, header.first_seqno);
    let public = GovernancePublic::from_bytes(&block.public)?;
    let is_same = Shared::between(tables, &after).nodes();
    let (nodes_before, nodes) = if is_same { Default::default() } else { (node_keys(tables)?, node_keys(&after)?) };
    if public.nodes != (nodes_before != nodes).then_some(nodes) {
        return Err(AuditRefused::NodesDiffer);
    }
    // Which key it is, only nodes can tell; verifiers see that the one before signed it.
    if public.service.is_some() != rotates(tables, &after) {
        return Err(AuditRefused::ServiceDiffers);
    }
    let audited = Audited {
        txid: TxId::new(header.view, header.first_seqno),
        time: header.time,
        asked: Some((actor, request)),
        events: outcome.events,
        proposal: outcome.proposal,
        status: outcome.status,
    };
    Ok((audited, after))
}

fn refused(refused: Refused) -> AuditRefused {
    AuditRefused::Refused(refused.to_string())
}

/// The keys of the node list, as blocks announce them.
pub fn node_keys(tables: &State) -> Result<BTreeMap<NodeId, VerifyingKey>, EntryRefused> {
    let nodes = Tables::new(tables).nodes()?;
    // Governance lists no node whose key is of another kind.
    let key = |(id, node): (NodeId, NodeEntry)| Some((id, VerifyingKey::from_spki_der(&node.public_key).ok()?));
    Ok(nodes.into_iter().filter_map(key).collect())
}

impl std::fmt::Debug for Audit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Audit(..)")
    }
}

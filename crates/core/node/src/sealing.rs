//! The node's keys at work: sealing, checking and opening blocks and the vote record.

use std::sync::Arc;

use bytes::Bytes;
use synod_crypto::{NodeKey, SALT_SIZE, SealingKey, ServiceKey, SessionKeys, VerifyingKey};
use synod_ledger::{
    AdminRecord, BlockRefused, BlockTooLarge, Content, Draft, GenesisPublic, KeyHistory, MaySign, Moment, OpenRefused,
    Opened, Receipt, Sealed, SealedBlock, Sealer, ServiceIdentity, SignerChange, Tip, check, check_alone,
    check_genesis, open,
};
use synod_types::boundary::{EntryKind, LogRecord};
use synod_types::{ConfigurationChange, Decode, DecodeError, Digest, Encode, NodeId, Seqno, TxId};
use synod_worker::{Apply, BlockEnv};

use crate::audit::{AuditRefused, carry_out_again};
use crate::chain::{Position, Readable};
use crate::governing::{self, Governance, rotates};
use crate::probe::{Probe, Stage};
use crate::settings::is_as_decided;
use crate::vote_record::VoteRecord;

/// The keys of this node and the public keys of all.
#[derive(Debug)]
pub struct Seals {
    sealer: Sealer,
    /// Every key of the network up to the end of this node's log.
    keys: KeyHistory,
    own_key: VerifyingKey,
    network: Digest,
}

/// Why an entry was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckRefused {
    /// The payload is not a block.
    #[error("the entry is not a block")]
    NotABlock(#[from] DecodeError),
    /// The block does not continue the ledger, or is not signed.
    #[error("the block does not continue the ledger")]
    Block(#[from] BlockRefused),
    /// The block was sealed under other keys, or what is in it is not what it shows.
    #[error("the block does not open")]
    Sealed(#[from] OpenRefused),
    /// The block does not hold what each of its transactions wrote.
    #[error("the block does not hold what each of its transactions wrote")]
    WithoutContent,
    /// What a transaction of the block wrote cannot be read.
    #[error("a write set of the block cannot be read")]
    WriteSet(#[source] DecodeError),
    /// Not what comes of a governance request on the tables before it.
    #[error("the block does not hold what its governance request leads to")]
    Governance(#[from] AuditRefused),
    /// The block hands an adapter other settings than members have decided, or the same once more.
    #[error("the block hands an adapter settings that are not those which are due")]
    SettingsNotDue,
    /// The service's key after the block is not the one that follows there.
    #[error("the block announces a key of the service that does not follow there")]
    ServiceDiffers,
    /// The record says other things of the block than its header.
    #[error("the record and the header of its block differ")]
    RecordDiffers,
}

impl Seals {
    /// The seals of node `id`, with the genesis block that tells the network's public keys.
    ///
    /// # Errors
    /// If the record is not a genesis block.
    pub fn new(
        id: NodeId,
        genesis: &LogRecord,
        (node_key, service_key, session_keys): (NodeKey, ServiceKey, SessionKeys),
    ) -> Result<(Self, GenesisPublic, Position), CheckRefused> {
        let block = decode(genesis)?;
        let (public, tip) = check_genesis(&block)?;
        let own_key = node_key.verifying_key().clone();
        let sealer = Sealer::new(id, node_key, service_key, session_keys);
        let service = Arc::clone(sealer.service());
        let seals = Self { sealer, keys: KeyHistory::new(&public.keys), own_key, network: tip.network };
        let position = Position::genesis(tip, genesis.clone(), block, service);
        Ok((seals, public, position))
    }

    /// The session keys in force.
    pub const fn session_keys(&self) -> &SessionKeys {
        self.sealer.keys()
    }

    /// The service's public key at the network's beginning, as this node holds it.
    pub fn service_key(&self) -> &VerifyingKey {
        self.sealer.service_key()
    }

    /// The public part of this node's credential.
    pub const fn own_key(&self) -> &VerifyingKey {
        &self.own_key
    }

    /// Whether there ever was a node in the slot `node`, as far as blocks are committed.
    pub fn had_slot(&self, node: NodeId) -> bool {
        self.keys.had_slot(node)
    }

    /// Whether the key with this digest ever was that of the slot `node`, as far as blocks are committed.
    pub fn had_key(&self, node: NodeId, key: Digest) -> bool {
        self.keys.had_key(node, key)
    }

    /// The same of this node's credential and slot.
    pub fn had_own_key(&self) -> bool {
        self.had_key(self.sealer.node(), self.own_key.digest())
    }

    /// The identity that the service takes in the block on `parent`, if it takes a new one there.
    pub fn next_service(&self, parent: &Position) -> Arc<ServiceIdentity> {
        Arc::new(parent.service.next(self.sealer.keys(), parent.tip.network, parent.tip.chain))
    }

    /// The block that opens `moment.view`, on `parent`.
    pub fn seal_view_start(&self, parent: &Position, moment: Moment, salt: [u8; SALT_SIZE]) -> Position {
        self.signed(parent, self.sealer.view_start_draft(&parent.tip, moment, salt))
    }

    /// What a draft on `parent` becomes, signed as the service is there.
    fn signed(&self, parent: &Position, draft: Draft) -> Position {
        position(parent, self.sealer.sign_as(&parent.service, draft))
    }

    /// The block of the transactions in `content`, on `parent`.
    ///
    /// # Errors
    /// If it is larger than a block may be.
    pub fn seal(
        &self,
        parent: &Position,
        moment: Moment,
        content: &Content,
        probe: &mut dyn Probe,
    ) -> Result<Position, BlockTooLarge> {
        let draft = self.sealer.application_draft(&parent.tip, moment, content)?;
        probe.passed(Stage::Sealed);
        let position = self.signed(parent, draft).handing_over(content);
        probe.passed(Stage::Signed);
        Ok(position)
    }

    /// The block of one governance transaction, on `parent`.
    ///
    /// # Errors
    /// If it is larger than a block may be.
    pub fn seal_governance(
        &self,
        parent: &Position,
        moment: Moment,
        admin: &AdminRecord,
        change: SignerChange,
        governance: Governance,
    ) -> Result<Position, BlockTooLarge> {
        let draft = self.sealer.governance_draft(&parent.tip, moment, admin, change)?;
        Ok(self.signed(parent, draft).governed(governance))
    }

    /// Notes the keys that are in force after a committed block; whether the service's is new.
    pub fn note_keys(&mut self, tip: &Tip) -> bool {
        self.keys.note(tip.signers.keys())
    }

    /// Checks that `record` continues `parent`, that its signatures are right, that what it holds can be read, and that
    /// governance led to what it says. So a block that this node could not apply is refused before it is acknowledged,
    /// and opened once only.
    ///
    /// # Errors
    /// If it does not, they are not, or it cannot.
    pub fn check(&self, record: &LogRecord, parent: &Position) -> Result<Position, CheckRefused> {
        let (tip, block) = match record.kind {
            EntryKind::Engine => (parent.tip.after_engine_entry(record.index, record.view)?, None),
            EntryKind::Configuration => {
                let change = ConfigurationChange::from_bytes(&record.payload)?;
                (parent.tip.after_configuration_entry(record.index, record.view, change)?, None)
            }
            EntryKind::Block => {
                let block = decode(record)?;
                (check(&block, &parent.tip)?, Some(block))
            }
        };
        let position = Position::after(parent, tip, record.clone(), block);
        match position.block.clone().filter(|_| record.count > 0) {
            Some(block) => self.opened(&block, parent, position),
            None => Ok(position),
        }
    }

    /// The position with what its block holds.
    fn opened(&self, block: &SealedBlock, parent: &Position, position: Position) -> Result<Position, CheckRefused> {
        let opened = open(block, self.sealer.keys())?;
        let (content, governance) = match (opened.content, opened.admin) {
            (Some(content), _) if !is_as_decided(&content, &parent.settings, &parent.tables) => {
                return Err(CheckRefused::SettingsNotDue);
            }
            (Some(content), _) => (content, None),
            (None, Some(admin)) => {
                let (audited, tables) = carry_out_again(&parent.tables, block, &admin)?;
                let service = rotates(&parent.tables, &tables).then(|| self.next_service(parent));
                let expected = service.as_ref().unwrap_or(&parent.service).verifying_key();
                if position.tip.signers.keys().service != *expected {
                    return Err(CheckRefused::ServiceDiffers);
                }
                (governing::content(&admin)?, Some(Governance { tables, events: audited.events, service }))
            }
            (None, None) => return Err(CheckRefused::WithoutContent),
        };
        let write_sets = content.writing_calls().filter_map(|call| call.write_set.as_ref());
        let apply = Apply::from_encoded(block.header.first_seqno, write_sets).map_err(CheckRefused::WriteSet)?;
        if apply.write_sets.len() != block.header.count as usize {
            return Err(CheckRefused::WithoutContent);
        }
        let position = position.handing_over(&content);
        let position = Position { content: Some(Arc::new(Readable { content, apply })), ..position };
        Ok(match governance {
            Some(governance) => position.governed(governance),
            None => position,
        })
    }

    /// Whether a record that the host read back for a follower is the entry of this index and view. `opens_view` says
    /// whether the entry before is of an earlier view, `change` whether this node knows the entry as a change of the
    /// configuration.
    ///
    /// A view begins with an engine entry, which is unsigned, and all others in it are blocks, but for those changes,
    /// which are unsigned as well and known; so nobody can put an unsigned entry in a block's place.
    pub fn is_authentic(&self, record: &LogRecord, opens_view: bool, change: Option<ConfigurationChange>) -> bool {
        match record.kind {
            EntryKind::Engine => opens_view,
            EntryKind::Configuration => change.is_some_and(|change| record.payload == change.to_bytes()),
            EntryKind::Block => {
                !opens_view && decode(record).is_ok_and(|block| check_alone(&block, &self.keys).is_ok())
            }
        }
    }

    /// Opens a checked block; `None` if it was not sealed under the session keys.
    pub fn open(&self, block: &SealedBlock) -> Option<Opened> {
        open(block, self.sealer.keys()).ok()
    }

    /// The block of a record that the host read back, if it holds the committed transaction `txid` of this network:
    /// only one block ever committed in that view at that seqno, and opening it proves that an enclave sealed it.
    pub fn covering(&self, record: &LogRecord, txid: TxId) -> Option<(SealedBlock, Opened)> {
        let block = decode(record).ok()?;
        let header = &block.header;
        let holds = (header.first_seqno..=header.last_seqno()).contains(&txid.seqno) && header.view == txid.view;
        if !holds || header.network != self.network {
            return None;
        }
        let opened = self.open(&block)?;
        Some((block, opened))
    }

    /// The receipt of transaction `seqno` of a block that the host read back, as bytes to hand out; `None` if it would
    /// not verify under any key that the service had: opening the block proves everything but the signatures.
    pub fn receipt(&self, block: &SealedBlock, opened: &Opened, seqno: Seqno) -> Option<Bytes> {
        let receipt = Receipt::build(block, opened, seqno, self.sealer.keys())?;
        self.keys.service_keys().find_map(|service| {
            let receipt = receipt.to_cose(service);
            Receipt::verify(&receipt, service).ok().map(|_| Bytes::from(receipt))
        })
    }

    /// The vote record as the host may keep it.
    pub fn seal_vote(&self, record: &VoteRecord) -> Bytes {
        let view = record.vote.view.0;
        // Several records may be sealed in one view: GCM-SIV then reveals at most that two are equal.
        let sealed = self.vote_key().seal(view, 0, &self.network.0, record.to_bytes());
        Bytes::from([&view.to_le_bytes()[..], &sealed].concat())
    }

    /// Reads back what [`Self::seal_vote`] made; `None` for anything else.
    pub fn open_vote(&self, sealed: &[u8]) -> Option<VoteRecord> {
        let (view, sealed) = sealed.split_first_chunk::<8>()?;
        let plain = self.vote_key().open(u64::from_le_bytes(*view), 0, &self.network.0, sealed).ok()?;
        VoteRecord::from_bytes(&plain).ok()
    }

    fn vote_key(&self) -> SealingKey {
        SealingKey::vote(&self.sealer.keys().admin, self.sealer.node())
    }
}

fn decode(record: &LogRecord) -> Result<SealedBlock, CheckRefused> {
    let block = SealedBlock::from_shared(&record.payload)?;
    let header = &block.header;
    let facts = (header.index, header.view, header.first_seqno, header.count, EntryKind::Block);
    if facts == (record.index, record.view, record.first_seqno, record.count, record.kind) {
        Ok(block)
    } else {
        Err(CheckRefused::RecordDiffers)
    }
}

fn position(parent: &Position, sealed: Sealed) -> Position {
    let record = sealed.block.to_record();
    Position::after(parent, sealed.tip, record, Some(sealed.block))
}

/// The facts of a block as its leader gave them to the worker.
pub const fn moment(env: &BlockEnv, committed: Seqno) -> Moment {
    Moment { view: env.view, time: env.time, committed }
}

#[cfg(test)]
mod tests {
    use synod_crypto::{AdminKey, ApplicationKey};
    use synod_ledger::{AdminRecord, CallRecord, GenesisParts, RequestRecord, seal_genesis};
    use synod_types::{AdapterId, Epoch, RequestId, Time, View};

    use super::*;

    fn session_keys(application: u8) -> SessionKeys {
        let (application, admin) = (ApplicationKey::new([application; 32]), AdminKey::new([9; 32]));
        SessionKeys { epoch: Epoch(1), application, admin }
    }

    /// A checker, and an elected leader's first block with transactions, sealed under `keys`.
    fn block_under(keys: SessionKeys, written: Vec<u8>) -> (Seals, Position, LogRecord) {
        let (service_key, node_key) = (ServiceKey::from_seed(&[1; 32]), NodeKey::from_seed(&[2; 32]));
        let nodes = [(NodeId(1), node_key.verifying_key().clone())].into();
        let (content, admin) = (Content { setup: Some(Bytes::new()), ..Content::default() }, AdminRecord::default());
        let parts = GenesisParts { content: &content, admin: &admin, admin_is_public: false };
        let genesis = seal_genesis(&service_key, nodes, &session_keys(1), [3; 32], Time(1), parts).unwrap();
        let genesis = genesis.block.to_record();

        let seals = |keys| Seals::new(NodeId(1), &genesis, (node_key.clone(), service_key.clone(), keys)).unwrap();
        let (checker, _, first) = seals(session_keys(1));
        let (leader, ..) = seals(keys);
        let elected = first.tip.after_engine_entry(first.tip.index.next(), View(2)).unwrap();
        let elected = Position::after(&first, elected, genesis.clone(), None);
        let moment = Moment { view: View(2), time: Time(2), committed: Seqno(1) };
        let opened = leader.seal_view_start(&elected, moment, [4; 32]);
        let call = CallRecord { write_set: Some(Bytes::from(written)), ..CallRecord::default() };
        let request = RequestRecord {
            adapter: AdapterId(0),
            actor: synod_ledger::ActorRecord::default(),
            request_id: RequestId([5; 16]),
            calls: vec![call],
        };
        let content = Content { requests: vec![request], ..Content::default() };
        let block = leader.seal(&opened, moment, &content, &mut crate::probe::NoProbe).unwrap();
        (checker, opened, block.record)
    }

    #[test]
    fn a_block_is_read_as_it_is_checked_and_refused_if_it_does_not_open_or_what_it_wrote_cannot_be_read() {
        let (checker, parent, record) = block_under(session_keys(1), synod_kv::WriteSet::default().to_bytes());
        let checked = checker.check(&record, &parent).unwrap();
        assert_eq!(checked.content.unwrap().content.requests[0].request_id, RequestId([5; 16]));

        let (checker, parent, record) = block_under(session_keys(7), synod_kv::WriteSet::default().to_bytes());
        assert!(
            matches!(checker.check(&record, &parent), Err(CheckRefused::Sealed(_))),
            "all of its signatures are right"
        );

        let (checker, parent, record) = block_under(session_keys(1), b"no write set".to_vec());
        assert!(matches!(checker.check(&record, &parent), Err(CheckRefused::WriteSet(_))));
    }
}

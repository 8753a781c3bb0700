//! Sealing: how a leader makes blocks.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use synod_crypto::{
    HmacKey, NodeKey, SALT_SIZE, SEAL_OVERHEAD, SIGNATURE_SIZE, SealingKey, ServiceKey, SessionKeys, Signature,
    VerifyingKey, cose, labels, sha256,
};
use synod_types::{Digest, Encode, Encoder, LogIndex, NodeId, Seqno, Time, TxId, View, limits};

use crate::block::SealedBlock;
use crate::chain::CHAIN_START;
use crate::content::{AdminRecord, CallRecord, Content, RequestRecord, leaves};
use crate::genesis::{GenesisPublic, NodeKeys};
use crate::governance::GovernancePublic;
use crate::header::{BlockHeader, BlockKind};
use crate::merkle::next_root;
use crate::receipt::protected_header;
use crate::tip::Tip;

/// Makes the blocks of one node.
#[derive(Debug)]
pub struct Sealer {
    node: NodeId,
    node_key: NodeKey,
    /// That of the network's beginning.
    service: Arc<ServiceIdentity>,
    keys: SessionKeys,
    evidence_key: HmacKey,
}

/// When and in which view a block is made, and what its leader knows to be committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The leader's view.
    pub view: View,
    /// The block's time; the last block's, if that is later.
    pub time: Time,
    /// The highest seqno that the leader knows to be committed.
    pub committed: Seqno,
}

/// A block just made, and where it leaves the log.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// The block.
    pub block: SealedBlock,
    /// The tip after it.
    pub tip: Tip,
}

impl Sealer {
    /// A sealer for `node`.
    pub fn new(node: NodeId, node_key: NodeKey, service_key: ServiceKey, keys: SessionKeys) -> Self {
        let evidence_key = keys.application.evidence_key();
        Self { node, node_key, service: Arc::new(ServiceIdentity::new(service_key)), keys, evidence_key }
    }

    /// The node's id.
    pub const fn node(&self) -> NodeId {
        self.node
    }

    /// The session keys in force.
    pub const fn keys(&self) -> &SessionKeys {
        &self.keys
    }

    /// The service's identity at the network's beginning.
    pub const fn service(&self) -> &Arc<ServiceIdentity> {
        &self.service
    }

    /// The service's public key at the network's beginning.
    pub fn service_key(&self) -> &VerifyingKey {
        self.service.key.verifying_key()
    }

    /// The block that opens `moment.view` with a fresh `salt`.
    ///
    /// # Panics
    /// If that view is not after every view opened before: the caller was just elected to it.
    pub fn view_start(&self, tip: &Tip, moment: Moment, salt: [u8; SALT_SIZE]) -> Sealed {
        self.sign(self.view_start_draft(tip, moment, salt))
    }

    /// [`Self::view_start`] but for the signatures.
    ///
    /// # Panics
    /// As [`Self::view_start`].
    pub fn view_start_draft(&self, tip: &Tip, moment: Moment, salt: [u8; SALT_SIZE]) -> Draft {
        assert!(moment.view > tip.open_view, "view {} is opened once, after {}", moment.view, tip.open_view);
        let header = BlockHeader { salt, ..self.header(tip, moment, BlockKind::ViewStart) };
        self.draft(tip, header, None)
    }

    /// A block of the transactions in `content`: each call with a write set is one.
    ///
    /// # Errors
    /// If the block would be larger than a block may be; nothing was sealed under this place yet.
    ///
    /// # Panics
    /// If there is none or there are too many, or the view is not open: the caller counted and opened it.
    pub fn application(&self, tip: &Tip, moment: Moment, content: &Content) -> Result<Sealed, BlockTooLarge> {
        Ok(self.sign(self.application_draft(tip, moment, content)?))
    }

    /// A block of one governance transaction, which changes the signers of later blocks as `change` says. Whether
    /// `admin` is sealed was chosen at genesis.
    ///
    /// # Errors
    /// If the block would be larger than a block may be.
    ///
    /// # Panics
    /// If the view is not open.
    pub fn governance(
        &self,
        tip: &Tip,
        moment: Moment,
        admin: &AdminRecord,
        change: SignerChange,
    ) -> Result<Sealed, BlockTooLarge> {
        Ok(self.sign(self.governance_draft(tip, moment, admin, change)?))
    }

    /// [`Self::governance`] but for the signatures.
    ///
    /// # Errors
    /// If the block would be larger than a block may be.
    ///
    /// # Panics
    /// As [`Self::governance`].
    pub fn governance_draft(
        &self,
        tip: &Tip,
        moment: Moment,
        admin: &AdminRecord,
        change: SignerChange,
    ) -> Result<Draft, BlockTooLarge> {
        assert_eq!(moment.view, tip.open_view, "a leader seals in the view that it opened");
        check_size(None, Some(admin))?;
        let SignerChange { nodes, service } = change;
        let public = GovernancePublic { nodes, service, admin: tip.admin_is_public.then(|| admin.clone()) };
        let parts = Parts {
            public: Bytes::from(public.to_bytes()),
            content: None,
            admin: Some(admin),
            admin_is_public: tip.admin_is_public,
        };
        let block = build(self.header(tip, moment, BlockKind::Governance), &parts, &self.keys, &self.evidence_key);
        Ok(Draft { tip: tip.after(&block, Some(&public)), block })
    }

    /// The header as far as the tip and the moment determine it.
    fn header(&self, tip: &Tip, moment: Moment, kind: BlockKind) -> BlockHeader {
        BlockHeader {
            network: tip.network,
            kind,
            index: tip.index.next(),
            view: moment.view,
            first_seqno: tip.seqno.next(),
            count: 0,
            signer: self.node,
            epoch: self.keys.epoch,
            time: moment.time.max(tip.time),
            // An earlier leader may have known more, and what it knew stays true.
            committed: moment.committed.max(tip.committed),
            salt: tip.salt,
            chain: tip.chain,
            parent_root: tip.root,
            root: tip.root,
            public: Digest::default(),
            application: Digest::default(),
            admin: Digest::default(),
        }
    }

    fn draft(&self, tip: &Tip, header: BlockHeader, content: Option<&Content>) -> Draft {
        let parts = Parts { public: Bytes::new(), content, admin: None, admin_is_public: false };
        let block = build(header, &parts, &self.keys, &self.evidence_key);
        Draft { tip: tip.after(&block, None), block }
    }

    /// [`Self::application`] but for the signatures, for who wants to tell the two apart.
    ///
    /// # Errors
    /// If the block would be larger than a block may be.
    ///
    /// # Panics
    /// As [`Self::application`].
    pub fn application_draft(&self, tip: &Tip, moment: Moment, content: &Content) -> Result<Draft, BlockTooLarge> {
        assert_eq!(moment.view, tip.open_view, "a leader seals in the view that it opened");
        check_size(Some(content), None)?;
        Ok(self.draft(tip, self.header(tip, moment, BlockKind::Application), Some(content)))
    }

    /// Signs a block: its header as this node, its root as the service was at the network's beginning.
    pub fn sign(&self, draft: Draft) -> Sealed {
        self.sign_as(&self.service, draft)
    }

    /// Signs a block: its header as this node, its root as the service is where the block stands.
    pub fn sign_as(&self, service: &ServiceIdentity, Draft { mut block, tip }: Draft) -> Sealed {
        block.node_signature = self.node_key.sign_labelled(labels::SIGN_HEADER, &block.header.digest().0);
        block.service_signature = service.sign(block.header.root);
        Sealed { block, tip }
    }
}

/// A block without its signatures.
#[derive(Clone, Debug)]
pub struct Draft {
    block: SealedBlock,
    tip: Tip,
}

/// How a governance transaction changes who signs later blocks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignerChange {
    /// The node list, if it changes.
    pub nodes: Option<BTreeMap<NodeId, VerifyingKey>>,
    /// The service's key, if it changes.
    pub service: Option<VerifyingKey>,
}

/// What a network begins with, as its first block holds it.
#[derive(Clone, Copy, Debug)]
pub struct GenesisParts<'a> {
    /// What the adapters write.
    pub content: &'a Content,
    /// What governance writes.
    pub admin: &'a AdminRecord,
    /// Whether the administrative part, here and in every later block, lies in the clear.
    pub admin_is_public: bool,
}

/// The genesis block: the first transaction, which sets up governance tables and adapters' maps.
///
/// # Errors
/// If the block would be larger than a block may be.
///
/// # Panics
/// If there are more nodes than a network may have: the genesis document was checked.
pub fn seal_genesis(
    service_key: &ServiceKey,
    nodes: BTreeMap<NodeId, VerifyingKey>,
    keys: &SessionKeys,
    salt: [u8; SALT_SIZE],
    time: Time,
    GenesisParts { content, admin, admin_is_public }: GenesisParts<'_>,
) -> Result<Sealed, BlockTooLarge> {
    check_size(Some(content), Some(admin))?;
    assert!(nodes.len() <= limits::NODES_MAX, "a network has at most {} nodes", limits::NODES_MAX);
    let service = ServiceIdentity::new(service_key.clone());
    let public = GenesisPublic {
        keys: NodeKeys { service: service_key.verifying_key().clone(), nodes },
        application_check: keys.application.check_value(),
        admin_check: keys.admin.check_value(),
        admin: admin_is_public.then(|| admin.clone()),
    };
    let header = BlockHeader {
        network: public.network(&salt),
        kind: BlockKind::Genesis,
        index: LogIndex(1),
        view: View(1),
        first_seqno: Seqno(1),
        count: 0,
        signer: NodeId(0),
        epoch: keys.epoch,
        time,
        committed: Seqno(0),
        salt,
        chain: CHAIN_START,
        parent_root: Digest::default(),
        root: Digest::default(),
        public: Digest::default(),
        application: Digest::default(),
        admin: Digest::default(),
    };
    let parts =
        Parts { public: Bytes::from(public.to_bytes()), content: Some(content), admin: Some(admin), admin_is_public };
    let evidence_key = keys.application.evidence_key();
    let mut block = build(header, &parts, keys, &evidence_key);
    block.node_signature = service_key.sign_labelled(labels::SIGN_HEADER, &block.header.digest().0);
    block.service_signature = service.sign(block.header.root);
    Ok(Sealed { tip: Tip::after_genesis(&block, &public), block })
}

/// The service key with the protected header of its receipts, which is the same for all.
#[derive(Debug)]
pub struct ServiceIdentity {
    key: ServiceKey,
    protected: Vec<u8>,
}

impl ServiceIdentity {
    /// The identity of the service that holds `key`.
    pub fn new(key: ServiceKey) -> Self {
        Self { protected: protected_header(key.verifying_key()), key }
    }

    /// The key. It signs certificates too.
    pub const fn key(&self) -> &ServiceKey {
        &self.key
    }

    /// Its public part.
    pub const fn verifying_key(&self) -> &VerifyingKey {
        self.key.verifying_key()
    }

    /// The identity that follows this one if members decide so in the block with the log `chain` before it.
    #[must_use]
    pub fn next(&self, keys: &SessionKeys, network: Digest, chain: Digest) -> Self {
        Self::new(keys.application.next_service_key(&self.key, network, chain))
    }

    fn sign(&self, root: Digest) -> Signature {
        cose::sign1(&self.key, &self.protected, &root.0)
    }
}

struct Parts<'a> {
    public: Bytes,
    content: Option<&'a Content>,
    admin: Option<&'a AdminRecord>,
    /// Whether `public` holds the administrative part, and it is not sealed besides.
    admin_is_public: bool,
}

/// Where a signature will be.
const UNSIGNED: Signature = Signature([0; SIGNATURE_SIZE]);

/// Completes `header` and seals the parts under it; the signatures are still zeros.
fn build(mut header: BlockHeader, parts: &Parts<'_>, keys: &SessionKeys, evidence_key: &HmacKey) -> SealedBlock {
    let (view, first) = (header.view, header.first_seqno);
    let leaves: Vec<Digest> = leaves(header.kind, parts.content, parts.admin, &parts.public)
        .iter()
        .zip(0..)
        .map(|(leaf, offset)| leaf.digest(TxId::new(view, first.plus(offset)), evidence_key))
        .collect();
    let is_empty = header.kind == BlockKind::ViewStart;
    assert!(
        leaves.is_empty() == is_empty && leaves.len() <= limits::BLOCK_TRANSACTIONS_MAX,
        "{} transactions in a block of kind {:?}",
        leaves.len(),
        header.kind
    );
    header.count = leaves.len() as u32;
    header.root = next_root(header.parent_root, &leaves);
    header.public = sha256(&[&parts.public]);

    let associated = header.associated();
    let (leader, salt) = (header.signer, &header.salt);
    let application = parts.content.map(|content| {
        let key = SealingKey::application(&keys.application, view, leader, salt);
        seal_part(&key, first, associated, content, content_size(content))
    });
    let admin = parts.admin.filter(|_| !parts.admin_is_public).map(|admin| {
        let key = SealingKey::admin(&keys.admin, view, leader, salt);
        seal_part(&key, first, associated, admin, PART_OVERHEAD + admin.write_set.len() + admin.detail.len())
    });
    let (application, admin) = (application.unwrap_or_default(), admin.unwrap_or_default());
    header.application = sha256(&[&application]);
    header.admin = sha256(&[&admin]);

    SealedBlock {
        node_signature: UNSIGNED,
        service_signature: UNSIGNED,
        header,
        leaves,
        public: parts.public.clone(),
        application,
        admin,
    }
}

fn seal_part(key: &SealingKey, first: Seqno, associated: Digest, part: &impl Encode, size: usize) -> Bytes {
    let mut plaintext = Encoder::with_capacity(size + SEAL_OVERHEAD);
    part.encode(&mut plaintext);
    Bytes::from(key.seal(first.0, 0, &associated.0, plaintext.finish()))
}

/// Refuses what would not fit a block, before anything is sealed.
fn check_size(content: Option<&Content>, admin: Option<&AdminRecord>) -> Result<(), BlockTooLarge> {
    let admin = admin.map_or(0, |admin| admin.write_set.len() + admin.detail.len());
    let leaves = content.map_or(1, |content| content.writing_calls().count()) * size_of::<Digest>();
    let size = content.map_or(0, content_size) + admin + leaves + BLOCK_OVERHEAD_MAX;
    if size <= limits::BLOCK_BYTES_MAX { Ok(()) } else { Err(BlockTooLarge { size }) }
}

/// At least what a part's encoding takes, and not much more.
fn content_size(content: &Content) -> usize {
    let call = |call: &CallRecord| {
        CALL_OVERHEAD + call.input.len() + call.write_set.as_ref().map_or(0, Bytes::len) + call.reply.len()
    };
    let request = |request: &RequestRecord| REQUEST_OVERHEAD + request.calls.iter().map(call).sum::<usize>();
    let setup = content.setup.as_ref().map_or(0, Bytes::len);
    PART_OVERHEAD + setup + content.requests.iter().map(request).sum::<usize>()
}

/// More than a call takes beside its bytes: three lengths, two tags, claims.
const CALL_OVERHEAD: usize = 48;
/// More than a request takes beside its calls: adapter, actor, request id, count.
const REQUEST_OVERHEAD: usize = 56;
/// More than a part takes beside its records: format, seed, counts, the sealing tag.
const PART_OVERHEAD: usize = 64;
/// More than header, lengths, signatures, and the public part with every node's key take together.
const BLOCK_OVERHEAD_MAX: usize = 8 << 10;

/// A block that would be larger than a block may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("block of about {size} bytes is too large")]
pub struct BlockTooLarge {
    /// About how many bytes it would take.
    pub size: usize,
}

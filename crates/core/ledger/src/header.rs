//! The block header: everything about a block that is not private.

use synod_crypto::{SALT_SIZE, labels, sha256};
use synod_types::codec::DecodeReason;
use synod_types::ids::NUMBER_MAX;
use synod_types::{Decode, DecodeError, Decoder, Digest, Encode, Encoder, Epoch, LogIndex, NodeId, Seqno, Time, View};

/// The header of a block. Its digest is what the node signs and what the chain covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockHeader {
    /// The network.
    pub network: Digest,
    /// What the block is for.
    pub kind: BlockKind,
    /// The block's place in the log.
    pub index: LogIndex,
    /// The view in which the leader proposed it.
    pub view: View,
    /// The first transaction; for a block without any, the one that comes next.
    pub first_seqno: Seqno,
    /// How many transactions the block holds.
    pub count: u32,
    /// The leader who sealed and signed it; none for the genesis block.
    pub signer: NodeId,
    /// The epoch of the session keys.
    pub epoch: Epoch,
    /// The block's time: never before an earlier block's.
    pub time: Time,
    /// The highest seqno that the leader knew to be committed.
    pub committed: Seqno,
    /// The salt of the view, drawn by its leader: part of what the sealing keys are derived from.
    pub salt: [u8; SALT_SIZE],
    /// The chain over every log entry before this one.
    pub chain: Digest,
    /// The root that the block before left.
    pub parent_root: Digest,
    /// The root that this block leaves; it covers the leaves.
    pub root: Digest,
    /// The digest of the public part.
    pub public: Digest,
    /// The digest of the sealed application part.
    pub application: Digest,
    /// The digest of the sealed administrative part.
    pub admin: Digest,
}

/// What a block is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum BlockKind {
    /// The first block: one transaction, with both parts and the keys in its public part.
    Genesis = 0,
    /// Opens a leader's view: no transaction, no parts.
    ViewStart = 1,
    /// Transactions of adapters, in the application part.
    Application = 2,
    /// One governance transaction, in the administrative part.
    Governance = 3,
}

/// The version of header and block.
pub const BLOCK_FORMAT: u16 = 1;

impl BlockHeader {
    /// The digest that stands for the header, and with it for the block.
    pub fn digest(&self) -> Digest {
        sha256(&[labels::SIGN_HEADER.as_bytes(), &[0], &self.to_bytes()])
    }

    /// The last transaction of the block; for a block without any, the one before it.
    pub const fn last_seqno(&self) -> Seqno {
        // Decoding refuses a first seqno of 0.
        Seqno(self.first_seqno.0 - 1 + self.count as u64)
    }

    /// What sealed parts are bound to: the header as it stands before the parts' digests are known.
    pub(crate) fn associated(&self) -> Digest {
        let zero = Digest::default();
        Self { application: zero, admin: zero, ..self.clone() }.digest()
    }
}

impl Encode for BlockHeader {
    fn encode(&self, out: &mut Encoder) {
        BLOCK_FORMAT.encode(out);
        self.network.encode(out);
        (self.kind as u8).encode(out);
        self.index.encode(out);
        self.view.encode(out);
        self.first_seqno.encode(out);
        self.count.encode(out);
        self.signer.encode(out);
        self.epoch.encode(out);
        self.time.encode(out);
        self.committed.encode(out);
        out.raw(&self.salt);
        for digest in [&self.chain, &self.parent_root, &self.root, &self.public, &self.application, &self.admin] {
            digest.encode(out);
        }
    }
}

impl Decode for BlockHeader {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let at = input.reading("block header").clone();
        let not_allowed = || at.error(DecodeReason::ValueNotAllowed);
        if u16::decode(input)? != BLOCK_FORMAT {
            return Err(not_allowed());
        }
        let header = Self {
            network: Digest::decode(input)?,
            kind: BlockKind::decode(input)?,
            index: LogIndex::decode(input)?,
            view: View::decode(input)?,
            first_seqno: Seqno::decode(input)?,
            count: u32::decode(input)?,
            signer: NodeId::decode(input)?,
            epoch: Epoch::decode(input)?,
            time: Time::decode(input)?,
            committed: Seqno::decode(input)?,
            salt: input.array()?,
            chain: Digest::decode(input)?,
            parent_root: Digest::decode(input)?,
            root: Digest::decode(input)?,
            public: Digest::decode(input)?,
            application: Digest::decode(input)?,
            admin: Digest::decode(input)?,
        };
        let numbers = [header.index.0, header.view.0, header.first_seqno.0];
        let in_range = numbers.iter().all(|number| (1..=NUMBER_MAX).contains(number));
        if in_range { Ok(header) } else { Err(not_allowed()) }
    }
}

impl Decode for BlockKind {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let at = input.clone();
        match u8::decode(input)? {
            0 => Ok(Self::Genesis),
            1 => Ok(Self::ViewStart),
            2 => Ok(Self::Application),
            3 => Ok(Self::Governance),
            _ => Err(at.error(DecodeReason::ValueNotAllowed)),
        }
    }
}

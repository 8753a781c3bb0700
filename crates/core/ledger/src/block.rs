//! A sealed block: header, leaves, parts and signatures.

use bytes::Bytes;
use synod_crypto::{Signature, VerifyingKey, cose, labels};
use synod_types::boundary::{EntryKind, LogRecord};
use synod_types::codec::DecodeReason;
use synod_types::{Decode, DecodeError, Decoder, Digest, Encode, Encoder, limits};

use crate::chain::block_entry_digest;
use crate::header::BlockHeader;
use crate::receipt::protected_header;

/// A block as it is replicated and filed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedBlock {
    /// What is known of the block without any key.
    pub header: BlockHeader,
    /// One digest per transaction.
    pub leaves: Vec<Digest>,
    /// What anyone may read: in the genesis block, the public keys.
    pub public: Bytes,
    /// The application part, sealed; empty if the block has none.
    pub application: Bytes,
    /// The administrative part, sealed; empty if the block has none.
    pub admin: Bytes,
    /// The signer's signature over the header's digest; in the genesis block, the service's.
    pub node_signature: Signature,
    /// The service's signature over the root, as receipts carry it.
    pub service_signature: Signature,
}

impl SealedBlock {
    /// Reads a block that fills `bytes`; the parts share its memory.
    ///
    /// # Errors
    /// If `bytes` is not exactly one block.
    pub fn from_shared(bytes: &Bytes) -> Result<Self, DecodeError> {
        let mut input = Decoder::new(bytes);
        let block = Self::decode_with(&mut input, |part| bytes.slice_ref(part))?;
        input.finish()?;
        Ok(block)
    }

    fn decode_with(input: &mut Decoder<'_>, part: impl Fn(&[u8]) -> Bytes) -> Result<Self, DecodeError> {
        if input.rest().len() > limits::BLOCK_BYTES_MAX {
            return Err(input.reading("block").error(DecodeReason::LengthAboveLimit));
        }
        let header = BlockHeader::decode(input)?;
        let leaves: Vec<Digest> = input.reading("leaves of a block").list(limits::BLOCK_TRANSACTIONS_MAX)?;
        if leaves.len() != header.count as usize {
            return Err(input.error(DecodeReason::ValueNotAllowed));
        }
        let mut next = |what| input.reading(what).bytes(limits::BLOCK_BYTES_MAX).map(&part);
        Ok(Self {
            header,
            leaves,
            public: next("public part of a block")?,
            application: next("application part of a block")?,
            admin: next("administrative part of a block")?,
            node_signature: Signature::decode(input.reading("signatures of a block"))?,
            service_signature: Signature::decode(input)?,
        })
    }

    /// The block as a log record.
    pub fn to_record(&self) -> LogRecord {
        LogRecord {
            index: self.header.index,
            view: self.header.view,
            kind: EntryKind::Block,
            first_seqno: self.header.first_seqno,
            count: self.header.count,
            payload: Bytes::from(self.to_bytes()),
        }
    }

    /// The digest of the block as a log entry.
    pub fn entry_digest(&self) -> Digest {
        block_entry_digest(self.header.index, self.header.view, self.header.digest())
    }

    /// Whether the service signed the root.
    pub(crate) fn service_signed(&self, service: &VerifyingKey) -> bool {
        cose::verify1(service, &protected_header(service), &self.header.root.0, &self.service_signature).is_ok()
    }

    /// Whether the holder of `key` signed the header.
    pub(crate) fn header_signed(&self, key: &VerifyingKey) -> bool {
        key.verify_labelled(labels::SIGN_HEADER, &self.header.digest().0, &self.node_signature).is_ok()
    }
}

impl Encode for SealedBlock {
    fn encode(&self, out: &mut Encoder) {
        self.header.encode(out);
        out.list(&self.leaves);
        self.public.encode(out);
        self.application.encode(out);
        self.admin.encode(out);
        self.node_signature.encode(out);
        self.service_signature.encode(out);
    }

    fn to_bytes(&self) -> Vec<u8> {
        let parts = self.public.len() + self.application.len() + self.admin.len();
        let mut out = Encoder::with_capacity(BLOCK_OVERHEAD + 32 * self.leaves.len() + parts);
        self.encode(&mut out);
        out.finish()
    }
}

/// More than header, lengths and signatures take; only spares reallocation.
const BLOCK_OVERHEAD: usize = 640;

impl Decode for SealedBlock {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Self::decode_with(input, Bytes::copy_from_slice)
    }
}

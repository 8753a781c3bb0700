//! Receipts: COSE proofs that one transaction is in the ledger (RFC 9942, with CCF's profile of it).
//!
//! ```text
//! 18([ protected: { 1: -7 (ES256), 4: kid, 395: 2 },       kid: SHA-256 of the service key, in hexadecimal
//!      unprotected: { 396: { -1: [ proof ] } },
//!      payload: nil,                                       detached: the root that the proof leads to
//!      signature ])                                        the service's, 64 bytes
//! proof: { 1: [ write set digest, evidence, claims digest ], 2: [ [ left?, digest ], .. ] }
//! ```
//! The path climbs the block's tree; its last step has the root before the block on its left. The evidence
//! string names the transaction, and so the signature over the root covers its id.
//!
//! The profile is draft-ietf-scitt-receipts-ccf-profile. We accept only the one encoding that we write.

use coset::cbor::Value;
use coset::{
    AsCborValue, CborSerializable, CoseSign1, Header, HeaderBuilder, Label, ProtectedHeader, TaggedCborSerializable,
    iana,
};
use synod_crypto::{SIGNATURE_SIZE, SessionKeys, Signature, VerifyingKey, cose};
use synod_types::{Digest, Seqno, TxId};

use crate::block::SealedBlock;
use crate::leaf::{Leaf, NO_CLAIMS, evidence, evidence_txid};
use crate::merkle::{self, Step};
use crate::open::Opened;

/// A receipt, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    leaf: Leaf,
    evidence: String,
    path: Vec<Step>,
    signature: Signature,
}

/// What a receipt proves to whoever trusts the service key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedReceipt {
    /// The transaction.
    pub txid: TxId,
    /// The digest of what it wrote.
    pub write_set: Digest,
    /// The digest that the adapter chose, if it chose one.
    pub claims: Option<Digest>,
    /// The root over all transactions up to the end of its block.
    pub root: Digest,
}

impl Receipt {
    /// The receipt of transaction `seqno`, which is in `block`; `None` if it is not.
    ///
    /// The caller has seen the block commit: a receipt must not exist before.
    pub fn build(block: &SealedBlock, opened: &Opened, seqno: Seqno, keys: &SessionKeys) -> Option<Self> {
        let header = &block.header;
        let place = usize::try_from(seqno.0.checked_sub(header.first_seqno.0)?).ok()?;
        let leaf = *opened.leaves.get(place)?;
        let mut path = merkle::path(&block.leaves, place);
        path.push(Step { left: true, digest: header.parent_root });
        let evidence = evidence(TxId::new(header.view, seqno), &keys.application.evidence_key());
        Some(Self { leaf, evidence, path, signature: block.service_signature })
    }

    /// The receipt as it is handed out. `service` is the key that signed the block's root.
    pub fn to_cose(&self, service: &VerifyingKey) -> Vec<u8> {
        let proofs = Value::Array(vec![Value::Bytes(self.proof())]);
        let inclusion = Value::Map(vec![(Value::from(INCLUSION_PROOFS), proofs)]);
        let message = CoseSign1 {
            protected: ProtectedHeader { original_data: Some(protected_header(service)), header: Header::default() },
            unprotected: Header { rest: vec![(Label::Int(PROOFS), inclusion)], ..Header::default() },
            payload: None,
            signature: self.signature.0.to_vec(),
        };
        message.to_tagged_vec().expect("a message of ours can be encoded")
    }

    fn proof(&self) -> Vec<u8> {
        let digest = |digest: &Digest| Value::Bytes(digest.0.to_vec());
        let leaf = vec![digest(&self.leaf.write_set), Value::Text(self.evidence.clone()), digest(&self.leaf.claims)];
        let step = |step: &Step| Value::Array(vec![Value::Bool(step.left), digest(&step.digest)]);
        let path = self.path.iter().map(step).collect();
        let proof = Value::Map(vec![
            (Value::from(PROOF_LEAF), Value::Array(leaf)),
            (Value::from(PROOF_PATH), Value::Array(path)),
        ]);
        proof.to_vec().expect("a value of ours can be encoded")
    }

    /// Checks a receipt under the service's public key, which the caller has from a source that it trusts.
    ///
    /// # Errors
    /// If it proves nothing under that key.
    pub fn verify(bytes: &[u8], service: &VerifyingKey) -> Result<VerifiedReceipt, ReceiptRefused> {
        let receipt = Self::parse(bytes, service)?;
        let txid = evidence_txid(&receipt.evidence).ok_or(ReceiptRefused::Malformed { what: "evidence" })?;
        let leaf = receipt.leaf.digest_with(receipt.evidence.as_bytes());
        let root = receipt.path.iter().fold(leaf, |below, step| step.up(below));
        cose::verify1(service, &protected_header(service), &root.0, &receipt.signature)
            .map_err(|_| ReceiptRefused::SignatureInvalid)?;
        let Leaf { write_set, claims } = receipt.leaf;
        Ok(VerifiedReceipt { txid, write_set, claims: (claims != NO_CLAIMS).then_some(claims), root })
    }

    fn parse(bytes: &[u8], service: &VerifyingKey) -> Result<Self, ReceiptRefused> {
        if bytes.len() > RECEIPT_BYTES_MAX {
            return Err(ReceiptRefused::TooLarge { size: bytes.len() });
        }
        let message = CoseSign1::from_tagged_slice(bytes).map_err(|_| ReceiptRefused::Malformed { what: "COSE" })?;
        if message.protected.header.key_id != key_id(service) {
            return Err(ReceiptRefused::OtherService);
        }
        let signature: [u8; SIGNATURE_SIZE] =
            message.signature[..].try_into().map_err(|_| ReceiptRefused::Malformed { what: "signature" })?;
        let proof = proof_of(&message.unprotected).ok_or(ReceiptRefused::Malformed { what: "proof" })?;
        let (leaf, evidence, path) = parse_proof(proof).ok_or(ReceiptRefused::Malformed { what: "proof" })?;
        let receipt = Self { leaf, evidence, path, signature: Signature(signature) };
        // Another encoding of the same values, or values beside ours, would be a second receipt.
        if receipt.to_cose(service) != bytes {
            return Err(ReceiptRefused::Malformed { what: "encoding" });
        }
        Ok(receipt)
    }
}

/// The protected header of every receipt of `service`, encoded.
pub(crate) fn protected_header(service: &VerifyingKey) -> Vec<u8> {
    let header = HeaderBuilder::new()
        .algorithm(iana::Algorithm::ES256)
        .key_id(key_id(service))
        .value(DATA_STRUCTURE, Value::from(DATA_STRUCTURE_CCF))
        .build();
    header.to_cbor_value().and_then(CborSerializable::to_vec).expect("a header of ours can be encoded")
}

fn key_id(service: &VerifyingKey) -> Vec<u8> {
    service.digest().to_hex().into_bytes()
}

/// The only inclusion proof, if the header holds just that.
fn proof_of(header: &Header) -> Option<&[u8]> {
    let [(Label::Int(PROOFS), Value::Map(proofs))] = &header.rest[..] else { return None };
    let [(kind, Value::Array(inclusion))] = &proofs[..] else { return None };
    let [Value::Bytes(proof)] = &inclusion[..] else { return None };
    (*kind == Value::from(INCLUSION_PROOFS)).then_some(proof)
}

fn parse_proof(bytes: &[u8]) -> Option<(Leaf, String, Vec<Step>)> {
    let Value::Map(mut entries) = Value::from_slice(bytes).ok()? else { return None };
    let (path_label, path) = entries.pop()?;
    let (leaf_label, leaf) = entries.pop()?;
    if !entries.is_empty() || leaf_label != Value::from(PROOF_LEAF) || path_label != Value::from(PROOF_PATH) {
        return None;
    }
    let [write_set, Value::Text(evidence), claims] = &leaf.as_array()?[..] else { return None };
    let leaf = Leaf { write_set: digest(write_set)?, claims: digest(claims)? };
    let path: Option<Vec<Step>> = path.as_array()?.iter().map(step).collect();
    Some((leaf, evidence.clone(), path?))
}

fn step(value: &Value) -> Option<Step> {
    let [Value::Bool(left), sibling] = &value.as_array()?[..] else { return None };
    Some(Step { left: *left, digest: digest(sibling)? })
}

fn digest(value: &Value) -> Option<Digest> {
    value.as_bytes()?[..].try_into().ok().map(Digest)
}

/// Header label of the verifiable data structure, and CCF's number in its registry (RFC 9942).
const DATA_STRUCTURE: i64 = 395;
const DATA_STRUCTURE_CCF: i64 = 2;
/// Header label of the proofs, and the label of inclusion proofs among them (RFC 9942).
const PROOFS: i64 = 396;
const INCLUSION_PROOFS: i64 = -1;
/// Labels in an inclusion proof of CCF's profile.
const PROOF_LEAF: i64 = 1;
const PROOF_PATH: i64 = 2;

/// The largest receipt read, in bytes: a path in the largest block takes less than 1 KiB.
const RECEIPT_BYTES_MAX: usize = 16 << 10;

/// Why a receipt was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptRefused {
    /// It is larger than any receipt.
    #[error("receipt of {size} bytes is too large")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
    },
    /// It is not of the form of a receipt.
    #[error("receipt's {what} is not of the form that receipts have")]
    Malformed {
        /// What is not.
        what: &'static str,
    },
    /// It was signed by another service.
    #[error("receipt is of another service than the one expected")]
    OtherService,
    /// It was signed with a key that the service had before or after the receipt's transaction only.
    #[error("receipt of {txid} is signed with a key that was not the service's at that transaction")]
    KeyNotInForce {
        /// The transaction.
        txid: TxId,
    },
    /// What it says was not signed by the service.
    #[error("signature does not fit what the receipt says")]
    SignatureInvalid,
}

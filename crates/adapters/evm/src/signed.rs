//! Signed transactions: decoding, who signed, and what the EVM is told of them.
//!
//! Recovery uses libsecp256k1 and happens before ordering, in [`crate::frontend`]; the ordered step
//! gets the sender beside the raw bytes.

use std::sync::LazyLock;

use alloy_consensus::{EthereumTxEnvelope, Transaction as _, TxEip4844};
use alloy_eips::eip2718::{Decodable2718, Encodable2718};
use alloy_eips::eip7702::{RecoveredAuthority, RecoveredAuthorization, SignedAuthorization};
use alloy_primitives::{Address, B256, Signature, U256, keccak256, uint};
use revm::context::TxEnv;
use revm::context_interface::either::Either;
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use secp256k1::{Message, Secp256k1, VerifyOnly};

/// A signed transaction of type 0, 1, 2, 3 or 4.
pub(crate) type Envelope = EthereumTxEnvelope<TxEip4844>;

/// Who signed a transaction, and its authorizations (EIP-7702).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signers {
    pub(crate) sender: Address,
    /// One for each authorization, in order; `None` where the signature is invalid, which the EVM skips.
    pub(crate) authorities: Vec<Option<Address>>,
}

/// Bytes that are not a transaction, or not one that somebody signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SignedRefused {
    /// The bytes do not decode.
    #[error("transaction does not decode: {0}")]
    Malformed(String),
    /// More bytes than any transaction needs.
    #[error("oversized data: transaction size {0}, limit {TRANSACTION_BYTES_MAX}")]
    TooLarge(usize),
    /// A type byte that no transaction has.
    #[error("transaction type not supported")]
    TypeUnknown,
    /// The signature leads to no sender.
    #[error("invalid sender")]
    SignatureInvalid,
}

/// The largest transaction, in bytes: the largest init code that a network may allow, and as much again. A
/// block holds it twice, as the call and as what the call writes.
pub(crate) const TRANSACTION_BYTES_MAX: usize = 2 << 20;

/// Which signatures are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malleable {
    /// Only those with the smaller `s` (EIP-2): one signature, one hash.
    Refused,
    /// Both, as before Homestead.
    Accepted,
}

/// Decodes a transaction that is all of `raw` and in its only encoding.
pub(crate) fn decode(raw: &[u8]) -> Result<Envelope, SignedRefused> {
    if raw.len() > TRANSACTION_BYTES_MAX {
        return Err(SignedRefused::TooLarge(raw.len()));
    }
    // A legacy transaction is an RLP list, which begins at 0xc0; below are type bytes (EIP-2718).
    match raw.first() {
        Some(0x01..=0x04 | 0xc0..=0xff) => {}
        Some(0x00 | 0x05..=0x7f) => return Err(SignedRefused::TypeUnknown),
        _ => return Err(SignedRefused::Malformed("neither a type byte nor a list".into())),
    }
    let envelope = Envelope::decode_2718_exact(raw).map_err(|error| SignedRefused::Malformed(error.to_string()))?;
    if envelope.encoded_2718() == raw {
        Ok(envelope)
    } else {
        Err(SignedRefused::Malformed("not in its canonical encoding".into()))
    }
}

/// Finds out who signed `envelope`. Costs about as much as executing a token transfer twice.
pub(crate) fn recover(envelope: &Envelope, malleable: Malleable) -> Result<Signers, SignedRefused> {
    let signature = envelope.signature();
    if malleable == Malleable::Refused && signature.s() > ORDER_HALF {
        return Err(SignedRefused::SignatureInvalid);
    }
    let sender = address_of(envelope.signature_hash(), signature).ok_or(SignedRefused::SignatureInvalid)?;
    let authorities = envelope.authorization_list().unwrap_or_default().iter().map(authority).collect();
    Ok(Signers { sender, authorities })
}

/// An authorization with the account that gave it, or the note that nobody did.
pub(crate) fn recovered(authorization: SignedAuthorization) -> RecoveredAuthorization {
    let authority = authority(&authorization).map_or(RecoveredAuthority::Invalid, RecoveredAuthority::Valid);
    RecoveredAuthorization::new_unchecked(authorization.strip_signature(), authority)
}

/// The account that gave an authorization (EIP-7702, "Behavior", step 3).
fn authority(authorization: &SignedAuthorization) -> Option<Address> {
    let signature = authorization.signature().ok()?;
    if signature.s() > ORDER_HALF {
        return None;
    }
    address_of(authorization.signature_hash(), &signature)
}

/// The address whose key made `signature` over `hash` (Yellow Paper, appendix F).
fn address_of(hash: B256, signature: &Signature) -> Option<Address> {
    let mut compact = [0; 64];
    compact[..32].copy_from_slice(&signature.r().to_be_bytes::<32>());
    compact[32..].copy_from_slice(&signature.s().to_be_bytes::<32>());
    let id = if signature.v() { RecoveryId::One } else { RecoveryId::Zero };
    let recoverable = RecoverableSignature::from_compact(&compact, id).ok()?;
    let key = CURVE.recover_ecdsa(Message::from_digest(hash.0), &recoverable).ok()?;
    Some(Address::from_slice(&keccak256(&key.serialize_uncompressed()[1..])[12..]))
}

static CURVE: LazyLock<Secp256k1<VerifyOnly>> = LazyLock::new(Secp256k1::verification_only);

/// Half of the order of secp256k1 (EIP-2).
const ORDER_HALF: U256 = uint!(0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0_U256);

/// What a transaction pays for gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fees {
    /// What its fields say.
    Signed,
    /// Nothing, whatever its fields say: tools put in fees that they make up.
    Free,
}

/// What the EVM executes.
pub(crate) fn tx_env(envelope: Envelope, signers: &Signers, fees: Fees) -> TxEnv {
    let mut env = TxEnv {
        tx_type: envelope.tx_type() as u8,
        caller: signers.sender,
        gas_limit: envelope.gas_limit(),
        gas_price: envelope.max_fee_per_gas(),
        kind: envelope.kind(),
        value: envelope.value(),
        data: envelope.input().clone(),
        nonce: envelope.nonce(),
        chain_id: envelope.chain_id(),
        access_list: envelope.access_list().cloned().unwrap_or_default(),
        gas_priority_fee: envelope.max_priority_fee_per_gas(),
        blob_hashes: envelope.blob_versioned_hashes().unwrap_or_default().to_vec(),
        max_fee_per_blob_gas: envelope.max_fee_per_blob_gas().unwrap_or_default(),
        authorization_list: authorizations(&envelope, signers),
    };
    if fees == Fees::Free {
        env.gas_price = 0;
        env.gas_priority_fee = env.gas_priority_fee.map(|_| 0);
    }
    env
}

fn authorizations(envelope: &Envelope, signers: &Signers) -> Vec<Either<SignedAuthorization, RecoveredAuthorization>> {
    let signed = envelope.authorization_list().unwrap_or_default();
    let authority = |found: &Option<Address>| found.map_or(RecoveredAuthority::Invalid, RecoveredAuthority::Valid);
    let recovered = |(signed, found): (&SignedAuthorization, _)| {
        Either::Right(RecoveredAuthorization::new_unchecked(signed.inner().clone(), authority(found)))
    };
    signed.iter().zip(&signers.authorities).map(recovered).collect()
}

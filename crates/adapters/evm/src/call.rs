//! Calls: what [`crate::frontend`] makes of requests, and the ordered step executes.

use alloy_consensus::Header;
use alloy_primitives::{Address, B256};
use bytes::Bytes;
use synod_types::codec::DecodeReason;
use synod_types::limits::REQUEST_BODY_BYTES_MAX;
use synod_types::{Decode, DecodeError, Decoder, Encode, Encoder};

use crate::alloc::Alloc;
use crate::beside::Beside;
use crate::fork::Forks;
use crate::instance::NAME_SIZE_MAX;
use crate::signed::Signers;

/// A call on one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) instance: String,
    pub(crate) action: Action,
}

/// What to do. The form is the ledger's: numbers and order of the variants stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Execute a signed transaction in the current block of a live instance.
    Transact(SignedTransaction),
    /// Say which nonce comes next for this account, counting what is not committed yet. Writes nothing.
    PendingNonce(Address),
    /// Create a historic instance.
    Create {
        /// Its chain id.
        chain_id: u64,
        /// Its forks.
        forks: Forks,
        /// Its first state, or the first part of it.
        alloc: Alloc,
        /// Hashes of blocks that are not imported.
        ancestors: Vec<(u64, B256)>,
    },
    /// Add to the first state of a historic instance, before its first block.
    Allocate(Alloc),
    /// Open a block of a historic instance.
    OpenBlock {
        /// The header; what execution computes is not read.
        header: Box<Header>,
        /// Uncles and withdrawals.
        beside: Beside,
    },
    /// Close the open block of a historic instance.
    CloseBlock,
    /// End the import: the instance is only read from now on.
    Complete,
    /// Execute a signed transaction in the open block of a historic instance.
    Import(SignedTransaction),
}

/// A signed transaction, and who signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SignedTransaction {
    /// What recovery said of `raw`.
    pub(crate) signers: Signers,
    /// The signed transaction.
    pub(crate) raw: Bytes,
}

/// The most authorizations that any transaction of the largest size can hold: each takes over 64 bytes.
const AUTHORITIES_MAX: usize = REQUEST_BODY_BYTES_MAX / 64;
/// The most ancestors that BLOCKHASH can reach.
pub(crate) const ANCESTORS_MAX: usize = 256;

/// The version of a call's form.
const FORMAT: u8 = 1;

impl Encode for Call {
    fn encode(&self, out: &mut Encoder) {
        FORMAT.encode(out);
        out.bytes(self.instance.as_bytes());
        match &self.action {
            Action::Transact(transaction) => {
                0u8.encode(out);
                transaction.encode(out);
            }
            Action::PendingNonce(address) => {
                1u8.encode(out);
                out.raw(address.as_slice());
            }
            Action::Create { chain_id, forks, alloc, ancestors } => {
                2u8.encode(out);
                chain_id.encode(out);
                forks.encode(out);
                alloc.encode(out);
                out.count(ancestors.len());
                for (number, hash) in ancestors {
                    number.encode(out);
                    out.raw(hash.as_slice());
                }
            }
            Action::Allocate(alloc) => {
                3u8.encode(out);
                alloc.encode(out);
            }
            Action::OpenBlock { header, beside } => {
                4u8.encode(out);
                out.bytes(&alloy_rlp::encode(header));
                let mut bytes = Vec::new();
                beside.encode(&mut bytes);
                out.bytes(&bytes);
            }
            Action::CloseBlock => 5u8.encode(out),
            Action::Complete => 6u8.encode(out),
            Action::Import(transaction) => {
                7u8.encode(out);
                transaction.encode(out);
            }
        }
    }
}

impl Decode for Call {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let refused = input.reading("call").error(DecodeReason::ValueNotAllowed);
        if u8::decode(input)? != FORMAT {
            return Err(refused);
        }
        let name = input.bytes(NAME_SIZE_MAX)?;
        let instance = String::from_utf8(name.to_vec()).map_err(|_| refused.clone())?;
        let action = match u8::decode(input)? {
            0 => Action::Transact(SignedTransaction::decode(input)?),
            1 => Action::PendingNonce(Address::from(input.array()?)),
            2 => Action::Create {
                chain_id: u64::decode(input)?,
                forks: Forks::decode(input)?,
                alloc: Alloc::decode(input)?,
                ancestors: decode_ancestors(input)?,
            },
            3 => Action::Allocate(Alloc::decode(input)?),
            4 => decode_open_block(input)?,
            5 => Action::CloseBlock,
            6 => Action::Complete,
            7 => Action::Import(SignedTransaction::decode(input)?),
            _ => return Err(refused),
        };
        Ok(Self { instance, action })
    }
}

fn decode_ancestors(input: &mut Decoder<'_>) -> Result<Vec<(u64, B256)>, DecodeError> {
    let count = input.count(ANCESTORS_MAX)?;
    (0..count).map(|_| Ok((u64::decode(input)?, B256::new(input.array()?)))).collect()
}

fn decode_open_block(input: &mut Decoder<'_>) -> Result<Action, DecodeError> {
    let refused = input.error(DecodeReason::ValueNotAllowed);
    let header = alloy_rlp::decode_exact(input.bytes(HEADER_SIZE_MAX)?).map_err(|_| refused.clone())?;
    let beside = Beside::decode(input.bytes(REQUEST_BODY_BYTES_MAX)?).map_err(|_| refused)?;
    Ok(Action::OpenBlock { header: Box::new(header), beside })
}

/// Ethereum's headers take about 700 bytes, of which `extraData` may take 32.
const HEADER_SIZE_MAX: usize = 4 << 10;

impl Encode for SignedTransaction {
    fn encode(&self, out: &mut Encoder) {
        self.signers.encode(out);
        out.bytes(&self.raw);
    }
}

impl Decode for SignedTransaction {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let signers = Signers::decode(input)?;
        Ok(Self { signers, raw: Bytes::copy_from_slice(input.bytes(REQUEST_BODY_BYTES_MAX)?) })
    }
}

impl Encode for Signers {
    fn encode(&self, out: &mut Encoder) {
        out.raw(self.sender.as_slice());
        out.count(self.authorities.len());
        for authority in &self.authorities {
            authority.is_some().encode(out);
            if let Some(address) = authority {
                out.raw(address.as_slice());
            }
        }
    }
}

impl Decode for Signers {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let sender = Address::from(input.array()?);
        let count = input.count(AUTHORITIES_MAX)?;
        let mut authority = || Ok(if bool::decode(input)? { Some(Address::from(input.array()?)) } else { None });
        let authorities = (0..count).map(|_| authority()).collect::<Result<_, DecodeError>>()?;
        Ok(Self { sender, authorities })
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::hex;
    use revm::primitives::hardfork::SpecId;

    use super::*;

    #[test]
    fn every_call_reads_back_and_a_torn_one_is_refused() {
        let signers =
            Signers { sender: Address::repeat_byte(1), authorities: vec![None, Some(Address::repeat_byte(2))] };
        let beside = Beside { uncles: vec![Header::default()], withdrawals: Some(Vec::new()) };
        let transaction = SignedTransaction { signers, raw: Bytes::from_static(b"raw") };
        let actions = [
            Action::Transact(transaction.clone()),
            Action::Import(transaction),
            Action::PendingNonce(Address::repeat_byte(4)),
            Action::Create {
                chain_id: 1,
                forks: Forks::always(SpecId::LONDON),
                alloc: Alloc::default(),
                ancestors: vec![(7, B256::repeat_byte(5))],
            },
            Action::Allocate(Alloc::default()),
            Action::OpenBlock { header: Box::default(), beside },
            Action::OpenBlock { header: Box::default(), beside: Beside::default() },
            Action::CloseBlock,
            Action::Complete,
        ];
        let vector = format!("01040000006d61696e00{}020000000001{}03000000726177", "01".repeat(20), "02".repeat(20));
        let first = Call { instance: "main".into(), action: actions[0].clone() };
        assert_eq!(hex::encode(first.to_bytes()), vector);
        for action in actions {
            let call = Call { instance: "main".into(), action };
            let encoding = call.to_bytes();
            for torn in 0..encoding.len() {
                assert!(Call::from_bytes(&encoding[..torn]).is_err(), "{call:?} torn at {torn}");
            }
            assert_eq!(Call::from_bytes(&encoding), Ok(call));
        }
    }
}

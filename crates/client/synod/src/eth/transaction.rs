//! Transactions, signed.

use alloy_primitives::{Address, B256, U256, keccak256};
use secp256k1::{Message, SECP256K1, SecretKey};

use super::rlp::List;

/// What a transaction does, without its signature. Fees are zero: the network is free of gas.
#[derive(Clone, Debug)]
pub struct Call {
    /// The chain.
    pub chain_id: u64,
    /// The sender's nonce.
    pub nonce: u64,
    /// The gas limit.
    pub gas: u64,
    /// The receiver; none creates a contract.
    pub to: Option<Address>,
    /// Wei to transfer.
    pub value: U256,
    /// Call data, or the code that deploys.
    pub data: Vec<u8>,
}

/// Signs `call` as a transaction of type 2 (EIP-1559): the raw bytes to send, and their hash.
pub fn sign(call: &Call, secret: &SecretKey) -> (Vec<u8>, B256) {
    let digest = keccak256(typed(unsigned(call)));
    let signature = SECP256K1.sign_ecdsa_recoverable(Message::from_digest(digest.0), secret);
    let (parity, compact) = signature.serialize_compact();
    let parity = u64::try_from(i32::from(parity)).expect("0 or 1");
    let raw = typed(unsigned(call).u64(parity).number(&compact[..32]).number(&compact[32..]));
    let hash = keccak256(&raw);
    (raw, hash)
}

fn unsigned(call: &Call) -> List {
    List::default()
        .u64(call.chain_id)
        .u64(call.nonce)
        .u64(0)
        .u64(0)
        .u64(call.gas)
        .bytes(call.to.as_ref().map_or(&[], |to| to.as_slice()))
        .number(&call.value.to_be_bytes::<32>())
        .bytes(&call.data)
        .list(List::default())
}

fn typed(list: List) -> Vec<u8> {
    let mut out = vec![2];
    out.extend(list.finish());
    out
}

#[cfg(test)]
mod tests {
    use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};

    use super::*;
    use crate::eth::bench_account;

    #[test]
    fn the_sender_recovers_from_a_signed_transaction() {
        // The last three items of the list are the signature: parity, and two numbers of 32 bytes each.
        let account = bench_account(3);
        let call = Call {
            chain_id: 1337,
            nonce: 7,
            gas: 21_000,
            to: Some(account.address),
            value: U256::from(5),
            data: vec![],
        };
        let (raw, hash) = sign(&call, &account.secret);
        assert_eq!((raw[0], hash), (2, keccak256(&raw)));
        let tail = &raw[raw.len() - 67..];
        let parity = if tail[0] == 0x80 { 0 } else { i32::from(tail[0]) };
        let mut compact = [0; 64];
        compact[..32].copy_from_slice(&tail[2..34]);
        compact[32..].copy_from_slice(&tail[35..]);
        let signature = RecoverableSignature::from_compact(&compact, RecoveryId::try_from(parity).unwrap()).unwrap();
        let digest = Message::from_digest(keccak256(typed(unsigned(&call))).0);
        let key = SECP256K1.recover_ecdsa(digest, &signature).unwrap().serialize_uncompressed();
        assert_eq!(&keccak256(&key[1..])[12..], account.address.as_slice());
    }
}

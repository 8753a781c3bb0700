//! Accounts with keys, and the transactions they sign.

#![allow(dead_code, reason = "each test binary uses a part of this")]
#![allow(clippy::unwrap_used, reason = "a failing helper is a failing test")]

use alloy_consensus::{EthereumTxEnvelope, SignableTransaction, TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxLegacy};
use alloy_eips::eip2718::Encodable2718;
use alloy_eips::eip7702::{Authorization, SignedAuthorization};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, hex, keccak256};
use secp256k1::{Message, PublicKey, Secp256k1, SecretKey};

/// The chain id of the instance `main` in tests.
pub const CHAIN_ID: u64 = 1337;

/// An account with its key.
#[derive(Clone, Copy)]
pub struct Wallet {
    key: SecretKey,
    pub address: Address,
}

impl Wallet {
    /// The account whose key is 32 times `byte`.
    pub fn new(byte: u8) -> Self {
        Self::from_key([byte; 32])
    }

    /// The account with this key.
    pub fn from_key(key: [u8; 32]) -> Self {
        let key = SecretKey::from_byte_array(key).unwrap();
        let public = PublicKey::from_secret_key(&Secp256k1::new(), &key).serialize_uncompressed();
        Self { key, address: Address::from_slice(&keccak256(&public[1..])[12..]) }
    }

    /// Signs a hash.
    pub fn sign(&self, hash: B256) -> Signature {
        let signed = Secp256k1::new().sign_ecdsa_recoverable(Message::from_digest(hash.0), &self.key);
        let (id, compact) = signed.serialize_compact();
        Signature::new(U256::from_be_slice(&compact[..32]), U256::from_be_slice(&compact[32..]), i32::from(id) == 1)
    }

    /// Signs an authorization to run `code_of` as this account's code.
    pub fn authorize(&self, code_of: Address, nonce: u64) -> SignedAuthorization {
        let authorization = Authorization { chain_id: U256::from(CHAIN_ID), address: code_of, nonce };
        let signature = self.sign(authorization.signature_hash());
        authorization.into_signed(signature)
    }

    /// Signs any transaction.
    pub fn envelope<T>(&self, tx: T) -> EthereumTxEnvelope<TxEip4844>
    where
        T: SignableTransaction<Signature>,
        EthereumTxEnvelope<TxEip4844>: From<alloy_consensus::Signed<T>>,
    {
        let signature = self.sign(tx.signature_hash());
        tx.into_signed(signature).into()
    }

    /// Signs any transaction, and gives it as tools send it.
    pub fn signed<T>(&self, tx: T) -> String
    where
        T: SignableTransaction<Signature>,
        EthereumTxEnvelope<TxEip4844>: From<alloy_consensus::Signed<T>>,
    {
        hex::encode_prefixed(self.envelope(tx).encoded_2718())
    }

    /// A transaction of type 2.
    pub fn send(&self, nonce: u64, to: impl Into<TxKind>, value: u64, input: impl Into<Bytes>) -> String {
        self.signed(eip1559(nonce, to.into(), value, input.into()))
    }
}

/// A transaction of type 0, as ethers makes it for a chain without base fee.
pub fn legacy(nonce: u64, to: TxKind, value: u64, input: Bytes) -> TxLegacy {
    let (chain_id, gas_price, gas_limit) = (Some(CHAIN_ID), 0, GAS);
    TxLegacy { chain_id, nonce, gas_price, gas_limit, to, value: U256::from(value), input }
}

/// A transaction of type 1.
pub fn eip2930(nonce: u64, to: TxKind, value: u64, input: Bytes) -> TxEip2930 {
    let value = U256::from(value);
    TxEip2930 {
        chain_id: CHAIN_ID,
        nonce,
        gas_price: 1_000_000_000,
        gas_limit: GAS,
        to,
        value,
        access_list: Default::default(),
        input,
    }
}

/// A transaction of type 2 with fees that nobody here can pay, as wallets make them up.
pub fn eip1559(nonce: u64, to: TxKind, value: u64, input: Bytes) -> TxEip1559 {
    TxEip1559 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: GAS,
        max_fee_per_gas: 2_000_000_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
        to,
        value: U256::from(value),
        access_list: Default::default(),
        input,
    }
}

/// A transaction of type 3.
pub fn eip4844(nonce: u64, to: Address) -> TxEip4844 {
    let mut versioned_hash = B256::repeat_byte(1);
    versioned_hash.0[0] = 1;
    TxEip4844 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: GAS,
        max_fee_per_gas: 1_000_000_000,
        max_fee_per_blob_gas: 1_000_000_000,
        to,
        blob_versioned_hashes: vec![versioned_hash],
        ..TxEip4844::default()
    }
}

/// A transaction of type 4.
pub fn eip7702(nonce: u64, to: Address, authorization_list: Vec<SignedAuthorization>, input: Bytes) -> TxEip7702 {
    let value = U256::ZERO;
    TxEip7702 { chain_id: CHAIN_ID, nonce, gas_limit: GAS, to, value, authorization_list, input, ..Default::default() }
}

/// Enough for a deployment.
pub const GAS: u64 = 2_000_000;

//! Why a signed transaction was not taken, in the words that tools look for.
//!
//! Wallets and libraries decide by these messages (`nonce too low`, `insufficient funds for gas *
//! price + value`, …), so they are go-ethereum's where it has one.

use alloy_primitives::Address;
use revm::context::result::InvalidTransaction;

use crate::error::StateDamaged;
use crate::evm::RunError;
use crate::instance::Instance;
use crate::signed::{Envelope, SignedRefused};

/// Why a signed transaction was not taken. It wrote nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TxRefused {
    /// It does not decode, or nobody signed it.
    #[error(transparent)]
    Signed(#[from] SignedRefused),
    /// Its signature would be valid on every chain.
    #[error("only replay-protected (EIP-155) transactions allowed over RPC")]
    Unprotected,
    /// It carries blobs, for which a ledger has no place.
    #[error("transaction type not supported: blob transactions (type 3) are not accepted here")]
    Blob,
    /// It is on the chain already.
    #[error("already known")]
    AlreadyKnown,
    /// The block's gas limit leaves no room.
    #[error("gas limit reached: the block has {left} gas left, the transaction may use {asked}")]
    BlockFull {
        /// What is left.
        left: u64,
        /// What the transaction may use.
        asked: u64,
    },
    /// Its logs are more than a block, or what is left of one, can hold.
    #[error("the logs of the transaction take more than the block can hold")]
    LogsTooLarge,
    /// It is not valid on this chain in this state; the text says why.
    #[error("{0}")]
    Invalid(String),
    /// This node could not execute it, through no fault of the transaction.
    #[error("internal error: {0}")]
    Broken(String),
}

impl From<StateDamaged> for TxRefused {
    fn from(damaged: StateDamaged) -> Self {
        Self::Broken(damaged.to_string())
    }
}

impl TxRefused {
    /// Why the EVM would not begin with a transaction.
    pub(crate) fn from_run(error: RunError, instance: &Instance, sender: Address, tx: &Facts) -> Self {
        match error {
            RunError::Transaction(invalid) => Self::Invalid(describe(&invalid, instance, sender, tx)),
            other => Self::Broken(other.to_string()),
        }
    }
}

/// What a message may name of a transaction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub(crate) gas_limit: u64,
    pub(crate) chain_id: Option<u64>,
    pub(crate) input_size: usize,
}

impl Facts {
    /// Those of a signed transaction.
    pub(crate) fn of(envelope: &Envelope) -> Self {
        use alloy_consensus::Transaction as _;
        Self { gas_limit: envelope.gas_limit(), chain_id: envelope.chain_id(), input_size: envelope.input().len() }
    }
}

/// go-ethereum's words for why a transaction is invalid (core/error.go, core/txpool/errors.go).
pub(crate) fn describe(invalid: &InvalidTransaction, instance: &Instance, sender: Address, tx: &Facts) -> String {
    use InvalidTransaction as I;
    match invalid {
        I::NonceTooLow { tx, state } => format!("nonce too low: address {sender}, tx: {tx} state: {state}"),
        I::NonceTooHigh { tx, state } => format!("nonce too high: address {sender}, tx: {tx} state: {state}"),
        I::NonceOverflowInTransaction => format!("nonce has max value: address {sender}"),
        I::LackOfFundForMaxFee { fee, balance } => {
            format!("insufficient funds for gas * price + value: address {sender} have {balance} want {fee}")
        }
        I::OverflowPaymentInTransaction => {
            format!("insufficient funds for gas * price + value: address {sender} required balance exceeds 256 bits")
        }
        I::CallGasCostMoreThanGasLimit { initial_gas, gas_limit } => {
            format!("intrinsic gas too low: have {gas_limit}, want {initial_gas}")
        }
        I::GasFloorMoreThanGasLimit { gas_floor, gas_limit } => {
            format!("intrinsic gas too low: have {gas_limit}, want {gas_floor} (floor for data, EIP-7623)")
        }
        I::CallerGasLimitMoreThanBlock => format!("exceeds block gas limit: {} asked for", tx.gas_limit),
        I::TxGasLimitGreaterThanCap { gas_limit, cap } => {
            format!("exceeds block gas limit: {gas_limit} asked for, a transaction may use {cap}")
        }
        I::CreateInitCodeSizeLimit => {
            let limit = instance.limits.code_size_max.saturating_mul(2);
            format!("max initcode size exceeded: code size {} limit {limit}", tx.input_size)
        }
        I::RejectCallerWithCode => format!("sender not an eoa: address {sender}"),
        I::InvalidChainId | I::MissingChainId => {
            let have = tx.chain_id.map_or_else(|| "none".into(), |id| id.to_string());
            format!("invalid chain id for signer: have {have} want {}", instance.chain_id)
        }
        I::PriorityFeeGreaterThanMaxFee => "max priority fee per gas higher than max fee per gas".into(),
        I::GasPriceLessThanBasefee => "max fee per gas less than block base fee".into(),
        I::Eip2930NotSupported | I::Eip1559NotSupported | I::Eip4844NotSupported | I::Eip7702NotSupported => {
            "transaction type not supported".into()
        }
        other => other.to_string(),
    }
}

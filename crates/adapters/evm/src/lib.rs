//! Ethereum on Synod: the EVM adapter.
//!
//! The adapter holds *instances*. Each is a chain of its own, with its own chain id, rules and state.
//! A **live** instance makes an Ethereum block of every ledger block that holds a transaction of its
//! own; gas is free, whatever fees a transaction names. A **historic** instance holds blocks of
//! another chain that were imported with that chain's rules, fees and rewards, through the same
//! door: signed transactions, recovered before ordering, executed in order.
//!
//! Tools speak JSON-RPC to `POST /app/evm/<instance>`. What they ask for at `latest` is committed;
//! nothing uncommitted is shown but a sender's pending nonce.
//!
//! A request's way: [`frontend`] plans it (decoding, signature recovery); [`adapter`] executes its calls, in
//! [`live`] or [`historic`] blocks through [`chain`], [`evm`] and [`settle`]; [`closing`] ends a block;
//! [`rpc`] answers from committed snapshots through [`store`].
//!
//! Sources: the Ethereum execution specifications (ethereum/execution-specs, execution-apis) and the
//! EIPs named where they matter. We deviate where a ledger makes the protocol moot: no state root in
//! live headers, blocks may share a second, and limits on gas and code are a network's policy.

mod account;
mod adapter;
mod alloc;
mod beside;
mod block;
mod call;
mod chain;
mod closing;
mod code_cache;
mod configure;
mod error;
mod evm;
mod fork;
mod frontend;
mod hex;
mod historic;
mod import;
mod instance;
mod live;
mod log_index;
mod maps;
mod predeploys;
mod query;
mod receipt;
mod refusal;
mod rpc;
mod settings;
mod settle;
mod signed;
mod store;
mod varint;

use std::sync::Arc;

use synod_worker::AdapterKit;

/// The adapter's name in paths, genesis documents and names of maps.
pub const NAME: &str = "evm";

/// The EVM adapter.
///
/// ```
/// use synod_types::AdapterId;
/// use synod_worker::Worker;
///
/// let settings = br#"{"instances": [{"name": "main", "chain_id": 1337, "fork": "prague",
///     "alloc": {"0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266": {"balance": "10000000000000000000000"}}}]}"#;
/// let genesis = Worker::genesis(&[synod_evm::kit()], &[(AdapterId(0), settings)])?;
/// assert!(!genesis.is_empty());
/// # Ok::<(), synod_worker::SetupError>(())
/// ```
pub fn kit() -> AdapterKit {
    AdapterKit {
        name: NAME,
        adapter: || Box::new(adapter::EvmAdapter::default()),
        frontend: Arc::new(frontend::EvmFrontend::default()),
    }
}

//! What the tools need of Ethereum: accounts, signed transactions, JSON-RPC.

mod account;
mod block_file;
mod rlp;
pub mod rpc;
mod transaction;

#[cfg(test)]
pub use account::bench_account;
pub use account::{Account, bench_accounts, dev_accounts};
pub use block_file::BlockFile;
pub use rlp::list_of as rlp_list;
pub use transaction::{Call, sign};

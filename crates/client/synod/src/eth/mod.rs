//! What the tools need of Ethereum: accounts, signed transactions, JSON-RPC.

mod account;
mod block_file;
mod rlp;
pub mod rpc;
mod transaction;

pub use account::{Account, BENCH_ACCOUNTS, bench_account, bench_accounts, dev_accounts};
pub use block_file::{BlockFile, RpcTransaction};
pub use rlp::list_of as rlp_list;
pub use transaction::{Call, sign};

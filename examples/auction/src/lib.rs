//! An example adapter: sealed-bid auctions (Vickrey's: the highest bidder wins and pays the second
//! highest bid). Losing bids never leave the nodes.
//!
//! It shows what an adapter may use: who asks, the block's time, ordered maps with ranges, refusals
//! that write nothing, and a claims digest in the receipt.

mod auction;
mod refusal;
mod request;
mod store;

use std::sync::Arc;

use synod_worker::AdapterKit;

pub use refusal::Refusal;

/// The adapter's name in paths and in the genesis document.
pub const NAME: &str = "auction";

/// The adapter, for a worker. Its settings are empty.
pub fn kit() -> AdapterKit {
    AdapterKit { name: NAME, adapter: || Box::new(auction::Auctions), frontend: Arc::new(request::Requests) }
}

//! Contracts that tools expect on every chain.
//!
//! They got there elsewhere through transactions without replay protection, which a live instance
//! refuses, so they are there from the beginning.

use alloy_eips::eip2935::{HISTORY_STORAGE_ADDRESS, HISTORY_STORAGE_CODE};
use alloy_primitives::{Address, Bytes, address, bytes};

use crate::alloc::Alloc;

/// The deterministic deployment proxy: the call data is a salt and init code for CREATE2.
const CREATE2_PROXY: Address = address!("0x4e59b44847b379578588920cA78FbF26c0B4956C");
static CREATE2_PROXY_CODE: Bytes = bytes!(
    "0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3"
);

/// Adds the contracts that `alloc` does not name itself.
pub(crate) fn add(alloc: &mut Alloc) {
    for (address, code) in [(CREATE2_PROXY, &CREATE2_PROXY_CODE), (HISTORY_STORAGE_ADDRESS, &HISTORY_STORAGE_CODE)] {
        // A contract's nonce begins at 1 (EIP-161).
        alloc.add(address, 1, code.clone());
    }
}

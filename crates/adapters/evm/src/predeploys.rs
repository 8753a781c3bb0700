//! Contracts that tools expect on every chain.
//!
//! They got there elsewhere through transactions without replay protection, which a live instance
//! refuses, so they are there from the beginning. `contracts/` holds their sources.

use alloy_eips::eip2935::{HISTORY_STORAGE_ADDRESS, HISTORY_STORAGE_CODE};
use alloy_primitives::{Address, Bytes, address, bytes};
use serde::Deserialize;

use crate::alloc::Alloc;
use crate::hex;

/// The deterministic deployment proxy: the call data is a salt and init code for CREATE2.
const CREATE2_PROXY: Address = address!("0x4e59b44847b379578588920cA78FbF26c0B4956C");
static CREATE2_PROXY_CODE: Bytes = bytes!(
    "0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3"
);

/// Many calls in one.
const MULTICALL3: Address = address!("0xcA11bde05977b3631167028862bE2a173976CA11");
const MULTICALL3_JSON: &str = include_str!("../contracts/Multicall3.json");

/// Who implements which interface for whom (ERC-1820).
const ERC1820_REGISTRY: Address = address!("0x1820a4B7618BdE71Dce8cdc73aAB6C95905faD24");
const ERC1820_REGISTRY_HEX: &str = include_str!("../contracts/Erc1820Registry.hex");

/// Adds the contracts that `alloc` does not name itself.
pub(crate) fn add(alloc: &mut Alloc) {
    let contracts = [
        (CREATE2_PROXY, CREATE2_PROXY_CODE.clone()),
        (HISTORY_STORAGE_ADDRESS, HISTORY_STORAGE_CODE.clone()),
        (MULTICALL3, compiled(MULTICALL3_JSON)),
        (ERC1820_REGISTRY, hex::data(ERC1820_REGISTRY_HEX.trim()).expect("the file is hexadecimal, see the test")),
    ];
    for (address, code) in contracts {
        // A contract's nonce begins at 1 (EIP-161).
        alloc.add(address, 1, code);
    }
}

/// The runtime code that the compiler made.
fn compiled(json: &str) -> Bytes {
    #[derive(Deserialize)]
    struct Compiled {
        runtime: hex::Data,
    }

    let compiled: Compiled = serde_json::from_str(json).expect("the compiler wrote this file, see the test");
    compiled.runtime.0
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{b256, keccak256};

    use super::*;

    #[test]
    fn the_contracts_are_those_that_tools_expect() {
        let mut alloc = Alloc::default();
        add(&mut alloc);
        let code = |address| &alloc.0[&hex::Key(address)].code.0;
        assert_eq!(alloc.len(), 4);
        // The code hash on Ethereum mainnet.
        let registry = b256!("0xf0aa940bb32e37c5f7268b53acc48c7cdd148cd0fc196f30faa00a4d66c0443a");
        assert_eq!(keccak256(code(ERC1820_REGISTRY)), registry);
        assert!(code(MULTICALL3).len() > 1_000);
    }
}

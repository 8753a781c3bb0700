//! The ledger protocols that this software has.

use synod_worker::AdapterKit;

/// All of them; a network's genesis block names those that it uses.
pub fn kits() -> Vec<AdapterKit> {
    vec![synod_log::kit(), synod_evm::kit()]
}

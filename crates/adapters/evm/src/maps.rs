//! The maps of one instance.

use synod_kv::MapName;

/// The names of the maps in which one instance lies: `evm.<instance>.<thing>`.
#[derive(Clone, Debug)]
pub(crate) struct Maps {
    /// Address to [`crate::account::Account`].
    pub(crate) accounts: MapName,
    /// Address and slot to the word, without leading zeros; a slot that holds zero is absent.
    pub(crate) storage: MapName,
    /// Keccak-256 to code.
    pub(crate) code: MapName,
    /// Number (big-endian) to [`crate::block::Block`].
    pub(crate) blocks: MapName,
    /// Block hash to number.
    pub(crate) numbers: MapName,
    /// Number to hash, of blocks that are not here: for the BLOCKHASH opcode of a historic instance.
    pub(crate) ancestors: MapName,
    /// Position to sender and signed bytes.
    pub(crate) transactions: MapName,
    /// Position to [`crate::receipt::Receipt`].
    pub(crate) receipts: MapName,
    /// Transaction hash to position.
    pub(crate) positions: MapName,
    /// The index over logs: see [`crate::log_index`].
    pub(crate) logs: MapName,
    /// The head, and what a historic instance is at: see [`crate::store`].
    pub(crate) meta: MapName,
}

impl Maps {
    /// The maps of the instance with this name, which [`crate::instance::is_name`] accepted.
    pub(crate) fn of(instance: &str) -> Self {
        let map = |thing: &str| {
            MapName::new(&format!("evm.{instance}.{thing}")).expect("instance names have at most 32 allowed characters")
        };
        Self {
            accounts: map("accounts"),
            storage: map("storage"),
            code: map("code"),
            blocks: map("blocks"),
            numbers: map("numbers"),
            ancestors: map("ancestors"),
            transactions: map("transactions"),
            receipts: map("receipts"),
            positions: map("positions"),
            logs: map("logs"),
            meta: map("meta"),
        }
    }
}

/// Instance name to [`crate::instance::Instance`].
pub(crate) const INSTANCES: MapName = MapName::from_static("evm.instances");

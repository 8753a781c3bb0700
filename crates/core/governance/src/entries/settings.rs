//! Rules for blocks, keys, quorums and proposals, each with its documented default.

use std::time::Duration;

use synod_types::Digest;

use crate::bounded::{Name, TextBlob};
use crate::limits::ADAPTER_SETTINGS_BYTES_MAX;
use crate::macros::{record, tagged};

record! {
    /// A ledger protocol that the network runs.
    pub struct AdapterEntry {
        /// Its name, as in paths.
        pub name: Name,
        /// Its settings, in a form of its own.
        pub settings: TextBlob<ADAPTER_SETTINGS_BYTES_MAX>,
    }
}

record! {
    /// The rules for blocks.
    #[derive(Copy)]
    pub struct Rules {
        /// A block closes at this many calls at the latest.
        pub block_calls_max: u32,
        /// A block closes when its oldest request has waited this long while earlier blocks were not yet committed,
        /// in microseconds.
        pub block_delay_us: u64,
        /// How many blocks may be executed ahead of the committed one.
        pub blocks_uncommitted_max: u32,
    }
}

impl Default for Rules {
    /// Blocks that take a few milliseconds to execute and sync, and enough of them under way that neither the worker
    /// nor the disk waits for the other.
    fn default() -> Self {
        Self { block_calls_max: 1_000, block_delay_us: 2_000, blocks_uncommitted_max: 8 }
    }
}

impl Rules {
    /// [`Rules::block_delay_us`] as a duration.
    pub const fn block_delay(&self) -> Duration {
        Duration::from_micros(self.block_delay_us)
    }
}

record! {
    /// How long session keys are used, and kept.
    #[derive(Copy)]
    pub struct Epochs {
        /// A new epoch begins after so many seconds at the latest.
        pub length_seconds: u64,
        /// Enclaves forget an epoch's keys so many seconds after its end.
        pub key_lifetime_seconds: u64,
    }
}

impl Default for Epochs {
    /// A day under one key; a week in memory, so that history of a holiday is still served.
    fn default() -> Self {
        Self { length_seconds: 86_400, key_lifetime_seconds: 7 * 86_400 }
    }
}

tagged! {
    /// How many nodes decide.
    #[derive(Copy, Default)]
    pub enum Quorums {
        /// More than half, to commit and to elect. The default.
        #[default]
        0 => Majority,
        /// These numbers.
        1 => Sizes {
            /// How many nodes commit a block.
            commit: u32,
            /// How many nodes elect a leader.
            election: u32,
        },
    }
}

tagged! {
    /// When a node acknowledges a block.
    #[derive(Copy, Default)]
    pub enum Durability {
        /// When it is synced to its disk. The default.
        #[default]
        0 => Synced,
        /// When it is in the enclave's memory.
        1 => Replicated,
    }
}

tagged! {
    /// Who may propose an action.
    #[derive(Copy, Default)]
    pub enum Proposers {
        /// Members only. The default, but for nodes.
        #[default]
        0 => Members,
        /// Any actor; a participant only for itself and its own nodes. The default for nodes.
        1 => Actors,
    }
}

tagged! {
    /// Who can read the governance transactions in the ledger's files.
    #[derive(Copy, Default)]
    pub enum AdminPart {
        /// Who has the administrative key. The default: the constitution holds sensitive facts.
        #[default]
        0 => Sealed,
        /// Everybody who has the files. Only genesis can choose it.
        1 => Public,
    }
}

record! {
    /// What genesis decides for good.
    pub struct NetworkEntry {
        /// What people call the network.
        pub name: Name,
        /// Who can read the governance transactions.
        pub admin: AdminPart,
    }
}

record! {
    /// The service's identity, as far as members decide on it.
    #[derive(Copy, Default)]
    pub struct ServiceEntry {
        /// How often members asked for a new identity.
        pub rotations: u64,
    }
}

/// All settings in force, defaults filled in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The rules for blocks.
    pub rules: Rules,
    /// How long session keys are used, and kept.
    pub epochs: Epochs,
    /// How many nodes decide.
    pub quorums: Quorums,
    /// When a node acknowledges a block.
    pub durability: Durability,
    /// How long a node may run before it has to prove itself anew, in seconds; `None`: for as long as it runs.
    pub lease_seconds: Option<u64>,
    /// How long proposals stay open if they do not say, in seconds; `None`: until they are decided.
    pub proposal_expiry_seconds: Option<u64>,
}

/// Names a digest in a map's key.
pub fn digest_key(digest: &Digest, name: &Name) -> Vec<u8> {
    [&digest.0[..], name.as_str().as_bytes()].concat()
}

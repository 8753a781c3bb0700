//! The adapter's settings, and the first blocks that they make.

use std::collections::{BTreeMap, BTreeSet};

use alloy_consensus::Header;
use alloy_consensus::proofs::ordered_trie_root_encoded;
use revm::primitives::hardfork::SpecId;
use serde::Deserialize;
use synod_kv::{Lookup, Tx};

use crate::alloc::Alloc;
use crate::beside::Beside;
use crate::block::Block;
use crate::chain::Chain;
use crate::fork::{self, Forks};
use crate::hex::Number;
use crate::historic::put_instance;
use crate::instance::{Instance, Kind, Limits, NAME_SIZE_MAX, is_name};
use crate::live::live_header;
use crate::maps::{INSTANCES, Maps};
use crate::predeploys;

/// The settings: the live instances of the network.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) instances: Vec<LiveInstance>,
}

/// A live instance.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LiveInstance {
    pub(crate) name: String,
    chain_id: Number<u64>,
    /// `cancun`, `prague` or `osaka`.
    #[serde(default = "prague")]
    pub(crate) fork: String,
    /// The most gas of one transaction or call.
    gas_limit: Option<Number<u64>>,
    /// The gas limit in block headers.
    block_gas_limit: Option<Number<u64>>,
    /// The largest contract, in bytes.
    code_size_max: Option<Number<u64>>,
    /// The time of block 0, in seconds since the Unix epoch.
    #[serde(default)]
    timestamp: Number<u64>,
    /// Whether contracts that tools expect everywhere are there from the beginning.
    #[serde(default = "yes")]
    predeploys: bool,
    #[serde(default)]
    alloc: Alloc,
}

fn prague() -> String {
    "prague".into()
}

const fn yes() -> bool {
    true
}

/// The largest contract that a network may allow: what each first call of it has to analyse.
const CODE_SIZE_MAX: u64 = 512 << 10;
/// The most gas that a network may allow one transaction: some seconds of computation.
const GAS_LIMIT_MAX: u64 = 2_000_000_000;

/// How many live instances a network may have: each costs milliseconds when settings are tried, which whoever may
/// propose can ask for.
const INSTANCES_MAX: usize = 64;

/// Writes the instances of `settings`; an error says what is wrong with them.
pub(crate) fn write_genesis(tx: &mut Tx<'_>, settings: &[u8]) -> Result<(), String> {
    Settings::parse(settings)?.instances.into_iter().try_for_each(|live| live.write(tx))
}

impl Settings {
    /// Reads settings whose instances are told apart, by their names and by what is signed for them.
    pub(crate) fn parse(settings: &[u8]) -> Result<Self, String> {
        let settings: Self = serde_json::from_slice(settings).map_err(|error| error.to_string())?;
        let count = settings.instances.len();
        if count > INSTANCES_MAX {
            return Err(format!("{count} instances: a network has {INSTANCES_MAX} at most"));
        }
        let (mut names, mut chains) = (BTreeSet::new(), BTreeMap::new());
        for LiveInstance { name, chain_id, .. } in &settings.instances {
            if !names.insert(name) {
                return Err(format!("instance {name} is named twice"));
            }
            if let Some(other) = chains.insert(chain_id.0, name) {
                return Err(format!(
                    "instances {other} and {name} have one chain id: what is signed for one could be sent to the other"
                ));
            }
        }
        Ok(settings)
    }
}

impl LiveInstance {
    pub(crate) fn write(mut self, tx: &mut Tx<'_>) -> Result<(), String> {
        if !is_name(&self.name) {
            return Err(format!(
                "instance name {:?}: 1 to {NAME_SIZE_MAX} characters of a-z, 0-9 and hyphen",
                self.name
            ));
        }
        if tx.has(&INSTANCES, self.name.as_bytes()) {
            return Err(format!("there is an instance {} already", self.name));
        }
        let fork = self.fork()?;
        let kind = Kind::Live;
        let instance = Instance { chain_id: self.chain_id.0, forks: Forks::always(fork), limits: self.limits()?, kind };
        if self.predeploys {
            predeploys::add(&mut self.alloc);
        }
        put_instance(tx, &self.name, &instance);
        let chain = Chain { instance, maps: Maps::of(&self.name) };
        self.alloc.write(tx, &chain.maps);
        chain.put_head(tx, &self.block_zero(&chain, fork));
        Ok(())
    }

    /// What of the instance's beginning is not as in `other`.
    pub(crate) fn beginning<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'static str> + 'a {
        let same = [
            ("chain_id", self.chain_id == other.chain_id),
            ("timestamp", self.timestamp == other.timestamp),
            ("predeploys", self.predeploys == other.predeploys),
            ("alloc", self.alloc == other.alloc),
        ];
        same.into_iter().filter(|(_, is_same)| !is_same).map(|(what, _)| what)
    }

    pub(crate) fn fork(&self) -> Result<SpecId, String> {
        let live = |fork: &SpecId| fork.is_enabled_in(SpecId::CANCUN);
        let known = fork::by_name(&self.fork).filter(live);
        known.ok_or_else(|| format!("fork {:?} of instance {}: cancun, prague or osaka", self.fork, self.name))
    }

    pub(crate) fn limits(&self) -> Result<Limits, String> {
        let or = |given: Option<Number<u64>>, default| given.map_or(default, |Number(limit)| limit);
        let limits = Limits {
            gas_limit: or(self.gas_limit, Limits::DEFAULT.gas_limit),
            block_gas_limit: or(self.block_gas_limit, Limits::DEFAULT.block_gas_limit),
            code_size_max: or(self.code_size_max, Limits::DEFAULT.code_size_max),
        };
        if limits.gas_limit > GAS_LIMIT_MAX || limits.code_size_max > CODE_SIZE_MAX {
            return Err(format!(
                "instance {}: gas_limit is at most {GAS_LIMIT_MAX}, code_size_max {CODE_SIZE_MAX}",
                self.name
            ));
        }
        if limits.block_gas_limit < limits.gas_limit || limits.block_gas_limit > Limits::DEFAULT.block_gas_limit {
            let max = Limits::DEFAULT.block_gas_limit;
            return Err(format!("instance {}: block_gas_limit is at least gas_limit and at most {max}", self.name));
        }
        Ok(limits)
    }

    fn block_zero(&self, chain: &Chain, fork: SpecId) -> Block {
        let empty = ordered_trie_root_encoded::<Vec<u8>>(&[]);
        let header = Header {
            timestamp: self.timestamp.0,
            gas_limit: chain.instance.limits.block_gas_limit,
            transactions_root: empty,
            receipts_root: empty,
            withdrawals_root: Some(empty),
            ..live_header(fork)
        };
        Block::empty(header, Beside { withdrawals: Some(Vec::new()), ..Beside::default() })
    }
}

//! Forks: which rules are in force at which block.

use alloy_eips::eip4844::BLOB_GASPRICE_UPDATE_FRACTION as BLOB_FRACTION_CANCUN;
use alloy_eips::eip7691::BLOB_GASPRICE_UPDATE_FRACTION_PECTRA as BLOB_FRACTION_PRAGUE;
use alloy_primitives::U256;
use revm::primitives::hardfork::SpecId;
use synod_types::codec::DecodeReason;
use synod_types::{Decode, DecodeError, Decoder, Encode, Encoder};

/// When a fork takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activation {
    /// From this block number on.
    Block(u64),
    /// From the first block at or after this time, in seconds since the Unix epoch.
    Time(u64),
}

/// The forks of one chain, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Forks(Vec<(Activation, SpecId)>);

/// The most forks that one chain may name: Ethereum has had fewer than half as many.
const FORKS_MAX: usize = 32;

/// Ethereum's own schedule: execution-specs, "Ethereum Protocol Releases". Forks that changed only
/// the difficulty bomb are left out, and so are those that changed only blob parameters (EIP-7892).
const MAINNET: &[(Activation, SpecId)] = &[
    (Activation::Block(0), SpecId::FRONTIER),
    (Activation::Block(1_150_000), SpecId::HOMESTEAD),
    (Activation::Block(2_463_000), SpecId::TANGERINE),
    (Activation::Block(2_675_000), SpecId::SPURIOUS_DRAGON),
    (Activation::Block(4_370_000), SpecId::BYZANTIUM),
    (Activation::Block(7_280_000), SpecId::PETERSBURG),
    (Activation::Block(9_069_000), SpecId::ISTANBUL),
    (Activation::Block(12_244_000), SpecId::BERLIN),
    (Activation::Block(12_965_000), SpecId::LONDON),
    (Activation::Block(15_537_394), SpecId::MERGE),
    (Activation::Time(1_681_338_455), SpecId::SHANGHAI),
    (Activation::Time(1_710_338_135), SpecId::CANCUN),
    (Activation::Time(1_746_612_311), SpecId::PRAGUE),
    (Activation::Time(1_764_798_551), SpecId::OSAKA),
];

impl Forks {
    /// The same rules at every block.
    pub(crate) fn always(fork: SpecId) -> Self {
        Self(vec![(Activation::Block(0), fork)])
    }

    /// These forks, and from block `number` on a later one.
    #[must_use]
    pub(crate) fn raised(mut self, number: u64, fork: SpecId) -> Self {
        self.0.push((Activation::Block(number), fork));
        self
    }

    /// Ethereum mainnet's forks.
    pub(crate) fn mainnet() -> Self {
        Self(MAINNET.to_vec())
    }

    /// Forks as a user listed them. `None` if there are none or too many.
    pub(crate) fn listed(mut forks: Vec<(Activation, SpecId)>) -> Option<Self> {
        forks.sort_by_key(|(_, fork)| *fork);
        (!forks.is_empty() && forks.len() <= FORKS_MAX).then_some(Self(forks))
    }

    /// The rules in force in the block with this number and time.
    pub(crate) fn at(&self, number: u64, timestamp: u64) -> SpecId {
        let in_force = |activation: &Activation| match *activation {
            Activation::Block(from) => number >= from,
            Activation::Time(from) => timestamp >= from,
        };
        let latest = self.0.iter().rev().find(|(activation, _)| in_force(activation));
        latest.map_or(SpecId::FRONTIER, |(_, fork)| *fork)
    }
}

/// The fork that users call `name`.
pub(crate) fn by_name(name: &str) -> Option<SpecId> {
    Some(match name.to_ascii_lowercase().as_str() {
        "frontier" => SpecId::FRONTIER,
        "homestead" => SpecId::HOMESTEAD,
        "tangerine" | "tangerine whistle" | "eip150" => SpecId::TANGERINE,
        "spurious dragon" | "spuriousdragon" | "eip158" => SpecId::SPURIOUS_DRAGON,
        "byzantium" => SpecId::BYZANTIUM,
        "constantinople" | "petersburg" => SpecId::PETERSBURG,
        "istanbul" | "muir glacier" | "muirglacier" => SpecId::ISTANBUL,
        "berlin" => SpecId::BERLIN,
        "london" | "arrow glacier" | "gray glacier" => SpecId::LONDON,
        "paris" | "merge" => SpecId::MERGE,
        "shanghai" => SpecId::SHANGHAI,
        "cancun" => SpecId::CANCUN,
        "prague" => SpecId::PRAGUE,
        "osaka" => SpecId::OSAKA,
        _ => return None,
    })
}

/// How fast the blob fee follows demand (EIP-4844, EIP-7691).
pub(crate) fn blob_fraction(fork: SpecId) -> u64 {
    let fraction = if fork.is_enabled_in(SpecId::PRAGUE) { BLOB_FRACTION_PRAGUE } else { BLOB_FRACTION_CANCUN };
    u64::try_from(fraction).expect("both fractions are constants below 2^23")
}

/// What the beneficiary of a block gets under proof of work (EIP-649, EIP-1234).
pub(crate) fn block_reward(fork: SpecId) -> U256 {
    let ether = match fork {
        fork if fork.is_enabled_in(SpecId::MERGE) => 0,
        fork if fork.is_enabled_in(SpecId::PETERSBURG) => 2,
        fork if fork.is_enabled_in(SpecId::BYZANTIUM) => 3,
        _ => 5,
    };
    U256::from(ether) * U256::from(1_000_000_000_000_000_000u64)
}

impl Encode for Forks {
    fn encode(&self, out: &mut Encoder) {
        out.count(self.0.len());
        for (activation, fork) in &self.0 {
            let (kind, from) = match *activation {
                Activation::Block(number) => (0u8, number),
                Activation::Time(time) => (1, time),
            };
            kind.encode(out);
            from.encode(out);
            (*fork as u8).encode(out);
        }
    }
}

impl Decode for Forks {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let count = input.reading("forks").count(FORKS_MAX)?;
        let mut forks = Vec::with_capacity(count);
        for _ in 0..count {
            let refused = input.error(DecodeReason::ValueNotAllowed);
            let activation = match (u8::decode(input)?, u64::decode(input)?) {
                (0, number) => Activation::Block(number),
                (1, time) => Activation::Time(time),
                _ => return Err(refused),
            };
            forks.push((activation, SpecId::try_from_u8(u8::decode(input)?).ok_or(refused)?));
        }
        Ok(Self(forks))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mainnet_blocks_run_under_the_rules_of_their_height() {
        let rows = [
            (0, 0, SpecId::FRONTIER),
            (4_330_482, 1_506_949_359, SpecId::SPURIOUS_DRAGON),
            (4_864_590, 1_515_258_914, SpecId::BYZANTIUM),
            (11_814_555, 1_612_771_997, SpecId::ISTANBUL),
            (13_287_210, 1_632_469_324, SpecId::LONDON),
            (15_538_827, 1_663_241_603, SpecId::MERGE),
            (17_666_333, 1_689_029_411, SpecId::SHANGHAI),
            (19_933_597, 1_716_479_567, SpecId::CANCUN),
            (22_431_084, 1_746_612_311, SpecId::PRAGUE),
        ];
        for (number, time, fork) in rows {
            assert_eq!(Forks::mainnet().at(number, time), fork, "block {number}");
        }
    }

    #[test]
    fn forks_read_back_as_written() {
        let forks = Forks::mainnet();
        assert_eq!(Forks::from_bytes(&forks.to_bytes()), Ok(forks));
        assert_eq!(Forks::listed(Vec::new()), None);
    }

    #[test]
    fn a_fork_that_is_added_leaves_earlier_blocks_their_rules() {
        let forks = Forks::always(SpecId::CANCUN).raised(7, SpecId::PRAGUE).raised(7, SpecId::OSAKA);
        let at = |number| forks.at(number, 1_700_000_000);
        assert_eq!((at(0), at(6), at(7), at(8)), (SpecId::CANCUN, SpecId::CANCUN, SpecId::OSAKA, SpecId::OSAKA));
    }

    #[test]
    fn cancuns_blob_fee_follows_its_own_fraction() {
        assert_eq!(blob_fraction(SpecId::CANCUN), 3_338_477);
        assert_eq!(blob_fraction(SpecId::PRAGUE), 5_007_716);
    }
}

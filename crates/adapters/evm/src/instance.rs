//! Instances: what one chain within the adapter is, and the rules it runs under.

use revm::primitives::hardfork::SpecId;
use synod_types::codec::DecodeReason;
use synod_types::{ActorId, Decode, DecodeError, Decoder, Encode, Encoder};

use crate::fork::Forks;

/// The longest name of an instance: the names of its maps stay within 64 characters.
pub(crate) const NAME_SIZE_MAX: usize = 32;

/// Whether `name` may name an instance: lower-case letters, digits and hyphens.
pub(crate) fn is_name(name: &str) -> bool {
    let allowed = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    (1..=NAME_SIZE_MAX).contains(&name.len()) && name.bytes().all(allowed)
}

/// One chain within the adapter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Instance {
    pub(crate) chain_id: u64,
    pub(crate) forks: Forks,
    pub(crate) limits: Limits,
    pub(crate) kind: Kind,
}

/// Where an instance's blocks come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A block for each block of the ledger; gas is free.
    Live,
    /// Imported from another chain, fees and all, by the actor who created it. Never becomes live.
    Historic {
        /// The only actor who may import.
        importer: ActorId,
        /// Whether the import is over: from then on the instance is only read.
        complete: bool,
    },
}

/// What one transaction and one block of a live instance may take: policy, where Ethereum has protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// The most gas of one transaction, call or estimate.
    pub(crate) gas_limit: u64,
    /// The gas limit in block headers. Blocks are bounded by the ledger, so this is no bound in practice.
    pub(crate) block_gas_limit: u64,
    /// The largest contract, in bytes. Init code may be twice as large (EIP-3860).
    pub(crate) code_size_max: u64,
}

impl Limits {
    /// The defaults. `gas_limit`: what a large deployment takes, several times over, and about 0.1 s of
    /// computation. `block_gas_limit`: the largest integer that JavaScript holds exactly. `code_size_max`: EIP-170.
    pub(crate) const DEFAULT: Self =
        Self { gas_limit: 30_000_000, block_gas_limit: 0x1f_ffff_ffff_ffff, code_size_max: 24_576 };
}

impl Instance {
    /// Whether blocks of this instance open and close with those of the ledger.
    pub(crate) const fn is_live(&self) -> bool {
        matches!(self.kind, Kind::Live)
    }

    /// The rules in force in a block.
    pub(crate) fn fork_at(&self, number: u64, timestamp: u64) -> SpecId {
        self.forks.at(number, timestamp)
    }

    /// The rules for questions on the state after a block. Of a live instance they are those of the next block, which may be
    /// long in coming: what is asked is what a transaction would do.
    pub(crate) fn fork_of_questions(&self, number: u64, timestamp: u64) -> SpecId {
        self.fork_at(number + u64::from(self.is_live()), timestamp)
    }
}

/// The version of this record's form, and of the forms in all maps of the instance.
const FORMAT: u8 = 1;

impl Encode for Instance {
    fn encode(&self, out: &mut Encoder) {
        FORMAT.encode(out);
        self.chain_id.encode(out);
        self.forks.encode(out);
        self.limits.gas_limit.encode(out);
        self.limits.block_gas_limit.encode(out);
        self.limits.code_size_max.encode(out);
        match self.kind {
            Kind::Live => 0u8.encode(out),
            Kind::Historic { importer, complete } => {
                1u8.encode(out);
                importer.encode(out);
                complete.encode(out);
            }
        }
    }
}

impl Decode for Instance {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let refused = input.reading("instance").error(DecodeReason::ValueNotAllowed);
        if u8::decode(input)? != FORMAT {
            return Err(refused);
        }
        let chain_id = u64::decode(input)?;
        let forks = Forks::decode(input)?;
        let limits = Limits {
            gas_limit: u64::decode(input)?,
            block_gas_limit: u64::decode(input)?,
            code_size_max: u64::decode(input)?,
        };
        let kind = match u8::decode(input)? {
            0 => Kind::Live,
            1 => Kind::Historic { importer: ActorId::decode(input)?, complete: bool::decode(input)? },
            _ => return Err(refused),
        };
        Ok(Self { chain_id, forks, limits, kind })
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::hex;

    use super::*;

    #[test]
    fn an_instance_reads_back_as_written() {
        let live =
            Instance { chain_id: 7, forks: Forks::always(SpecId::PRAGUE), limits: Limits::DEFAULT, kind: Kind::Live };
        let historic = Instance {
            forks: Forks::mainnet(),
            kind: Kind::Historic { importer: ActorId([9; 32]), complete: true },
            ..live.clone()
        };
        let vector = "010700000000000000010000000000000000000000000c80c3c90100000000ffffffffffff1f00006000000000000000";
        assert_eq!(hex::encode(live.to_bytes()), vector);
        for instance in [live, historic] {
            let mut encoding = instance.to_bytes();
            assert_eq!(Instance::from_bytes(&encoding), Ok(instance));
            encoding[0] = FORMAT + 1;
            assert!(Instance::from_bytes(&encoding).is_err(), "a later form is not guessed at");
        }
    }

    #[test]
    fn names_are_short_and_plain() {
        for name in ["main", "block-4330482", &"a".repeat(32)] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "Main", "a.b", "a/b", "a b", "ä", &"a".repeat(33)] {
            assert!(!is_name(name), "{name}");
        }
    }
}

//! How a network begins: the genesis block.
//!
//! The genesis document is the network's first transaction. Its governance part (who takes part,
//! the rules, the adapters' settings) lies sealed in the ledger's first block, so that no node's
//! disk shows who takes part; only the public keys that anyone needs to check signatures are in the
//! block's public part.

use bytes::Bytes;
use synod_crypto::{Certificate, SALT_SIZE, ServiceKey, SessionKeys, VerifyingKey};
use synod_governance::bounded::{Blob, BoundRefused, Name, TextBlob};
use synod_governance::entries::{AdapterEntry, Address, AdminPart, CertificateDer, Pins};
use synod_governance::{AddActor, Constitution, Flaw, NodeEntry, Role};
use synod_kv::WriteSet;
use synod_ledger::{AdminRecord, BlockTooLarge, Content, GenesisParts, seal_genesis};
use synod_types::boundary::LogRecord;
use synod_types::{ActorId, AdapterId, Encode, NodeId, Time};
use synod_worker::{AdapterKit, SetupError, Worker};

/// What a network begins with.
#[derive(Clone)]
pub struct Genesis {
    /// The constitution.
    pub constitution: Constitution,
    /// When the network begins.
    pub time: Time,
}

/// Why a genesis document is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GenesisRefused {
    /// The constitution contradicts itself, or nobody could go on from it.
    #[error("the constitution cannot be a network's first: {}", reasons(.flaws))]
    Constitution {
        /// Every reason, with its place.
        flaws: Vec<Flaw>,
    },
    /// A name, an address, a key or settings are not of the form that they must have.
    #[error("{what} is refused: {why}")]
    Malformed {
        /// What it is.
        what: &'static str,
        /// What is wrong.
        why: String,
    },
    /// The software has no such adapter.
    #[error("there is no adapter named {name}")]
    NoSuchAdapter {
        /// The name.
        name: String,
    },
    /// What the document and the adapters write does not fit one block.
    #[error("the genesis document does not fit a block")]
    TooLarge(#[from] BlockTooLarge),
    /// An adapter refuses its settings.
    #[error(transparent)]
    Settings(#[from] SetupError),
}

fn reasons(flaws: &[Flaw]) -> String {
    flaws.iter().map(|flaw| flaw.reason.to_string()).collect::<Vec<_>>().join("; ")
}

impl Genesis {
    /// A network of this name with nobody in it, and every rule at its documented default.
    ///
    /// # Errors
    /// If the name is not one.
    pub fn new(name: &str, time: Time) -> Result<Self, GenesisRefused> {
        Ok(Self { constitution: Constitution::named(named("the name of the network", name)?), time })
    }

    /// Lets an organisation in.
    ///
    /// # Errors
    /// If the name is not one.
    pub fn add_actor(&mut self, role: Role, name: &str, certificate: &Certificate) -> Result<(), GenesisRefused> {
        let name = named("the name of an actor", name)?;
        let actor = AddActor { name, certificate: CertificateDer::of(certificate), pins: Pins::default() };
        self.constitution.actors.push((role, actor));
        Ok(())
    }

    /// Lists a node of `owner`, reached at `address`.
    ///
    /// # Errors
    /// If the name or the address is not one.
    pub fn add_node(
        &mut self,
        slot: NodeId,
        name: &str,
        owner: ActorId,
        key: &VerifyingKey,
        address: &str,
    ) -> Result<(), GenesisRefused> {
        let what = "the address of a node";
        let address = Address::new(address).map_err(|why| GenesisRefused::Malformed { what, why: why.to_string() })?;
        let entry = NodeEntry {
            name: named("the name of a node", name)?,
            owner,
            public_key: Blob::new(key.to_spki_der()).map_err(malformed("the key of a node"))?,
            address,
            code: None,
            platform: None,
        };
        self.constitution.nodes.insert(slot, entry);
        Ok(())
    }

    /// Lists a ledger protocol; their order gives their ids.
    ///
    /// # Errors
    /// If the name is not one, or the settings are too long.
    pub fn add_adapter(&mut self, name: &str, settings: &str) -> Result<(), GenesisRefused> {
        let settings = TextBlob::new(settings.as_bytes().to_vec()).map_err(malformed("the settings of an adapter"))?;
        self.constitution.adapters.push(AdapterEntry { name: named("the name of an adapter", name)?, settings });
        Ok(())
    }

    /// Makes the genesis block, the first record of each node's ledger. `kits` are the adapters that the software
    /// has; `salt` is fresh randomness.
    ///
    /// # Errors
    /// If the document contradicts itself, names an adapter that there is not, or settings that it refuses.
    pub fn seal(
        &self,
        kits: &[AdapterKit],
        service_key: &ServiceKey,
        session_keys: &SessionKeys,
        salt: [u8; SALT_SIZE],
    ) -> Result<LogRecord, GenesisRefused> {
        let governance = self.writes()?;
        let setup = self.setup(kits)?;
        let content = Content { setup: Some(setup), ..Content::default() };
        let admin = AdminRecord { write_set: Bytes::from(governance.to_bytes()), detail: Bytes::new() };
        let key = |(id, node): (&NodeId, &NodeEntry)| {
            let key = VerifyingKey::from_spki_der(&node.public_key);
            let why = || "it is not a P-256 key".to_owned();
            key.map(|key| (*id, key)).map_err(|_| GenesisRefused::Malformed { what: "the key of a node", why: why() })
        };
        let keys = self.constitution.nodes.iter().map(key).collect::<Result<_, _>>()?;
        let admin_is_public = self.constitution.network.admin == AdminPart::Public;
        let parts = GenesisParts { content: &content, admin: &admin, admin_is_public };
        Ok(seal_genesis(service_key, keys, session_keys, salt, self.time, parts)?.block.to_record())
    }

    /// What the genesis transaction writes into the governance tables.
    pub(crate) fn writes(&self) -> Result<WriteSet, GenesisRefused> {
        self.constitution.genesis_writes(self.time).map_err(|flaws| GenesisRefused::Constitution { flaws })
    }

    /// Looks at the adapters' settings only: whether the adapters among `kits` would begin with them.
    ///
    /// # Errors
    /// If it names an adapter that there is not, or settings that it refuses.
    pub fn check_adapters(&self, kits: &[AdapterKit]) -> Result<(), GenesisRefused> {
        self.setup(kits).map(drop)
    }

    /// What the adapters write as the network begins.
    fn setup(&self, kits: &[AdapterKit]) -> Result<Bytes, GenesisRefused> {
        let adapters = &self.constitution.adapters;
        let chosen = adapters_named(kits, adapters.iter().map(|adapter| adapter.name.as_str()))?;
        let settings: Vec<_> =
            (0..).map(AdapterId).zip(adapters).map(|(id, adapter)| (id, &adapter.settings[..])).collect();
        Ok(Bytes::from(Worker::genesis(&chosen, &settings)?.to_bytes()))
    }
}

fn named(what: &'static str, text: &str) -> Result<Name, GenesisRefused> {
    Name::new(text).map_err(malformed(what))
}

fn malformed(what: &'static str) -> impl Fn(BoundRefused) -> GenesisRefused {
    move |why| GenesisRefused::Malformed { what, why: why.to_string() }
}

/// The adapters of a network, in the order of their ids, out of those that the software has.
///
/// # Errors
/// If the software has no adapter of that name.
pub fn adapters_named<'a>(
    kits: &[AdapterKit],
    names: impl IntoIterator<Item = &'a str>,
) -> Result<Vec<AdapterKit>, GenesisRefused> {
    let named = |name: &str| {
        let kit = kits.iter().find(|kit| kit.name == name).cloned();
        kit.ok_or_else(|| GenesisRefused::NoSuchAdapter { name: name.into() })
    };
    names.into_iter().map(named).collect()
}

//! A constitution that founders wrote: the document with which a network begins.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rustls_pki_types::CertificateDer as Pem;
use rustls_pki_types::pem::PemObject;
use synod_crypto::{Certificate, NodeKey};
use synod_governance::bounded::{Blob, Name};
use synod_governance::document::{Beside, Document, Problem};
use synod_governance::entries::{Address, CertificateDer};
use synod_governance::{NodeEntry, Role};
use synod_node::{Genesis, GenesisRefused};
use synod_types::{ActorId, NodeId};

use crate::adapters;
use crate::failure::Failure;
use crate::node_dir::now;

/// What a network begins with, and the keys of its nodes, which were made as the document was read.
pub struct Founding {
    /// The constitution, and the time.
    pub genesis: Genesis,
    /// The keys of all nodes that the constitution lists.
    pub keys: BTreeMap<NodeId, NodeKey>,
}

/// Why there is nothing to begin with.
pub enum Refused {
    /// The file cannot be read.
    Unreadable(Failure),
    /// What the document says is refused; every reason, in the order of the lines.
    Problems(Vec<Problem>),
}

impl Founding {
    /// Reads the document at `path`. One that lists no node gets `nodes`, which belong to the members in turn.
    ///
    /// # Errors
    /// If the file cannot be read, or a network cannot begin with what it says.
    pub fn read(path: &Path, nodes: u64) -> Result<Self, Refused> {
        let hint = "name the constitution's TOML file";
        let unreadable = |error| Failure::new(format!("cannot read {}: {error}", path.display()), hint);
        let text = fs::read_to_string(path).map_err(|error| Refused::Unreadable(unreadable(error)))?;
        Self::from_text(&text, path.parent().unwrap_or(Path::new("")), nodes).map_err(|mut problems| {
            problems.sort_by_key(|problem| (problem.line, problem.column));
            Refused::Problems(problems)
        })
    }

    /// Looks at PATH.crt: one of its certificates has to be an actor's. Who speaks is proved when a node is asked.
    ///
    /// # Errors
    /// If none is, or the file cannot be read.
    pub fn check_identity(&self, path: Option<&Path>) -> Result<(), Failure> {
        let Some(path) = path else { return Ok(()) };
        let (file, hint) = (format!("{}.crt", path.display()), "name PATH of PATH.crt and PATH.key with --identity");
        let unreadable = |error| Failure::new(format!("cannot read {file}: {error}"), hint);
        let text = fs::read_to_string(&file).map_err(unreadable)?;
        let mut ids = Pem::pem_slice_iter(text.as_bytes())
            .filter_map(|der| Certificate::from_der(der.ok()?.to_vec()).ok())
            .map(|certificate| certificate.actor_id());
        if ids.any(|id| self.genesis.constitution.name_of(&id).is_some()) {
            return Ok(());
        }
        let what = format!("no certificate in {file} is that of an actor of the constitution");
        Err(Failure::new(
            what,
            "put the actor's certificate behind the leaf's, or name another actor's with --identity",
        ))
    }

    /// Files that the text names lie below `base`.
    fn from_text(text: &str, base: &Path, nodes: u64) -> Result<Self, Vec<Problem>> {
        let keys = RefCell::new(BTreeMap::new());
        let node_key = |slot| {
            let key = NodeKey::generate();
            let public = Blob::new(key.verifying_key().to_spki_der()).expect("a key of ours fits");
            keys.borrow_mut().insert(slot, key);
            public
        };
        let certificate = |file: &str| certificate(&base.join(file));
        let mut document = Document::parse_founding(text, &Beside { certificate: &certificate, node_key: &node_key })?;
        if document.constitution().nodes.is_empty() {
            let members = members(&document);
            for (slot, owner) in (1..=nodes).zip(members.into_iter().cycle()) {
                document.add_node(NodeId(slot), node(slot, owner, node_key(NodeId(slot))));
            }
        }
        let genesis = Genesis { constitution: document.constitution().clone(), time: now() };
        let mut problems = document.genesis_writes(genesis.time).err().unwrap_or_default();
        match genesis.check_adapters(&adapters::kits()) {
            Err(GenesisRefused::Settings(refused)) => {
                problems.push(document.adapter_problem(refused.adapter, refused.reason));
            }
            Err(GenesisRefused::NoSuchAdapter { name }) => {
                let known: Vec<_> = adapters::kits().iter().map(|kit| kit.name).collect();
                let reason = format!("there is no adapter {name:?}; this version has {}", known.join(", "));
                problems.push(document.adapter_problem(&name, reason));
            }
            Err(other) => problems.push(document.adapter_problem("", other.to_string())),
            Ok(()) => {}
        }
        if problems.is_empty() { Ok(Self { genesis, keys: keys.into_inner() }) } else { Err(problems) }
    }
}

impl Refused {
    /// One line for each reason, as compilers print them.
    pub fn into_failure(self, path: &Path) -> Failure {
        let problems = match self {
            Self::Unreadable(failure) => return failure,
            Self::Problems(problems) => problems,
        };
        let line =
            |problem: &Problem| format!("{}:{}:{}: {}", path.display(), problem.line, problem.column, problem.reason);
        let lines: Vec<_> = problems.iter().map(line).collect();
        let what = format!("no network can begin with this constitution\n{}", lines.join("\n"));
        Failure::new(
            what,
            "examples/governance/constitution.toml is a whole one; `synod constitution check FILE` looks again",
        )
    }
}

fn members(document: &Document) -> Vec<ActorId> {
    let actors = document.constitution().actors.iter();
    actors.filter(|(role, _)| *role == Role::Member).filter_map(|(_, actor)| actor.certificate.actor_id()).collect()
}

/// Peers find each other by their node.toml; what the constitution lists is for people, and never dialled.
fn node(slot: u64, owner: ActorId, public_key: Blob<{ synod_governance::limits::PUBLIC_KEY_BYTES_MAX }>) -> NodeEntry {
    NodeEntry {
        name: Name::new(format!("node-{slot}")).expect("a number makes it no longer than a name may be"),
        owner,
        public_key,
        address: Address::new(format!("node-{slot}.sandbox.invalid:7000")).expect("an address of the right form"),
        code: None,
        platform: None,
    }
}

fn certificate(file: &Path) -> Result<CertificateDer, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    let read = Certificate::from_pem(&text).map_err(|refused| format!("{}: {refused}", file.display()))?;
    Ok(CertificateDer::of(&read))
}

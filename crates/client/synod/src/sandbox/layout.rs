//! Where everything of a network lies.
//!
//! ```text
//! DIR/network.json      what clients need (SYNOD_NODES names it)
//! DIR/service.crt       the service's certificate: what clients pin
//! DIR/genesis.toml      what the network began with, for people
//! DIR/accounts.json     development accounts and their keys
//! DIR/members/          member-1.crt member-1.key ...
//! DIR/participants/     participant-1.crt participant-1.key ...
//! DIR/auditor/admin.key opens governance in the ledgers, and nothing else
//! DIR/node-N/           node.toml slot.key slot.crt session.key service.key service.crt ledger/ pid log
//! ```
//!
//! A network that began with a constitution of its founders has no accounts, members/ and participants/.
//! Keys are readable by their owner alone.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use synod_client::{IdentityFiles, NETWORK_FILE, Network, NetworkFile, NodeEntry, NodeLine};
use synod_host::NodeConfig;
use synod_types::NodeId;

use super::create::network_of;
use super::ports;
use crate::cli::{Durability, SandboxArgs};
use crate::failure::{Failure, Hint};

/// A network's directory, held by this process alone.
pub struct NetworkDir {
    path: PathBuf,
    _lock: File,
}

/// One node's directory.
#[derive(Clone, Debug)]
pub struct NodeDir {
    id: NodeId,
    path: PathBuf,
}

impl NetworkDir {
    /// Makes the directory if there is none, and holds it.
    ///
    /// # Errors
    /// If another sandbox holds it, or it cannot be made.
    pub fn lock(path: &Path) -> Result<Self, Failure> {
        let hint = "name a directory that you may write to with --dir";
        fs::create_dir_all(path).hint(hint)?;
        let lock = OpenOptions::new().create(true).append(true).open(path.join("lock")).hint(hint)?;
        if lock.try_lock().is_err() {
            return Err(Failure::new(
                format!("another sandbox runs in {}", path.display()),
                "stop it first, or name another --dir",
            ));
        }
        Ok(Self { path: path.into(), _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The network file.
    pub fn network_file(&self) -> PathBuf {
        self.path.join(NETWORK_FILE)
    }

    /// Whether an earlier run made a network here.
    pub fn is_made(&self) -> bool {
        self.network_file().exists()
    }

    /// The nodes of an earlier run: those of the network file whose directories lie here. Others run elsewhere.
    ///
    /// # Errors
    /// If the network file is of no use.
    pub fn nodes(&self) -> Result<Vec<NodeDir>, Failure> {
        let network = Network::load(&self.path)?;
        let own = |entry: &NodeEntry| entry.dir.as_deref() == Some(self.node(entry.id.0).path());
        let nodes: Vec<_> =
            network.nodes.iter().filter(|entry| own(entry)).map(|entry| self.node(entry.id.0)).collect();
        if nodes.is_empty() {
            let what = format!("{} names no node whose directory is node-N beside it", self.network_file().display());
            return Err(Failure::new(what, "put the file right, or name another --dir"));
        }
        Ok(nodes)
    }

    /// The directory of node `id`.
    pub fn node(&self, id: u64) -> NodeDir {
        NodeDir { id: NodeId(id), path: self.path.join(format!("node-{id}")) }
    }

    /// Writes how each node runs, and the network file, keeping the ports of an earlier run that are still free.
    ///
    /// # Errors
    /// If there are no ports, or a file cannot be written.
    pub fn configure(&self, nodes: Vec<NodeDir>, args: &SandboxArgs) -> Result<Vec<NodeDir>, Failure> {
        let places = places(&nodes)?;
        let network = network_of(&nodes[0].path.join(LEDGER))?;
        for (node, place) in nodes.iter().zip(&places) {
            let peers = nodes.iter().zip(&places).filter(|(peer, _)| peer.id != node.id);
            let peers = peers.map(|(peer, place)| (peer.id, place.peer.clone())).collect();
            let config = NodeConfig {
                network,
                client_address: place.client.clone(),
                peer_address: place.peer.clone(),
                directory: LEDGER.into(),
                durability: match args.durability {
                    Durability::Disk => synod_host::Durability::Disk,
                    Durability::Memory => synod_host::Durability::Memory,
                },
                record_boundary: args.record_boundary.then(|| "boundary".into()),
                peers,
                ..NodeConfig::parse(SMALLEST_CONFIG).expect("a constant that is valid")
            };
            write(&node.path.join(NODE_CONFIG), config.to_toml().as_bytes(), Access::Public)?;
        }
        self.write_network_file(&nodes, &places, args.identity.as_deref().map(identity_files).transpose()?)?;
        Ok(nodes)
    }

    fn write_network_file(
        &self,
        nodes: &[NodeDir],
        places: &[Place],
        identity: Option<IdentityFiles>,
    ) -> Result<(), Failure> {
        let lines = nodes.iter().zip(places).map(|(node, place)| NodeLine {
            id: node.id.0,
            url: format!("https://{}", place.client),
            dir: Some(format!("node-{}", node.id).into()),
        });
        let mut lines: Vec<_> = lines.collect();
        lines.extend(self.lines_of_others(nodes));
        let identity = identity.or_else(|| Some(self.earlier()?.identity)).unwrap_or_else(|| self.made_identity());
        let file = NetworkFile { service_certificate: SERVICE_CERTIFICATE.into(), identity, nodes: lines };
        let text = serde_json::to_string_pretty(&file).expect("paths of ours are text");
        write(&self.network_file(), text.as_bytes(), Access::Public)
    }
}

impl NetworkDir {
    /// The network file of an earlier run.
    fn earlier(&self) -> Option<NetworkFile> {
        serde_json::from_slice(&fs::read(self.network_file()).ok()?).ok()
    }

    /// As whom clients speak, of those whose keys were made with the network. Members may transact too: in a network of
    /// members only, the first of them does.
    fn made_identity(&self) -> IdentityFiles {
        let first = ["participants/participant-1", "members/member-1"];
        let who = first.into_iter().find(|who| self.path.join(format!("{who}.crt")).exists()).unwrap_or(first[0]);
        IdentityFiles { certificate: format!("{who}.crt").into(), key: format!("{who}.key").into() }
    }

    /// What an earlier network file says of nodes that run elsewhere.
    fn lines_of_others(&self, nodes: &[NodeDir]) -> Vec<NodeLine> {
        let lines = self.earlier().map(|file| file.nodes).unwrap_or_default();
        lines.into_iter().filter(|line| nodes.iter().all(|node| node.id.0 != line.id)).collect()
    }
}

impl NodeDir {
    /// The node directory at `path`, of node `id`.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the node's own words go.
    pub fn log(&self) -> PathBuf {
        self.path.join("log")
    }
}

/// PATH.crt and PATH.key. They stay where they are, and the network's directory may lie elsewhere.
fn identity_files(path: &Path) -> Result<IdentityFiles, Failure> {
    let path = std::path::absolute(path).hint("name PATH of PATH.crt and PATH.key with --identity")?;
    let with = |extension: &str| PathBuf::from(format!("{}.{extension}", path.display()));
    Ok(IdentityFiles { certificate: with("crt"), key: with("key") })
}

/// Where a node listens.
struct Place {
    client: String,
    peer: String,
}

/// Where each node listened before, if all of those ports are free; new places otherwise.
fn places(nodes: &[NodeDir]) -> Result<Vec<Place>, Failure> {
    let earlier = |node: &NodeDir| {
        let config = NodeConfig::load(&node.path.join(NODE_CONFIG)).ok()?;
        Some(Place { client: config.client_address, peer: config.peer_address })
    };
    let port = |address: &str| address.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    let is_free =
        |place: &Place| [&place.client, &place.peer].iter().all(|address| port(address).is_some_and(ports::is_free));
    if let Some(places) = nodes.iter().map(earlier).collect::<Option<Vec<_>>>()
        && places.iter().all(is_free)
    {
        return Ok(places);
    }
    let ports = ports::free(2 * nodes.len())?;
    let place =
        |pair: &[u16]| Place { client: format!("127.0.0.1:{}", pair[0]), peer: format!("127.0.0.1:{}", pair[1]) };
    Ok(ports.chunks_exact(2).map(place).collect())
}

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everyone.
    Public,
    /// Its owner alone.
    Secret,
}

/// Writes a file as a whole: readers see the old content or the new.
///
/// # Errors
/// If it cannot be written.
pub fn write(path: &Path, content: &[u8], access: Access) -> Result<(), Failure> {
    let hint = "name a directory that you may write to with --dir";
    write_whole(path, content, access)
        .map_err(|error| Failure::new(format!("cannot write {}: {error}", path.display()), hint))
}

fn write_whole(path: &Path, content: &[u8], access: Access) -> io::Result<()> {
    let parent = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent)?;
    let mode = if access == Access::Secret { 0o600 } else { 0o644 };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let draft = parent.join(format!(".{name}.draft"));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&draft)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&draft, path)
}

/// The service's certificate, in the network's directory and in each node's.
pub const SERVICE_CERTIFICATE: &str = "service.crt";

/// The key with which an auditor opens governance, in the network's directory.
pub const ADMIN_KEY: &str = "auditor/admin.key";

/// Development accounts and their keys, in the network's directory.
pub const ACCOUNTS: &str = "accounts.json";

/// How a node runs.
pub const NODE_CONFIG: &str = "node.toml";

/// Where a node's ledger lies, in its directory.
pub const LEDGER: &str = "ledger";

/// What a `node.toml` must say at least; the rest has defaults.
const SMALLEST_CONFIG: &str = "network = '0000000000000000000000000000000000000000000000000000000000000000'\nclient_address = ''\npeer_address = ''\ndirectory = ''\n";

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_secret_is_readable_by_its_owner_alone_from_the_first_moment() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/er/slot.key");
        for content in ["one", "two"] {
            write(&path, content.as_bytes(), Access::Secret).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn an_earlier_network_keeps_its_nodes_and_the_lines_of_those_that_run_elsewhere() {
        let made = crate::sandbox::made_for_test(2);
        let file = made.path().join(NETWORK_FILE);
        let mut network: NetworkFile = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let elsewhere = |id, dir| NodeLine { id, url: "https://127.0.0.1:7".into(), dir };
        network.nodes.remove(0);
        network.nodes.extend([elsewhere(3, None), elsewhere(4, Some("/elsewhere/node-4".into()))]);
        let others = network.nodes[1..].to_vec();
        fs::write(&file, serde_json::to_string(&network).unwrap()).unwrap();

        let dir = NetworkDir::lock(made.path()).unwrap();
        let nodes = dir.nodes().unwrap();
        assert_eq!(nodes.iter().map(NodeDir::id).collect::<Vec<_>>(), [NodeId(2)]);
        dir.configure(nodes, &crate::sandbox::args_for_test()).unwrap();
        let after: NetworkFile = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let line = |line: &NodeLine| (line.id, line.url.clone(), line.dir.clone());
        assert_eq!(after.nodes.len(), 3);
        assert_eq!(after.nodes[1..].iter().map(line).collect::<Vec<_>>(), others.iter().map(line).collect::<Vec<_>>());
    }

    #[test]
    fn a_directory_is_held_by_one_sandbox_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let held = NetworkDir::lock(dir.path()).unwrap();
        let refused = NetworkDir::lock(dir.path()).err().unwrap().to_string();
        assert!(refused.contains("another sandbox runs in") && refused.contains("hint: stop it first"), "{refused}");
        drop(held);
        assert!(NetworkDir::lock(dir.path()).is_ok());
    }
}

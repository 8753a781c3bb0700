//! Where the other nodes are: `[peers]` of `node.toml`, read again when it may have changed.
//!
//! The file is looked at when the enclave asks for a node that is not in it or was not reached the last time, so that a
//! node which joined or moved is reached without a restart. A file that cannot be read leaves what was known. What else
//! is in it takes effect at the next start.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::SystemTime;

use synod_types::NodeId;

use crate::{HostError, NodeConfig};

/// The addresses of the other nodes.
#[derive(Debug)]
pub struct PeerBook {
    /// Nothing if the settings did not come from a file.
    file: Option<PathBuf>,
    peers: BTreeMap<NodeId, String>,
    /// Set in place of what the file says.
    fixed: BTreeMap<NodeId, String>,
    /// How the file looked when it was last read.
    read: Option<Stamp>,
    /// Nodes that were not reached the last time.
    unreached: BTreeSet<NodeId>,
    /// Nodes of which it was said that they have no address.
    missing: BTreeSet<NodeId>,
}

/// What tells one state of a file from another: the time alone may be too coarse.
type Stamp = Result<(SystemTime, u64, u64), io::ErrorKind>;

impl PeerBook {
    /// What `config` says.
    pub fn new(config: &NodeConfig) -> Self {
        Self {
            file: config.file.clone(),
            peers: config.peers.clone(),
            fixed: BTreeMap::new(),
            read: None,
            unreached: BTreeSet::new(),
            missing: BTreeSet::new(),
        }
    }

    /// Says where a node is, whatever the file says.
    pub fn fix(&mut self, node: NodeId, address: String) {
        self.peers.insert(node, address.clone());
        self.fixed.insert(node, address);
    }

    /// All nodes that are known.
    pub fn peers(&self) -> &BTreeMap<NodeId, String> {
        &self.peers
    }

    /// The file, if it should be looked at before `node` is dialled.
    pub fn doubt(&self, node: NodeId) -> Option<Look> {
        let is_doubtful = self.unreached.contains(&node) || !self.peers.contains_key(&node);
        let file = self.file.clone().filter(|_| is_doubtful)?;
        Some(Look { file, last: self.read })
    }

    /// Where `node` is; says once if that is not known.
    pub fn address(&mut self, node: NodeId) -> Option<String> {
        let address = self.peers.get(&node).cloned();
        if address.is_some() {
            self.missing.remove(&node);
        } else if self.missing.len() < MISSING_MAX && self.missing.insert(node) {
            let hint = "add it under [peers]; the file is read again without a restart";
            tracing::warn!(%node, hint, "node.toml has no address for this node");
        }
        address
    }

    /// Notes whether `node` was reached.
    pub fn reached(&mut self, node: NodeId, was_reached: bool) {
        if was_reached {
            self.unreached.remove(&node);
        } else {
            self.unreached.insert(node);
        }
    }

    /// Takes in what a look at the file has shown; whether addresses have changed.
    pub fn take(&mut self, seen: Seen) -> bool {
        self.read = Some(seen.stamp);
        match seen.config {
            Ok(config) => self.replace(config.peers),
            Err(error) => {
                complain(&error);
                false
            }
        }
    }

    fn replace(&mut self, mut peers: BTreeMap<NodeId, String>) -> bool {
        peers.extend(self.fixed.clone());
        if peers == self.peers {
            return false;
        }
        tracing::info!(nodes = peers.len(), "node.toml has changed: other addresses of peers");
        self.unreached.retain(|node| peers.get(node) == self.peers.get(node));
        self.peers = peers;
        true
    }
}

/// A file to be looked at, which may take as long as a disk takes.
#[derive(Debug)]
pub struct Look {
    file: PathBuf,
    last: Option<Stamp>,
}

/// A file that has changed.
#[derive(Debug)]
pub struct Seen {
    stamp: Stamp,
    config: Result<NodeConfig, HostError>,
}

impl Look {
    /// Reads the file, unless it looks as it did the last time.
    pub fn read(self) -> Option<Seen> {
        let stamp = stamp(std::fs::metadata(&self.file));
        (self.last != Some(stamp)).then(|| Seen { stamp, config: NodeConfig::load(&self.file) })
    }
}

fn complain(error: &HostError) {
    let why = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    let hint = "put node.toml right; it is read again without a restart";
    tracing::warn!(%error, why, hint, "the peers stay those of node.toml as it was");
}

fn stamp(metadata: io::Result<Metadata>) -> Stamp {
    let of = |metadata: Metadata| Ok((metadata.modified()?, metadata.len(), metadata.ino()));
    metadata.and_then(of).map_err(|error| error.kind())
}

/// Of how many nodes it is said that they have no address: the enclave asks for nodes of one network only.
const MISSING_MAX: usize = 2 * synod_types::limits::NODES_MAX;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    const HEAD: &str = "network = '00000000000000000000000000000000000000000000000000000000000000aa'
client_address = 'a:1'
peer_address = 'b:2'
directory = 'ledger'
";

    fn write(file: &Path, peers: &str) {
        // As editors do, and so that no reader sees half a file.
        let draft = file.with_extension("draft");
        fs::write(&draft, format!("{HEAD}[peers]\n{peers}")).unwrap();
        fs::rename(draft, file).unwrap();
    }

    /// Looks at the file if `node` gives a reason to; whether addresses have changed.
    fn refresh(book: &mut PeerBook, node: u64) -> bool {
        book.doubt(NodeId(node)).and_then(Look::read).is_some_and(|seen| book.take(seen))
    }

    fn book() -> (tempfile::TempDir, PathBuf, PeerBook) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("node.toml");
        write(&file, "1 = 'one:7000'\n");
        let book = PeerBook::new(&NodeConfig::load(&file).unwrap());
        (directory, file, book)
    }

    #[test]
    fn a_node_that_was_added_to_the_file_is_known_after_the_next_look() {
        let (_directory, file, mut book) = book();
        assert!(book.doubt(NodeId(1)).is_none());
        assert_eq!((refresh(&mut book, 4), book.address(NodeId(4))), (false, None));
        write(&file, "1 = 'one:7000'\n4 = 'four:7000'\n");
        assert!(refresh(&mut book, 4));
        assert_eq!(book.address(NodeId(4)), Some("four:7000".into()));
        assert!(book.doubt(NodeId(4)).is_none());
    }

    #[test]
    fn a_node_that_was_not_reached_may_have_moved() {
        let (_directory, file, mut book) = book();
        book.reached(NodeId(1), false);
        assert!(book.doubt(NodeId(1)).is_some());
        write(&file, "1 = 'elsewhere:7000'\n");
        assert!(refresh(&mut book, 1) && book.doubt(NodeId(1)).is_none());
        book.reached(NodeId(1), false);
        assert!(book.doubt(NodeId(1)).unwrap().read().is_none(), "it has not changed since");
        book.reached(NodeId(1), true);
        assert!(book.doubt(NodeId(1)).is_none());
    }

    #[test]
    fn a_file_that_cannot_be_read_leaves_what_was_known_until_it_can() {
        let (_directory, file, mut book) = book();
        for broken in [Some("1 = 'x:1'\nnode = 'y'\n"), None] {
            match broken {
                Some(text) => write(&file, text),
                None => fs::remove_file(&file).unwrap(),
            }
            assert!(!refresh(&mut book, 4));
            assert!(book.doubt(NodeId(4)).unwrap().read().is_none(), "the reason is told once");
            assert_eq!(book.address(NodeId(1)), Some("one:7000".into()));
        }
        write(&file, "1 = 'two:7000'\n");
        assert!(refresh(&mut book, 4));
        assert_eq!(book.address(NodeId(1)), Some("two:7000".into()));
    }

    #[test]
    fn an_address_that_was_set_stays() {
        let (_directory, file, mut book) = book();
        book.fix(NodeId(2), "set:1".into());
        write(&file, "2 = 'file:1'\n3 = 'three:1'\n");
        assert!(refresh(&mut book, 3));
        assert_eq!(book.peers().values().collect::<Vec<_>>(), ["set:1", "three:1"]);
    }
}

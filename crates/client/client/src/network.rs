//! The network file: what a client must know of a network to talk to it.
//!
//! `synod sandbox` writes one as `network.json`, and the environment variable `SYNOD_NODES` names it:
//!
//! ```json
//! {
//!   "service_certificate": "service.crt",
//!   "identity": { "certificate": "participants/participant-1.crt", "key": "participants/participant-1.key" },
//!   "nodes": [ { "id": 1, "url": "https://127.0.0.1:24551", "dir": "node-1" } ]
//! }
//! ```
//!
//! Paths are relative to the file. `dir` is there for nodes of this machine.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use synod_types::NodeId;

use crate::identity::{read, read_certificates};
use crate::{ClientError, Identity};

/// A network as one client sees it.
#[derive(Clone, Debug)]
pub struct Network {
    /// The service's certificate: the one thing that is pinned.
    pub service: CertificateDer<'static>,
    /// Who the client is.
    pub identity: Identity,
    /// The nodes, at least one.
    pub nodes: Vec<NodeEntry>,
}

/// A node as a client knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeEntry {
    /// Its slot.
    pub id: NodeId,
    /// Where it listens, as it is written in the network file.
    pub url: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its directory, if it runs on this machine.
    pub dir: Option<PathBuf>,
}

impl Network {
    /// Reads the network file at `path`, or `network.json` in the directory at `path`.
    ///
    /// # Errors
    /// If the file, or one that it names, cannot be read or is not valid.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ClientError> {
        let (file, base) = read_file(path.as_ref())?;
        let NetworkFile { service_certificate, identity, nodes } = file;
        // What the file itself says wrongly is told before what the files that it names do.
        let nodes = resolve(nodes, path.as_ref(), &base)?;
        Ok(Self {
            service: read_certificates("service certificate", &base.join(service_certificate))?.swap_remove(0),
            identity: Identity::load(&base.join(identity.certificate), &base.join(identity.key))?,
            nodes,
        })
    }

    /// Reads only which nodes the network file at `path` lists; see [`crate::Client::learn`].
    ///
    /// # Errors
    /// If the file cannot be read, is not valid or lists no node.
    pub fn load_nodes(path: impl AsRef<Path>) -> Result<Vec<NodeEntry>, ClientError> {
        let (file, base) = read_file(path.as_ref())?;
        resolve(file.nodes, path.as_ref(), &base)
    }
}

/// The network file at `path`, or in the directory at `path`, and the directory to which its paths are relative.
fn read_file(path: &Path) -> Result<(NetworkFile, PathBuf), ClientError> {
    let path = if path.is_dir() { path.join(NETWORK_FILE) } else { path.to_path_buf() };
    let text = read("network file", &path)?;
    let file: NetworkFile = serde_json::from_slice(&text).map_err(|error| not_valid(&path, error.to_string()))?;
    if file.nodes.is_empty() {
        return Err(ClientError::NoNodes);
    }
    Ok((file, path.parent().unwrap_or(Path::new(".")).to_path_buf()))
}

fn resolve(nodes: Vec<NodeLine>, path: &Path, base: &Path) -> Result<Vec<NodeEntry>, ClientError> {
    nodes.into_iter().map(|node| node.resolve(base)).collect::<Result<_, _>>().map_err(|reason| not_valid(path, reason))
}

fn not_valid(path: &Path, reason: String) -> ClientError {
    ClientError::FileNotValid { what: "network file", path: path.to_path_buf(), reason }
}

/// The text of the file with the service's certificate that the network file at `path` names.
///
/// # Errors
/// If one of the two cannot be read.
pub fn service_text(path: &Path) -> Result<String, ClientError> {
    let path = if path.is_dir() { path.join(NETWORK_FILE) } else { path.to_path_buf() };
    let refused = |reason: String| ClientError::FileNotValid { what: "network file", path: path.clone(), reason };
    let file: NetworkFile =
        serde_json::from_slice(&read("network file", &path)?).map_err(|error| refused(error.to_string()))?;
    let service = path.parent().unwrap_or(Path::new(".")).join(file.service_certificate);
    let text = String::from_utf8(read("service certificate", &service)?);
    text.map_err(|_| ClientError::FileNotValid { what: "service certificate", path: service, reason: "not PEM".into() })
}

/// The network file as it is written.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkFile {
    /// Where the service's certificate lies.
    pub service_certificate: PathBuf,
    /// Where the client's own certificate and key lie.
    pub identity: IdentityFiles,
    /// The nodes.
    pub nodes: Vec<NodeLine>,
}

/// Where a client's own certificate and key lie.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityFiles {
    /// The certificate, PEM.
    pub certificate: PathBuf,
    /// The private key, PEM.
    pub key: PathBuf,
}

/// One node in a network file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeLine {
    /// Its slot.
    pub id: u64,
    /// `https://host:port`.
    pub url: String,
    /// Its directory, if it runs on this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dir: Option<PathBuf>,
}

impl NodeLine {
    fn resolve(self, base: &Path) -> Result<NodeEntry, String> {
        let place = self.url.strip_prefix("https://").ok_or(format!("{} does not begin with https://", self.url))?;
        let address = place
            .trim_end_matches('/')
            .to_socket_addrs()
            .map_err(|error| format!("{} names no address: {error}", self.url))?
            .next()
            .ok_or(format!("{} names no address", self.url))?;
        Ok(NodeEntry { id: NodeId(self.id), url: self.url, address, dir: self.dir.map(|dir| base.join(dir)) })
    }
}

/// The name of the network file in a network's directory.
pub const NETWORK_FILE: &str = "network.json";

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Network, ClientError> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(NETWORK_FILE), text).unwrap();
        Network::load(dir.path())
    }

    #[test]
    fn a_network_file_that_cannot_be_used_is_refused_with_its_place_and_a_reason() {
        for (text, reason) in [
            ("", "EOF while parsing"),
            (r#"{"service_certificate": "x"}"#, "missing field `identity`"),
            (
                r#"{"service_certificate":"s","identity":{"certificate":"c","key":"k"},"nodes":[{"id":1,"url":"http://127.0.0.1:1"}]}"#,
                "does not begin with https://",
            ),
            (
                r#"{"service_certificate":"s","identity":{"certificate":"c","key":"k"},"nodes":[{"id":1,"url":"https://127.0.0.1"}]}"#,
                "names no address",
            ),
            (r#"{"service_certificate":"s","identity":{"certificate":"c","key":"k"},"nodes":[]}"#, "lists no node"),
            (
                r#"{"service_certificate":"s","identity":{"certificate":"c","key":"k"},"nodes":[{"id":1,"url":"https://127.0.0.1:1"}]}"#,
                "cannot read the service certificate",
            ),
        ] {
            let message = load(text).unwrap_err().to_string();
            assert!(message.contains(reason), "{message}");
        }
    }

    #[test]
    fn a_missing_network_file_is_named() {
        let error = Network::load("/nowhere/network.json").unwrap_err();
        assert_eq!(error.to_string(), "cannot read the network file /nowhere/network.json");
        assert!(error.hint().contains("SYNOD_NODES"));
    }
}

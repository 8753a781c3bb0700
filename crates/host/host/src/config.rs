//! `node.toml`: how a node runs. What the service may do is decided by ledger records alone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use synod_types::{Digest, NodeId};

use crate::{HostError, WebhookUrl};

/// The settings of one node's host. Unknown keys are refused, so that a typo is not silently a default.
///
/// ```
/// let config = synod_host::NodeConfig::parse(r#"
///     network = "5f0c1d4d6e2a8b9035719fbde2c44a3107c6d1e2f3a4b5c6d7e8f90011223344"
///     client_address = "127.0.0.1:8101"   # where actors connect
///     peer_address = "127.0.0.1:8201"     # where other nodes connect
///     directory = "ledger"                # relative to node.toml
///     durability = "disk"                 # or "memory": nothing is synced
///
///     [peers]                             # where the other nodes listen, by slot
///     2 = "127.0.0.1:8202"
///     3 = "127.0.0.1:8203"
/// "#).unwrap();
/// assert_eq!(config.peers.len(), 2);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeConfig {
    /// The id of the network: no file of another one is touched.
    #[serde(with = "network")]
    pub network: Digest,
    /// Where actors connect, as `host:port`.
    pub client_address: String,
    /// Where the other nodes connect.
    pub peer_address: String,
    /// Where the ledger lies. [`NodeConfig::load`] makes a relative path relative to the file.
    pub directory: PathBuf,
    /// What "on disk" means.
    #[serde(default)]
    pub durability: Durability,
    /// The most connections of clients that are open at once; further ones are closed on arrival.
    #[serde(default = "connections_max_default")]
    pub connections_max: usize,
    /// The most of them from one address; of IPv6, from one network of 64 bits. Higher behind a balancer or a gateway
    /// that shows all clients as one address.
    #[serde(default = "connections_per_address_max_default")]
    pub connections_per_address_max: usize,
    /// After how many seconds without a byte in either direction a client's connection is closed.
    #[serde(default = "idle_seconds_max_default")]
    pub idle_seconds_max: u64,
    /// A relay of the operator's that is told when a governance transaction is committed, as `http://host:port/path`.
    #[serde(default, with = "webhook", skip_serializing_if = "Option::is_none")]
    pub governance_webhook: Option<WebhookUrl>,
    /// A file that receives every byte that crosses the host boundary, for tests that search it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record_boundary: Option<PathBuf>,
    /// Where the nodes listen, by slot. The node's own entry is not used. If the settings were
    /// [loaded](NodeConfig::load), the file is read again when a node is not there or cannot be reached.
    #[serde(default, with = "peers")]
    pub peers: BTreeMap<NodeId, String>,
    /// The file that the settings were loaded from.
    #[serde(skip)]
    pub file: Option<PathBuf>,
}

/// What it means that a record is on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// Synced: it survives the loss of power.
    #[default]
    Disk,
    /// Written: it survives the process, as long as the machine runs.
    Memory,
}

/// Enough for thousands of clients; each costs the host a few hundred bytes while idle.
const fn connections_max_default() -> usize {
    4_096
}

/// A quarter of the places: a machine with many clients, or a site behind one address, has enough, and no single one
/// keeps the others out.
const fn connections_per_address_max_default() -> usize {
    1_024
}

/// Ten minutes, as usual for servers behind clients that keep connections.
const fn idle_seconds_max_default() -> u64 {
    600
}

impl NodeConfig {
    /// Reads the file at `path`; relative paths in it are taken relative to its directory.
    ///
    /// # Errors
    /// If the file cannot be read or is not valid; the message names file and line.
    pub fn load(path: &Path) -> Result<Self, HostError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| HostError::ConfigUnreadable { path: path.into(), source })?;
        let mut config =
            Self::parse(&text).map_err(|reason| HostError::ConfigNotValid { path: path.into(), reason })?;
        let base = path.parent().unwrap_or(Path::new(""));
        config.directory = base.join(&config.directory);
        config.record_boundary = config.record_boundary.map(|file| base.join(file));
        config.file = Some(path.into());
        Ok(config)
    }

    /// Reads settings from the text of a `node.toml`.
    ///
    /// # Errors
    /// If the text is not valid: says which line and why.
    pub fn parse(text: &str) -> Result<Self, String> {
        let config: Self = toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
        for (name, count) in [
            ("connections_max", config.connections_max),
            ("connections_per_address_max", config.connections_per_address_max),
        ] {
            if count == 0 {
                return Err(format!("{name} must be at least 1"));
            }
        }
        Ok(config)
    }

    /// The text of a `node.toml` with these settings.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("every field has a TOML form")
    }

    /// After how long without a byte a client's connection is closed.
    pub const fn idle_max(&self) -> Duration {
        Duration::from_secs(self.idle_seconds_max)
    }
}

/// A digest is written in hexadecimal digits.
mod network {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};
    use synod_types::Digest;

    pub fn serialize<S: Serializer>(network: &Digest, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(network)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Digest, D::Error> {
        let text = String::deserialize(input)?;
        Digest::from_hex(&text).ok_or_else(|| D::Error::custom("the id of a network is 64 hexadecimal digits"))
    }
}

/// A URL is written as it is.
mod webhook {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::WebhookUrl;

    pub fn serialize<S: Serializer>(url: &Option<WebhookUrl>, out: S) -> Result<S::Ok, S::Error> {
        url.as_ref().map(ToString::to_string).serialize(out)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Option<WebhookUrl>, D::Error> {
        let text = String::deserialize(input)?;
        WebhookUrl::parse(&text).map(Some).map_err(D::Error::custom)
    }
}

/// TOML keys are strings; slots are numbers.
mod peers {
    use std::collections::BTreeMap;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};
    use synod_types::NodeId;

    pub fn serialize<S: Serializer>(peers: &BTreeMap<NodeId, String>, out: S) -> Result<S::Ok, S::Error> {
        out.collect_map(peers.iter().map(|(id, address)| (id.to_string(), address)))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<BTreeMap<NodeId, String>, D::Error> {
        let slot = |(key, address): (String, String)| match key.parse() {
            Ok(0) | Err(_) => Err(D::Error::custom(format!("`{key}` is not a node's slot, which is a number from 1"))),
            Ok(id) => Ok((NodeId(id), address)),
        };
        BTreeMap::<String, String>::deserialize(input)?.into_iter().map(slot).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALLEST: &str = "network = '00000000000000000000000000000000000000000000000000000000000000aa'
client_address = 'a:1'
peer_address = 'b:2'
directory = 'ledger'
";

    #[test]
    fn what_is_not_said_has_a_safe_default() {
        let config = NodeConfig::parse(SMALLEST).unwrap();
        assert_eq!(config.durability, Durability::Disk);
        assert_eq!((config.connections_max, config.connections_per_address_max), (4_096, 1_024));
        assert_eq!(config.record_boundary, None);
    }

    #[test]
    fn settings_read_back_as_written() {
        let mut config = NodeConfig::parse(SMALLEST).unwrap();
        config.durability = Durability::Memory;
        config.record_boundary = Some("boundary".into());
        config.governance_webhook = WebhookUrl::parse("http://127.0.0.1:9000/gov").ok();
        config.peers = [(NodeId(2), "c:3".into()), (NodeId(10), "d:4".into())].into();
        assert_eq!(NodeConfig::parse(&config.to_toml()), Ok(config));
    }

    #[test]
    fn an_unknown_key_or_value_is_refused_with_its_line() {
        let refused = |more: &str| NodeConfig::parse(&format!("{SMALLEST}{more}")).unwrap_err();
        let unknown = refused("durabilty = 'disk'\n");
        assert!(unknown.contains("line 5") && unknown.contains("durabilty"), "{unknown}");
        let value = refused("durability = 'ram'\n");
        assert!(value.contains("line 5") && value.contains("ram"), "{value}");
        assert!(refused("[peers]\nzero = 'x:1'\n").contains("`zero` is not a node's slot"));
        assert!(refused("[peers]\n0 = 'x:1'\n").contains("`0` is not a node's slot"));
        assert!(refused("governance_webhook = 'https://a:1/'\n").contains("http://"));
        assert!(refused("connections_max = 0\n").contains("connections_max must be at least 1"));
        assert!(refused("connections_per_address_max = 0\n").contains("per_address_max must be at least 1"));
    }

    #[test]
    fn relative_paths_are_relative_to_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("node.toml");
        std::fs::write(&file, SMALLEST).unwrap();
        assert_eq!(NodeConfig::load(&file).unwrap().directory, directory.path().join("ledger"));
    }
}

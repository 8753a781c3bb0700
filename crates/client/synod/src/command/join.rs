//! `synod node join`: a directory for a node that members are to add.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::Serialize;
use synod_client::{NETWORK_FILE, Network, NetworkFile, NodeLine};
use synod_crypto::slot::issued_slot;
use synod_crypto::{Certificate, NodeKey, ServiceKey, SessionKeys};
use synod_governance::bounded::{Blob, Name};
use synod_governance::entries::Address;
use synod_governance::{Action, NodeEntry};
use synod_host::NodeConfig;
use synod_ledger::{GenesisPublic, SealedBlock, check_genesis};
use synod_types::boundary::LogRecord;
use synod_types::{ActorId, Decode, NodeId};

use crate::cli::NodeJoinArgs;
use crate::failure::{Failure, Hint};
use crate::node_dir::{NewNode, first_record};
use crate::output;
use crate::sandbox::{Access, LEDGER, NODE_CONFIG, SERVICE_CERTIFICATE, write};
use crate::service_file::service_file;

/// What the command prints with `--json`. The fields are a contract with programs.
#[derive(Serialize)]
struct Joining {
    dir: String,
    id: u64,
    key: String,
    network_line: NodeLine,
    proposal: String,
}

/// A proposal's file.
#[derive(Serialize)]
struct Proposal {
    note: String,
    action: [Action; 1],
}

/// Makes the directory, and prints the proposal that adds the node.
///
/// # Errors
/// If the directory is there, the other node's is not whole, or something is not of its form.
pub fn join(args: &NodeJoinArgs, json: bool) -> Result<(), Failure> {
    if args.dir.symlink_metadata().is_ok() {
        return Err(Failure::new(
            format!("{} is there already", args.dir.display()),
            "name a new directory with --dir; a node that has run must keep its own",
        ));
    }
    let like = Like::read(&args.like)?;
    let id = NodeId(args.id);
    if like.genesis_public.keys.node(id).is_some() {
        return Err(Failure::new(
            format!("slot {id} was given in the genesis block"),
            "name with --id the next slot: one above the highest that the network ever gave",
        ));
    }
    let (key, name) = (NodeKey::generate(), host_of(&args.client_address)?);
    let entry = entry(args, &key)?;
    let mut config = like.config_of(args);
    let network_line = network_line(args)?;
    let network = args.add_to.as_deref().map(|file| network_with(file, &network_line)).transpose()?;
    if let Some(file) = &args.add_to {
        add_peers(file, id, &mut config.peers);
    }

    make(&args.dir, |dir| {
        like.node(id, &key, &[name]).write(dir)?;
        write(&dir.join(NODE_CONFIG), config.to_toml().as_bytes(), Access::Public)
    })?;
    if let Some((file, text)) = &network {
        write(file, text.as_bytes(), Access::Public)?;
    }

    let note = format!("add {} as node {id}", entry.name.as_str());
    let proposal = Proposal { note, action: [Action::AddNode(entry)] };
    let proposal = toml::to_string(&proposal).expect("an action has a TOML form");
    if json {
        let (dir, key) = (args.dir.display().to_string(), key.verifying_key().actor_id().to_hex());
        return output::json(&Joining { dir, id: id.0, key, network_line, proposal });
    }
    output::text(&proposal)?;
    eprintln!("made {}; its keys are those of {}", args.dir.display(), args.like.display());
    if network.is_none() {
        let line = serde_json::to_string(&network_line).expect("a line has a JSON form");
        eprintln!("hint: for clients, add this to `nodes` in their network file: {line}");
    }
    eprintln!(
        "hint: let members accept the proposal above, and run the node: synod node run --dir {}",
        args.dir.display()
    );
    Ok(())
}

/// What is taken over from a node of the network.
struct Like {
    dir: PathBuf,
    config: NodeConfig,
    /// Its slot, if it tells.
    slot: Option<NodeId>,
    service: ServiceKey,
    service_certificate: String,
    session_keys: SessionKeys,
    genesis: LogRecord,
    genesis_public: GenesisPublic,
}

impl Like {
    fn read(dir: &Path) -> Result<Self, Failure> {
        let hint = "name the whole directory of a node of the network with --like, and let it be read";
        let text = |name: &str| {
            let path = dir.join(name);
            fs::read_to_string(&path)
                .map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display()), hint))
        };
        let config = NodeConfig::load(&dir.join(NODE_CONFIG)).hint(hint)?;
        let service = ServiceKey::from_pem(&text("service.key")?).hint(hint)?;
        let session_keys = SessionKeys::from_pem(&text("session.key")?).hint(hint)?;
        let genesis = first_record(&config.directory)?;
        let block = SealedBlock::from_bytes(&genesis.payload).hint(hint)?;
        let (genesis_public, _) = check_genesis(&block).hint(hint)?;
        if genesis_public.keys.service != *service.verifying_key() || !genesis_public.fits(&session_keys) {
            let what = format!("the keys in {} are not those of its ledger's network", dir.display());
            return Err(Failure::new(what, hint));
        }
        let certificate = Certificate::from_pem(&text("slot.crt")?).hint(hint)?;
        let key = certificate.verifying_key().ok();
        let listed = genesis_public.keys.nodes.iter().find(|(_, known)| Some(*known) == key.as_ref());
        let shown = || issued_slot(certificate.der(), service.verifying_key(), None).ok();
        Ok(Self {
            dir: dir.into(),
            slot: listed.map(|(slot, _)| *slot).or_else(shown),
            // A newcomer is given what is in force now; the one it was made from keeps what it was made with.
            service_certificate: match service_file(&config.directory, &service, &session_keys)? {
                Some(in_force) => in_force,
                None => text(SERVICE_CERTIFICATE)?,
            },
            config,
            service,
            session_keys,
            genesis,
            genesis_public,
        })
    }

    /// How the new node runs: as that one does, with that one among its peers.
    fn config_of(&self, args: &NodeJoinArgs) -> NodeConfig {
        let mut config = self.config.clone();
        config.client_address.clone_from(&args.client_address);
        config.peer_address.clone_from(&args.peer_address);
        config.directory = LEDGER.into();
        config.record_boundary = config.record_boundary.map(|_| "boundary".into());
        config.file = None;
        config.peers.remove(&NodeId(args.id));
        let place = &self.config.peer_address;
        match self.slot {
            Some(slot) if is_one_place(place) => {
                config.peers.insert(slot, place.clone());
            }
            _ => {
                let dir = self.dir.display();
                eprintln!(
                    "hint: add under [peers] of the new node.toml where the node of {dir} is reached; {place} does not tell"
                );
            }
        }
        config
    }

    fn node<'a>(&'a self, id: NodeId, key: &'a NodeKey, names: &'a [String]) -> NewNode<'a> {
        NewNode {
            id,
            key,
            names,
            service: &self.service,
            service_certificate: &self.service_certificate,
            session_keys: &self.session_keys,
            genesis: &self.genesis,
        }
    }
}

/// What the proposal says of the node.
fn entry(args: &NodeJoinArgs, key: &NodeKey) -> Result<NodeEntry, Failure> {
    Ok(NodeEntry {
        name: Name::new(args.name.as_str()).hint("name the node otherwise with --name")?,
        owner: owner(&args.owner)?,
        public_key: Blob::new(key.verifying_key().to_spki_der()).expect("a key of ours fits"),
        address: Address::new(args.address.as_str()).hint("name the place with --address")?,
        code: None,
        platform: None,
    })
}

fn owner(owner: &str) -> Result<ActorId, Failure> {
    if let Some(id) = ActorId::from_hex(owner) {
        return Ok(id);
    }
    let hint =
        "name with --owner an actor's id of 64 hexadecimal digits, or a file with the actor's certificate in PEM";
    let text = fs::read_to_string(owner)
        .map_err(|error| Failure::new(format!("{owner} is no actor's id, and cannot be read: {error}"), hint))?;
    Ok(Certificate::from_pem(&text).hint(hint)?.actor_id())
}

/// The DNS name or IP address in `host:port`.
fn host_of(place: &str) -> Result<String, Failure> {
    let hint = "name the place with --client-address as host:port, such as 127.0.0.1:8104 or [::1]:8104";
    let malformed = || Failure::new(format!("{place:?} is not a host and a port"), hint);
    let (host, port) = place.rsplit_once(':').ok_or_else(malformed)?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    port.parse::<u16>().ok().filter(|_| !host.is_empty()).ok_or_else(malformed)?;
    Ok(host.to_owned())
}

/// Whether others can dial the place: not every address of a machine, and not any port.
fn is_one_place(place: &str) -> bool {
    place.rsplit_once(':').is_some_and(|(host, port)| {
        let ip = host.trim_matches(['[', ']']).parse::<IpAddr>();
        port.parse::<u16>().is_ok_and(|port| port != 0) && !ip.is_ok_and(|ip| ip.is_unspecified())
    })
}

fn network_line(args: &NodeJoinArgs) -> Result<NodeLine, Failure> {
    let dir = std::path::absolute(&args.dir).hint("name another directory with --dir")?;
    Ok(NodeLine { id: args.id, url: format!("https://{}", args.client_address), dir: Some(dir) })
}

/// The network file with the node in it: where it lies, and its text.
fn network_with(file: &Path, line: &NodeLine) -> Result<(PathBuf, String), Failure> {
    let file = if file.is_dir() { file.join(NETWORK_FILE) } else { file.to_owned() };
    let hint = "name a network file with --add-to";
    let unreadable = |error| Failure::new(format!("cannot read {}: {error}", file.display()), hint);
    let text = fs::read(&file).map_err(unreadable)?;
    let mut network: NetworkFile = serde_json::from_slice(&text).hint(hint)?;
    if network.nodes.iter().any(|node| node.id == line.id) {
        let what = format!("{} has a node {} already", file.display(), line.id);
        return Err(Failure::new(what, "name another slot with --id, or remove that node from the file"));
    }
    let mut line = line.clone();
    let base = file.parent().and_then(|base| std::path::absolute(base).ok());
    if let (Some(dir), Some(base)) = (&line.dir, base)
        && let Ok(below) = dir.strip_prefix(base)
    {
        line.dir = Some(below.into());
    }
    network.nodes.push(line);
    let text = serde_json::to_string_pretty(&network).expect("paths of ours are text");
    Ok((file, text))
}

/// Adds the nodes of the network file that run on this machine and joined after the node that was taken as a pattern.
fn add_peers(file: &Path, own: NodeId, peers: &mut BTreeMap<NodeId, String>) {
    // The file was read a moment ago; nodes elsewhere have to be listed by hand.
    let Ok(network) = Network::load(file) else { return };
    for node in network.nodes.into_iter().filter(|node| node.id < own) {
        let config = node.dir.and_then(|dir| NodeConfig::load(&dir.join(NODE_CONFIG)).ok());
        if let Some(place) = config.map(|config| config.peer_address).filter(|place| is_one_place(place)) {
            peers.entry(node.id).or_insert(place);
        }
    }
}

/// Makes a directory as a whole: at its name there is nothing, or all of it.
fn make(dir: &Path, fill: impl FnOnce(&Path) -> Result<(), Failure>) -> Result<(), Failure> {
    let hint = "name a directory with --dir that you may make";
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent).hint(hint)?;
    let draft = tempfile::Builder::new().prefix(".node-").tempdir_in(parent).hint(hint)?;
    fill(draft.path())?;
    fs::rename(draft.path(), dir).hint(hint)?;
    // It is not there any more.
    let _ = draft.keep();
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command, NodeCommand};
    use crate::sandbox::made_for_test;

    const OWNER: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    /// The arguments for node 4 beside `net`, with others put in their place.
    fn args(net: &Path, others: &[(&str, &str)]) -> NodeJoinArgs {
        let dir = |name: &str| net.join(name).display().to_string();
        let (new, like, file) = (dir("node-4"), dir("node-1"), dir("network.json"));
        let mut values = vec![
            ("--dir", new.as_str()),
            ("--like", &like),
            ("--id", "4"),
            ("--name", "node-4"),
            ("--owner", OWNER),
            ("--address", "vn4.example.org:7000"),
            ("--client-address", "127.0.0.1:8104"),
            ("--peer-address", "127.0.0.1:8204"),
            ("--add-to", &file),
        ];
        for (key, value) in others {
            values.retain(|(known, _)| known != key);
            values.push((key, value));
        }
        let line =
            ["synod", "node", "join"].into_iter().chain(values.into_iter().flat_map(|(key, value)| [key, value]));
        match Cli::try_parse_from(line).unwrap().command {
            Command::Node(NodeCommand::Join(args)) => args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_directory_is_made_that_knows_its_network_and_its_peers() {
        let net = made_for_test(3);
        let like = NodeConfig::load(&net.path().join("node-1/node.toml")).unwrap();
        join(&args(net.path(), &[]), true).unwrap();
        let node = net.path().join("node-4");
        let config = NodeConfig::load(&node.join(NODE_CONFIG)).unwrap();
        assert_eq!(config.network, like.network);
        assert_eq!(
            (config.client_address.as_str(), config.peer_address.as_str()),
            ("127.0.0.1:8104", "127.0.0.1:8204")
        );
        assert_eq!(config.directory, node.join(LEDGER));
        let expected = [(NodeId(1), like.peer_address.clone())].into_iter().chain(like.peers.clone()).collect();
        assert_eq!(config.peers, expected);
        assert_eq!(first_record(&node.join(LEDGER)).unwrap(), first_record(&net.path().join("node-1/ledger")).unwrap());
        let text = |name: &str| fs::read_to_string(node.join(name)).unwrap();
        let service = ServiceKey::from_pem(&text("service.key")).unwrap();
        let certificate = Certificate::from_pem(&text("slot.crt")).unwrap();
        assert_eq!(issued_slot(certificate.der(), service.verifying_key(), None), Ok(NodeId(4)));
        let key = NodeKey::from_pem(&text("slot.key")).unwrap();
        assert_eq!(certificate.verifying_key().as_ref(), Ok(key.verifying_key()));
        let network: NetworkFile = serde_json::from_slice(&fs::read(net.path().join("network.json")).unwrap()).unwrap();
        let line = network.nodes.last().unwrap();
        assert_eq!((line.id, line.url.as_str()), (4, "https://127.0.0.1:8104"));
        assert_eq!(line.dir, Some("node-4".into()));
        assert!(
            fs::read_dir(net.path()).unwrap().all(|entry| !entry
                .unwrap()
                .file_name()
                .to_string_lossy()
                .starts_with(".node"))
        );
        // Where the constitution says that the node is stands in no file.
        let files = ["node.toml", "slot.crt"].map(|name| fs::read(node.join(name)).unwrap());
        assert!(files.iter().all(|file| !file.windows(7).any(|bytes| bytes == b"example")));
        assert!(!certificate.der().windows(7).any(|bytes| bytes == b"example"));
    }

    #[test]
    fn a_node_that_joins_after_another_knows_that_one_from_the_network_file() {
        let net = made_for_test(3);
        join(&args(net.path(), &[]), true).unwrap();
        let dir = net.path().join("node-5").display().to_string();
        join(&args(net.path(), &[("--dir", &dir), ("--id", "5"), ("--peer-address", "127.0.0.1:8205")]), true).unwrap();
        let peers = NodeConfig::load(&net.path().join("node-5/node.toml")).unwrap().peers;
        assert_eq!(peers.keys().copied().collect::<Vec<_>>(), [1, 2, 3, 4].map(NodeId));
        assert_eq!(peers[&NodeId(4)], "127.0.0.1:8204");
    }

    #[test]
    fn the_proposal_reads_back_as_the_action() {
        let net = made_for_test(1);
        let key = NodeKey::generate();
        let entry = entry(&args(net.path(), &[]), &key).unwrap();
        let proposal = Proposal { note: "n".into(), action: [Action::AddNode(entry.clone())] };
        let table: toml::Table = toml::from_str(&toml::to_string(&proposal).unwrap()).unwrap();
        let action = table["action"].as_array().unwrap()[0].clone();
        assert_eq!(action["action"].as_str(), Some("add_node"));
        assert_eq!(action.try_into::<Action>().unwrap(), Action::AddNode(entry));
    }

    #[test]
    fn what_cannot_be_is_refused_with_a_hint_and_leaves_nothing_behind() {
        let net = made_for_test(2);
        let other = made_for_test(1);
        let before = fs::read(net.path().join("network.json")).unwrap();
        let there = net.path().join("node-2").display().to_string();
        for (change, reason) in [
            (("--dir", there.as_str()), "is there already"),
            (("--like", "/nowhere"), "node.toml"),
            (("--id", "2"), "slot 2 was given in the genesis block"),
            (("--name", ""), "name"),
            (("--owner", "nobody"), "nobody is no actor's id"),
            (("--address", "nowhere"), "an address is"),
            (("--client-address", "nowhere"), "is not a host and a port"),
            (("--add-to", "/nowhere"), "cannot read /nowhere"),
        ] {
            let refused = join(&args(net.path(), &[change]), false).unwrap_err().to_string();
            assert!(refused.contains(reason) && refused.contains("hint:"), "{change:?}: {refused}");
            assert!(!net.path().join("node-4").exists());
        }
        assert_eq!(fs::read(net.path().join("network.json")).unwrap(), before);
        fs::copy(other.path().join("node-1/service.key"), net.path().join("node-1/service.key")).unwrap();
        let refused = join(&args(net.path(), &[]), false).unwrap_err().to_string();
        assert!(refused.contains("are not those of its ledger's network"), "{refused}");
    }

    #[test]
    fn a_place_to_dial_is_one_address_and_one_port() {
        for place in ["127.0.0.1:1", "[::1]:7", "vn1.example.org:7000"] {
            assert!(is_one_place(place), "{place}");
        }
        for place in ["0.0.0.0:1", "[::]:7", "127.0.0.1:0", "nowhere"] {
            assert!(!is_one_place(place), "{place}");
        }
    }
}

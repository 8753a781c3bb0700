//! Makes a network: keys, certificates, the genesis block in each node's ledger.

use std::collections::BTreeMap;
use std::fs;

use bytes::Bytes;
use serde_json::json;
use synod_crypto::x509::{Validity, actor_certificate, service_certificate};
use synod_crypto::{ActorKey, Certificate, NodeKey, ServiceKey, SessionKeys, random_bytes};

use synod_governance::Role;
use synod_governance::document::to_toml;
use synod_governance::entries::AdminPart;
use synod_node::Genesis;
use synod_types::chunk::file_name;
use synod_types::{Epoch, NodeId};

use super::founding::Founding;
use super::layout::{ACCOUNTS, ADMIN_KEY, Access, NetworkDir, SERVICE_CERTIFICATE, write};
use crate::adapters;
use crate::eth::{bench_accounts, dev_accounts};
use crate::failure::{Failure, Hint};
use crate::node_dir::{NewNode, VALID_DAYS, now};

/// Whom a new network consists of, and what it keeps to itself, if nobody wrote a constitution.
pub struct Plan {
    /// How many nodes; the members own them in turn.
    pub nodes: u64,
    /// How many members govern it, at least one.
    pub members: u64,
    /// How many participants transact only.
    pub participants: u64,
    /// Who can read governance in the ledger's files.
    pub admin: AdminPart,
}

/// Makes a network for trying things: its actors' keys lie beside it.
///
/// # Errors
/// If a file cannot be written.
pub fn create(dir: &NetworkDir, plan: &Plan) -> Result<(), Failure> {
    let validity = Validity::days(now(), VALID_DAYS);
    let mut genesis = Genesis::new("sandbox", now()).hint(MISTAKE)?;
    genesis.constitution.network.admin = plan.admin;
    let organisations = actors(dir, "member", plan.members, validity)?;
    for (name, certificate) in &organisations {
        genesis.add_actor(Role::Member, name, certificate).hint(MISTAKE)?;
    }
    for (name, certificate) in actors(dir, "participant", plan.participants, validity)? {
        genesis.add_actor(Role::Participant, &name, &certificate).hint(MISTAKE)?;
    }
    let keys: BTreeMap<_, _> = (1..=plan.nodes).map(|id| (NodeId(id), NodeKey::generate())).collect();
    for ((id, key), (_, owner)) in keys.iter().zip(organisations.iter().cycle()) {
        // Peers find each other by their node.toml; what the constitution lists is for people, and never dialled.
        let address = format!("node-{id}.sandbox.invalid:7000");
        genesis.add_node(*id, &format!("node-{id}"), owner.actor_id(), key.verifying_key(), &address).hint(MISTAKE)?;
    }
    genesis.add_adapter(synod_log::NAME, "").hint(MISTAKE)?;
    genesis.add_adapter(synod_evm::NAME, &evm_settings()).hint(MISTAKE)?;
    found(dir, &Founding { genesis, keys }, MISTAKE)?;
    write(&dir.path().join(ACCOUNTS), accounts().as_bytes(), Access::Secret)
}

/// Makes the network that begins with this constitution.
///
/// # Errors
/// If a file cannot be written.
pub fn found(dir: &NetworkDir, founding: &Founding, hint: &str) -> Result<(), Failure> {
    let service = ServiceKey::generate();
    let service_certificate = service_certificate(&service, Validity::days(now(), VALID_DAYS));
    let session_keys = SessionKeys::generate(Epoch(1));
    let Founding { genesis, keys } = founding;
    let record = genesis.seal(&adapters::kits(), &service, &session_keys, random_bytes()).hint(hint)?;

    write(&dir.path().join(SERVICE_CERTIFICATE), service_certificate.to_pem().as_bytes(), Access::Public)?;
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    for (id, key) in keys {
        let node = NewNode {
            id: *id,
            key,
            names: &names,
            service: &service,
            service_certificate: &service_certificate.to_pem(),
            session_keys: &session_keys,
            genesis: &record,
        };
        node.write(dir.node(id.0).path())?;
    }
    write(&dir.path().join(ADMIN_KEY), session_keys.admin.to_pem().as_bytes(), Access::Secret)?;
    write(&dir.path().join("genesis.toml"), to_toml(&genesis.constitution).as_bytes(), Access::Public)
}

/// The settings of a network's nodes that come from the genesis block: its id.
///
/// # Errors
/// If the ledger holds no genesis block.
pub fn network_of(ledger: &std::path::Path) -> Result<synod_types::Digest, Failure> {
    let first = ledger.join(file_name(synod_types::LogIndex(1)));
    let hint = "the directory holds no whole network: remove it, or name another --dir";
    let bytes =
        fs::read(&first).map_err(|error| Failure::new(format!("cannot read {}: {error}", first.display()), hint))?;
    let scan = synod_types::chunk::Scan::new(Bytes::from(bytes))
        .map_err(|damage| Failure::new(format!("{damage:?}"), hint))?;
    Ok(scan.header().ok_or_else(|| Failure::new(format!("{} is empty", first.display()), hint))?.network)
}

/// Writes `kind`-1 and so on below `kind`s/, and returns their names and certificates.
fn actors(dir: &NetworkDir, kind: &str, count: u64, validity: Validity) -> Result<Vec<(String, Certificate)>, Failure> {
    let folder = dir.path().join(format!("{kind}s"));
    let actor = |number| {
        let (name, key) = (format!("{kind}-{number}"), ActorKey::generate());
        let certificate = actor_certificate(&key, &name, validity);
        write(&folder.join(format!("{name}.crt")), certificate.to_pem().as_bytes(), Access::Public)?;
        write(&folder.join(format!("{name}.key")), key.expose_pem().as_bytes(), Access::Secret)?;
        Ok((name, certificate))
    };
    (1..=count).map(actor).collect()
}

/// One live instance, `main`, with the development and the bench accounts funded.
fn evm_settings() -> String {
    let funded = dev_accounts().into_iter().chain(bench_accounts());
    let alloc: serde_json::Map<_, _> =
        funded.map(|account| (account.address.to_string(), json!({"balance": FUNDS_WEI}))).collect();
    let settings = json!({"instances": [{"name": "main", "chain_id": CHAIN_ID, "alloc": alloc}]});
    settings.to_string()
}

fn accounts() -> String {
    let line = |account: &crate::eth::Account| json!({"address": account.address.to_checksum(None), "private_key": account.secret_hex()});
    let lines: Vec<_> = dev_accounts().iter().map(line).collect();
    serde_json::to_string_pretty(&lines).expect("JSON has a text")
}

/// Nobody but this file writes the constitution of a sandbox.
const MISTAKE: &str = "this is a mistake in synod sandbox itself: please report it";

/// The chain id that Hardhat and Anvil have too, so that tools know it as one for development.
pub const CHAIN_ID: u64 = 31_337;

/// 10,000 ETH.
const FUNDS_WEI: &str = "10000000000000000000000";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::LEDGER;

    #[test]
    fn a_new_network_has_every_file_and_its_ledger_verifies() {
        let dir = tempfile::tempdir().unwrap();
        let network = NetworkDir::lock(dir.path()).unwrap();
        create(&network, &Plan { nodes: 3, members: 2, participants: 1, admin: AdminPart::Sealed }).unwrap();
        for file in [
            "service.crt",
            "genesis.toml",
            "accounts.json",
            "members/member-2.key",
            "participants/participant-1.crt",
            "auditor/admin.key",
        ] {
            assert!(dir.path().join(file).exists(), "{file}");
        }
        let name = file_name(synod_types::LogIndex(1));
        let ledgers: Vec<_> =
            (1..=3).map(|id| fs::read(network.node(id).path().join(LEDGER).join(&name)).unwrap()).collect();
        assert!(ledgers[0] == ledgers[1] && ledgers[1] == ledgers[2]);
        let service = Certificate::from_pem(&fs::read_to_string(dir.path().join("service.crt")).unwrap()).unwrap();
        let verifier = synod_ledger::Verifier::expecting(service.verifying_key().unwrap());
        let report = verifier.verify([(name, Bytes::from(ledgers[0].clone()))]).unwrap();
        assert_eq!((report.transactions, report.torn_tail), (1, None));
        assert_eq!(network_of(&network.node(1).path().join(LEDGER)).unwrap(), report.network);
        let described: toml::Table =
            toml::from_str(&fs::read_to_string(dir.path().join("genesis.toml")).unwrap()).unwrap();
        assert_eq!(described["member"].as_array().unwrap().len(), 2);
    }
}

//! What a sandbox says of itself once it runs.

use serde_json::json;
use synod_client::Network;
use synod_crypto::Certificate;

use super::layout::{ACCOUNTS, NetworkDir};
use crate::eth::dev_accounts;
use crate::failure::{Failure, Hint};
use crate::output;

/// Prints nodes, service identity, accounts, URL and where keys lie.
///
/// # Errors
/// If the service's certificate cannot be read, or standard output takes nothing more.
pub fn show(dir: &NetworkDir, network: &Network, rpc_url: &str, is_temporary: bool, json: bool) -> Result<(), Failure> {
    let service = Certificate::from_der(network.service.to_vec()).hint("make the network anew in another --dir")?;
    let digest = service.spki_digest().to_hex();
    if json {
        return output::json(&as_json(dir, network, rpc_url, &digest));
    }
    output::text(&as_text(dir, network, rpc_url, &digest, is_temporary))
}

fn as_json(dir: &NetworkDir, network: &Network, rpc_url: &str, digest: &str) -> serde_json::Value {
    let node = |node: &synod_client::NodeEntry| json!({"id": node.id.0, "url": node.url, "dir": node.dir});
    let account = |account: &crate::eth::Account| json!({"address": account.address.to_checksum(None), "private_key": account.secret_hex()});
    json!({
        "rpc_url": rpc_url,
        "service_digest": digest,
        "nodes": network.nodes.iter().map(node).collect::<Vec<_>>(),
        "accounts": accounts(dir).iter().map(account).collect::<Vec<_>>(),
        "dir": dir.path(),
        "network_file": dir.network_file(),
        "members": identities(dir, "members"),
        "participants": identities(dir, "participants"),
    })
}

/// The paths in the network's directory, without extension, of certificates and keys below `kind`/, by number.
fn identities(dir: &NetworkDir, kind: &str) -> Vec<String> {
    let stem = |number: u64| format!("{kind}/{}-{number}", kind.trim_end_matches('s'));
    (1..).map(stem).take_while(|stem| dir.path().join(format!("{stem}.crt")).exists()).collect()
}

/// The accounts that the network was made with; one that began with a constitution has those of its adapters' settings.
fn accounts(dir: &NetworkDir) -> Vec<crate::eth::Account> {
    if dir.path().join(ACCOUNTS).exists() { dev_accounts() } else { Vec::new() }
}

fn as_text(dir: &NetworkDir, network: &Network, rpc_url: &str, digest: &str, is_temporary: bool) -> String {
    let mut text = format!("Ethereum JSON-RPC   {rpc_url}\nservice identity    {digest}\n\nnodes\n");
    for node in &network.nodes {
        text += &format!("  {}  {}\n", node.id, node.url);
    }
    let accounts = accounts(dir);
    if !accounts.is_empty() {
        text += "\naccounts, each with 10,000 ETH; the keys are published ones: use them nowhere else\n";
    }
    for account in &accounts {
        text += &format!("  {}  {}\n", account.address.to_checksum(None), account.secret_hex());
    }
    let path = dir.path().display();
    let members = identities(dir, "members");
    let whose = if members.is_empty() { "nodes" } else { "members, participants and nodes" };
    text += &format!("\nkeys of {whose} lie in {path}\n");
    for kind in ["members", "participants"] {
        let names = identities(dir, kind);
        text += &match &names[..] {
            [] => String::new(),
            [one] => format!("  {path}/{one}\n"),
            [first, .., last] => format!("  {path}/{first} to {path}/{last}\n"),
        };
    }
    text += &format!("for other synod commands: export SYNOD_NODES={}\n", dir.network_file().display());
    text += &match members.first() {
        Some(first) => format!("to govern: synod proposal list --identity {path}/{first}\n"),
        None => "to govern: synod proposal list --identity PATH, of a member's PATH.crt and PATH.key\n".to_owned(),
    };
    text += match is_temporary {
        true => "stop with Ctrl-C; the directory is then removed (keep one with --dir)\n",
        false => "stop with Ctrl-C; the same command goes on from here\n",
    };
    text
}

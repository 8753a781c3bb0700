//! `synod node service`: the certificate to pin after the service took another key.

use serde_json::{Value, json};
use synod_client::{Client, Network, NodeKnows, ServiceInForce};
use synod_crypto::Certificate;
use synod_types::TxId;

use crate::cli::NodeServiceArgs;
use crate::failure::{Failure, Hint};
use crate::output;
use crate::sandbox::{Access, write};

/// Prints the service's certificate in force, or writes it to a file.
///
/// # Errors
/// If no node tells it, or it does not follow from the pinned one.
pub async fn service(args: NodeServiceArgs, json: bool) -> Result<(), Failure> {
    let network = Network::load(&args.network.network)?;
    let hint = "name the service's certificate in the network file";
    let pinned = Certificate::from_der(network.service.to_vec()).hint(hint)?.spki_digest();
    let found = Client::new(network)?.service().await?;
    let papers = &found.papers;
    if let Some(path) = &args.out {
        // Whole or not at all: it may be the file that is pinned.
        write(path, papers.to_pem().as_bytes(), Access::Public)?;
    }
    if json {
        return output::json(&as_json(&found, &pinned.to_hex()));
    }
    let since = papers.history.in_force().after;
    let since = since.map_or_else(String::new, |txid| format!(", since {txid}"));
    eprintln!("pinned    {pinned}\nin force  {}{since}", papers.certificate.spki_digest());
    found.nodes.iter().for_each(|said| eprintln!("{}", line(said, &found)));
    match &args.out {
        Some(path) => eprintln!("the certificate in force is in {}", path.display()),
        None => output::text(papers.to_pem())?,
    }
    if !papers.is_new {
        eprintln!("the pinned certificate is that of the key in force, as far as these nodes know");
    }
    Ok(())
}

fn line(said: &NodeKnows, found: &ServiceInForce) -> String {
    let node = said.node;
    match &said.answer {
        Ok(known) if known.key == found.papers.history.in_force().key => format!("node {node} says so at {}", known.at),
        Ok(known) => format!("node {node} at {} knows an earlier key only", known.at),
        Err(error) => format!("node {node} did not tell: {error}"),
    }
}

fn as_json(found: &ServiceInForce, pinned: &str) -> Value {
    let papers = &found.papers;
    let text = |txid: Option<TxId>| txid.map(|txid| txid.to_string());
    let keys = papers.history.terms().map(|(term, until)| {
        json!({ "digest": term.key.digest().to_hex(), "after": text(term.after), "until": text(until) })
    });
    let nodes = found.nodes.iter().map(|said| {
        let known = said.answer.as_ref().ok();
        json!({
            "id": said.node.0,
            "service_digest": known.map(|known| known.key.digest().to_hex()),
            "at": known.map(|known| known.at.to_string()),
        })
    });
    json!({
        "service_digest": papers.certificate.spki_digest().to_hex(),
        "pinned_digest": pinned,
        "rotated": papers.is_new,
        "certificate": papers.certificate.to_pem(),
        "endorsements": papers.endorsements.iter().map(Certificate::to_pem).collect::<Vec<_>>(),
        "keys": keys.collect::<Vec<_>>(),
        "nodes": nodes.collect::<Vec<_>>(),
    })
}

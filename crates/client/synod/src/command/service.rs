//! `synod node service`: the certificate to pin after the service took another key.

use std::fs;

use serde_json::json;
use synod_client::{Client, Network};
use synod_crypto::Certificate;

use crate::cli::NodeServiceArgs;
use crate::failure::{Failure, Hint};
use crate::output;

/// Prints the service's certificate in force, or writes it to a file.
///
/// # Errors
/// If no node tells it, or it does not follow from the pinned one.
pub async fn service(args: NodeServiceArgs, json: bool) -> Result<(), Failure> {
    let network = Network::load(&args.network.network)?;
    let hint = "name the service's certificate in the network file";
    let pinned = Certificate::from_der(network.service.to_vec()).hint(hint)?.spki_digest();
    let found = Client::new(network)?.service().await?;
    let digest = found.certificate.spki_digest();
    if let Some(path) = &args.out {
        fs::write(path, found.to_pem())
            .hint(format!("name a file that you may write with --out, not {}", path.display()))?;
    }
    if json {
        return output::json(&json!({
            "service_digest": digest.to_hex(),
            "pinned_digest": pinned.to_hex(),
            "rotated": found.is_new,
            "certificate": found.certificate.to_pem(),
            "endorsements": found.endorsements.iter().map(Certificate::to_pem).collect::<Vec<_>>(),
        }));
    }
    eprintln!("pinned    {pinned}\nin force  {digest}");
    match &args.out {
        Some(path) => eprintln!("the certificate in force is in {}", path.display()),
        None => output::text(&found.to_pem())?,
    }
    if !found.is_new {
        eprintln!("the pinned certificate is that of the key in force");
    }
    Ok(())
}

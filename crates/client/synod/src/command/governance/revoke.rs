//! `synod revoke`.

use std::fs;

use rustls_pki_types::CertificateRevocationListDer;
use rustls_pki_types::pem::PemObject;
use serde_json::json;
use synod_governance::Request;
use synod_governance::bounded::Blob;

use crate::cli::RevokeArgs;
use crate::failure::{Failure, Hint};
use crate::output;

use super::session::{Session, txid_of};

/// Registers a revocation list.
///
/// # Errors
/// If the list is refused, or no node answers.
pub async fn revoke(args: RevokeArgs, json: bool) -> Result<(), Failure> {
    let bytes = fs::read(&args.crl).hint(format!("check the path {}", args.crl.display()))?;
    // DER begins with a byte that no PEM text begins with.
    let der = CertificateRevocationListDer::from_pem_slice(&bytes).map_or(bytes, |list| list.to_vec());
    let list = Blob::new(der).hint("leave out of the list what has expired anyway")?;
    let session = Session::open(&args.govern)?;
    let txid = txid_of(&session.submit(&Request::Revoke(list)).await?)?;
    match json {
        true => output::json(&json!({"txid": txid})),
        false => output::text(&format!("revocation list in force at {txid}\n")),
    }
}

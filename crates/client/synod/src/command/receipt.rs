//! `synod receipt get|verify`.

use std::fs;

use alloy_primitives::hex;
use serde_json::json;
use synod_client::{Client, Network, Request};
use synod_crypto::Certificate;
use synod_ledger::Receipt;

use crate::cli::{ReceiptCommand, ReceiptGetArgs, ReceiptVerifyArgs};
use crate::failure::{Failure, Hint};
use crate::output;

/// Fetches a receipt, or checks one.
///
/// # Errors
/// If there is none, or it proves nothing.
pub async fn receipt(command: ReceiptCommand, json: bool) -> Result<(), Failure> {
    match command {
        ReceiptCommand::Get(args) => get(args, json).await,
        ReceiptCommand::Verify(args) => verify(&args, json),
    }
}

async fn get(args: ReceiptGetArgs, json: bool) -> Result<(), Failure> {
    let client = Client::new(Network::load(&args.network.network)?)?;
    let answer = client.send(Request::get(format!("/node/receipt/{}", args.txid))).await?;
    if !answer.is_success() {
        let hint = answer.error().and_then(|error| error.hint);
        return Err(Failure::new(answer.summary(), hint.unwrap_or("take the id that a write's answer gave".into())));
    }
    match &args.out {
        Some(path) => {
            fs::write(path, &answer.body)
                .hint(format!("name a file that you may write with --out, not {}", path.display()))?;
            eprintln!("receipt of {} is in {}", args.txid, path.display());
            Ok(())
        }
        None if json => output::json(&json!({"txid": args.txid.to_string(), "receipt": hex::encode(&answer.body)})),
        None => output::text(&format!("{}\n", hex::encode(&answer.body))),
    }
}

fn verify(args: &ReceiptVerifyArgs, json: bool) -> Result<(), Failure> {
    let service = service(args)?;
    let key = service.verifying_key().hint("a service's key is on P-256: check the file")?;
    let bytes = fs::read(&args.file).hint(format!("check the path {}", args.file.display()))?;
    let verified = Receipt::verify(&unhex(bytes), &key)
        .hint("the receipt is not of this service, or was altered: do not rely on it")?;
    let claims = verified.claims.map(|claims| claims.to_hex());
    if json {
        return output::json(&json!({
            "txid": verified.txid.to_string(),
            "write_set": verified.write_set.to_hex(),
            "claims": claims,
            "root": verified.root.to_hex(),
            "service_digest": key.digest().to_hex(),
        }));
    }
    output::text(&format!(
        "transaction  {}\nwrite set    {}\nclaims       {}\nroot         {}\nsigned by    {}\n",
        verified.txid,
        verified.write_set,
        claims.as_deref().unwrap_or("none"),
        verified.root,
        key.digest()
    ))
}

/// The service's certificate: from the file given, or the one that the network file names.
fn service(args: &ReceiptVerifyArgs) -> Result<Certificate, Failure> {
    let hint = "name the service's certificate with --service";
    match (&args.service, &args.network) {
        (Some(path), _) => {
            let text = fs::read_to_string(path).hint(format!("check the path {}", path.display()))?;
            Certificate::from_pem(&text).hint(hint)
        }
        (None, Some(network)) => Certificate::from_der(Network::load(network)?.service.to_vec()).hint(hint),
        (None, None) => Err(Failure::new("no service to check the receipt against", hint)),
    }
}

/// The receipt's bytes, if the file holds them as hexadecimal digits; otherwise the file's own.
fn unhex(bytes: Vec<u8>) -> Vec<u8> {
    // COSE begins with a byte that is no digit.
    hex::decode(bytes.trim_ascii()).unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_is_taken_as_bytes_or_as_their_digits() {
        assert_eq!(unhex(vec![0xd2, 0x84, 0x00]), [0xd2, 0x84, 0x00]);
        assert_eq!(unhex(b"d28400\n".to_vec()), [0xd2, 0x84, 0x00]);
    }
}

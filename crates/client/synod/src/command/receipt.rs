//! `synod receipt get|verify`.

use std::fs;

use alloy_primitives::hex;
use serde_json::json;
use synod_client::{Client, Network, Proved, ReceiptError, Service, service_text};
use synod_ledger::ReceiptRefused;

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
    let receipt = client.receipt(args.txid).await?;
    match &args.out {
        Some(path) => {
            fs::write(path, &receipt)
                .hint(format!("name a file that you may write with --out, not {}", path.display()))?;
            eprintln!("receipt of {} is in {}", args.txid, path.display());
            Ok(())
        }
        None if json => output::json(&json!({"txid": args.txid.to_string(), "receipt": hex::encode(&receipt)})),
        None => output::text(&format!("{}\n", hex::encode(&receipt))),
    }
}

fn verify(args: &ReceiptVerifyArgs, json: bool) -> Result<(), Failure> {
    let service = service(args)?;
    let bytes = fs::read(&args.file).hint(format!("check the path {}", args.file.display()))?;
    let Proved { receipt: verified, key, until } = service.verify(&unhex(bytes)).map_err(refused)?;
    let claims = verified.claims.map(|claims| claims.to_hex());
    if json {
        return output::json(&json!({
            "txid": verified.txid.to_string(),
            "write_set": verified.write_set.to_hex(),
            "claims": claims,
            "root": verified.root.to_hex(),
            "service_digest": key.to_hex(),
            "key_until": until.map(|until| until.to_string()),
        }));
    }
    output::text(&format!(
        "transaction  {}\nwrite set    {}\nclaims       {}\nroot         {}\nsigned by    {key}{}\n",
        verified.txid,
        verified.write_set,
        claims.as_deref().unwrap_or("none"),
        verified.root,
        until.map_or_else(String::new, |until| format!(", the service's key until {until}"))
    ))
}

/// Why the receipt proves nothing, and what may help.
fn refused(error: ReceiptError) -> Failure {
    let hint = match error {
        ReceiptError::Receipt(ReceiptRefused::OtherService) => {
            "if members had the service take another key, name the file that synod node service --out writes with --service: \
             it tells of earlier keys too. Otherwise it is another service's: do not rely on it"
        }
        ReceiptError::Receipt(ReceiptRefused::KeyNotInForce { .. }) => {
            "whoever signed it holds a key that the service had at another time: do not rely on it, and tell the members"
        }
        _ => "the receipt is not of this service, or was altered: do not rely on it",
    };
    Failure::new(error, hint)
}

/// The service's certificate: from the file given, or the one that the network file names.
fn service(args: &ReceiptVerifyArgs) -> Result<Service, Failure> {
    let hint = "name the service's certificate with --service";
    let text = match (&args.service, &args.network) {
        (Some(path), _) => fs::read_to_string(path).hint(format!("check the path {}", path.display()))?,
        (None, Some(network)) => service_text(network)?,
        (None, None) => return Err(Failure::new("no service to check the receipt against", hint)),
    };
    Service::from_pem(&text).hint(hint)
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

//! Statements that are signed elsewhere: by an HSM, on another machine.
//!
//! `FILE.json` is the statement, for people and for `submit`; the other file holds the bytes to be signed, as they are.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use synod_client::governance::finish;
use synod_crypto::Certificate;
use synod_governance::bounded::Blob;
use synod_governance::statement::{Body, Unsigned};
use synod_types::{Digest, Time};

use crate::failure::{Failure, Hint};

/// An unsigned statement, as it is written to a file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prepared {
    /// What kind of statement this is.
    content_type: String,
    /// The network, in hexadecimal digits.
    network: String,
    /// When it was prepared, in seconds since the Unix epoch.
    created_at: u64,
    /// The signer's certificates, PEM, leaf first.
    certificates: Vec<String>,
    /// What is said, in hexadecimal digits.
    payload: String,
}

impl Prepared {
    /// Reads the statement that belongs to `path`: the .json itself, or the bytes beside it.
    ///
    /// # Errors
    /// If it is none of this kind.
    pub fn load<B: Body>(path: &Path) -> Result<Unsigned, Failure> {
        let path = json_of(path);
        let hint = format!("name what prepare wrote: {}", path.display());
        let bytes = fs::read(&path).hint(hint.clone())?;
        let prepared: Self = serde_json::from_slice(&bytes).hint(hint.clone())?;
        if prepared.content_type != B::CONTENT_TYPE {
            let found = format!("this is {}, not {}", prepared.content_type, B::CONTENT_TYPE);
            return Err(Failure::new(found, "submit it with the command that prepared it"));
        }
        prepared.unsigned().ok_or_else(|| Failure::new(format!("{} is no statement", path.display()), hint))
    }

    fn of(unsigned: &Unsigned) -> Result<Self, Failure> {
        let pem = |der: &Vec<u8>| Certificate::from_der(der.clone()).map(|certificate| certificate.to_pem());
        let certificates = unsigned.chain.iter().map(pem).collect::<Result<_, _>>();
        Ok(Self {
            content_type: unsigned.content_type.clone(),
            network: unsigned.network.to_hex(),
            created_at: unsigned.created_at.seconds(),
            certificates: certificates.hint("sign with an X.509 certificate")?,
            payload: alloy_primitives::hex::encode(&unsigned.payload),
        })
    }

    fn unsigned(self) -> Option<Unsigned> {
        let der = |pem: &String| Certificate::from_pem(pem).ok().map(|certificate| certificate.der().to_vec());
        let chain: Vec<_> = self.certificates.iter().map(der).collect::<Option<_>>()?;
        let leaf = Certificate::from_der(chain.first()?.clone()).ok()?;
        Some(Unsigned {
            algorithm: synod_crypto::Algorithm::of_spki(leaf.spki_der())?,
            content_type: self.content_type,
            chain,
            created_at: Time(self.created_at.checked_mul(1_000_000)?),
            network: Digest::from_hex(&self.network)?,
            payload: Blob::<{ usize::MAX }>::from_hex(&self.payload)?.to_vec(),
        })
    }
}

/// Joins a statement with the signature in a file.
///
/// # Errors
/// If that is not the signer's on this statement.
pub fn signed(unsigned: &Unsigned, signature: &Path) -> Result<Vec<u8>, Failure> {
    let bytes = fs::read(signature).hint(format!("check the path {}", signature.display()))?;
    finish(unsigned, &bytes)
        .hint("sign the bytes that prepare wrote, as they are, with the key of the certificate that --signer named")
}

/// Writes the bytes to be signed to `out`, and the statement beside them.
///
/// # Errors
/// If a file cannot be written.
pub fn write(out: &Path, unsigned: &Unsigned) -> Result<(), Failure> {
    let json = json_of(out);
    if json == out {
        return Err(Failure::new("the statement is written beside the bytes, ending in .json", "name OUT otherwise"));
    }
    let text = serde_json::to_string_pretty(&Prepared::of(unsigned)?).expect("texts and numbers have a JSON form");
    let hint = "name a file that you may write with --out";
    fs::write(&json, text + "\n").hint(hint)?;
    fs::write(out, unsigned.to_be_signed()).hint(hint)?;
    eprintln!("sign {}; the statement is in {}", out.display(), json.display());
    eprintln!("hint: openssl dgst -sha256 -sign KEY -out SIGNATURE {}", out.display());
    Ok(())
}

fn json_of(path: &Path) -> PathBuf {
    path.with_extension("json")
}

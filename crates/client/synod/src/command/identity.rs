//! `synod identity new|show`: certificates and keys of actors.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::json;
use synod_crypto::x509::{Validity, actor_certificate, issued_actor_certificate, organisation_certificate};
use synod_crypto::{ActorKey, Certificate};
use synod_governance::bounded::Name;
use synod_types::Time;

use crate::cli::{IdentityCommand, IdentityNewArgs, IdentityShowArgs};
use crate::failure::{Failure, Hint};
use crate::output;

/// Makes a certificate and its key, or says what a certificate says.
///
/// # Errors
/// If a file cannot be read or written.
pub fn identity(command: &IdentityCommand, json: bool) -> Result<(), Failure> {
    match command {
        IdentityCommand::New(args) => new(args, json),
        IdentityCommand::Show(args) => show(args, json),
    }
}

fn new(args: &IdentityNewArgs, json: bool) -> Result<(), Failure> {
    Name::new(args.name.clone()).hint("give a name that people can read with --name")?;
    let key = ActorKey::generate();
    let validity = Validity::days(now(), args.days);
    let chain = match &args.issuer {
        Some(issuer) => {
            let (issuer, issuer_key, name) = authority(issuer)?;
            let leaf = issued_actor_certificate((&issuer_key, &name), key.verifying_key(), &args.name, validity);
            vec![leaf, issuer]
        }
        None if args.ca => vec![organisation_certificate(&key, &args.name, validity)],
        None => vec![actor_certificate(&key, &args.name, validity)],
    };
    let pem: String = chain.iter().map(Certificate::to_pem).collect();
    write_new(&with(&args.out, ".key"), key.expose_pem().as_bytes(), 0o600)?;
    write_new(&with(&args.out, ".crt"), pem.as_bytes(), 0o644)?;
    print(&chain, json)
}

/// An authority's certificate, key and name.
fn authority(path: &Path) -> Result<(Certificate, ActorKey, String), Failure> {
    let hint = "name an authority that synod identity new --ca made; with one of your own, issue leaves with its tools";
    let certificate = certificates(&with(&stem(path), ".crt"))?.swap_remove(0);
    let key = std::fs::read_to_string(with(&stem(path), ".key")).hint(hint)?;
    let key = ActorKey::from_pem(&key).hint(hint)?;
    let name = certificate.common_name().map(str::to_owned);
    let name = name.ok_or_else(|| Failure::new("the authority has no name", hint))?;
    let fits = certificate.spki_der() == key.verifying_key().to_spki_der();
    if !fits {
        return Err(Failure::new("the authority's key is not its certificate's", hint));
    }
    Ok((certificate, key, name))
}

fn show(args: &IdentityShowArgs, json: bool) -> Result<(), Failure> {
    let path = if args.path.exists() { args.path.clone() } else { with(&stem(&args.path), ".crt") };
    print(&certificates(&path)?, json)
}

fn print(chain: &[Certificate], json: bool) -> Result<(), Failure> {
    let seconds = |certificate: &Certificate| certificate.valid_until().seconds();
    if json {
        let each = |certificate: &Certificate| {
            let id = certificate.actor_id().to_hex();
            json!({"id": id, "name": certificate.common_name(), "valid_until": seconds(certificate)})
        };
        return output::json(&json!({"certificates": chain.iter().map(each).collect::<Vec<_>>()}));
    }
    let days = |certificate: &Certificate| seconds(certificate).saturating_sub(now().seconds()).div_ceil(86_400);
    let line = |certificate: &Certificate| {
        let name = certificate.common_name().unwrap_or_default();
        format!("{}  {name:?}, valid for {} days\n", certificate.actor_id(), days(certificate))
    };
    output::text(&chain.iter().map(line).collect::<String>())
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, Failure> {
    let hint = format!("name a certificate in PEM, not {}", path.display());
    let text = std::fs::read(path).hint(hint.clone())?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .map(|der| Certificate::from_der(der.map_err(|error| Failure::new(error, hint.clone()))?.to_vec()).hint(&*hint))
        .collect::<Result<_, _>>()?;
    if certificates.is_empty() {
        return Err(Failure::new(format!("{} holds no certificate", path.display()), hint));
    }
    Ok(certificates)
}

/// Writes a file that was not there: a key is not made a second time.
fn write_new(path: &Path, content: &[u8], mode: u32) -> Result<(), Failure> {
    let write = || OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?.write_all(content);
    write().map_err(|error| Failure::new(format!("cannot write {}: {error}", path.display()), "name another --out"))
}

fn stem(path: &Path) -> PathBuf {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("crt" | "key") => path.with_extension(""),
        _ => path.to_path_buf(),
    }
}

fn with(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(extension);
    name.into()
}

fn now() -> Time {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Time(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}
